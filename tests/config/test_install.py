import json
import sys
from pathlib import Path

import pytest
import yaml

from host.config.client_files import CLIENTS, Machine, find_client
from host.config.install import Installer, bridge_command, bridge_env
from host.config.jsonc import parse_jsonc
from host.domain.errors import ConfigError, NotFoundError

TOKEN = "host_secret"  # noqa: S105 - a made-up one
SAMPLES = {
    "claude-desktop": '{\n  "mcpServers": {\n    "fs": {"command": "npx", "args": ["x"]}\n  },\n'
    '  "globalShortcut": ""\n}\n',
    "claude-code": '{"numStartups": 3, "projects": {"/w": {"mcpServers": {}}}, "mcpServers": {}}',
    "cursor": '{\r\n\t"mcpServers": {\r\n\t\t"a": {"url": "https://a.test"}\r\n\t}\r\n}',
    "vscode": '// my servers\n{\n  "servers": {\n    // from work\n'
    '    "gh": { "type": "http", "url": "https://gh.test" }, // last\n  },\n  "inputs": [],\n}\n',
    "gemini-cli": '{\n  "theme": "Default" /* dark */\n}\n',
    "goose": "GOOSE_PROVIDER: openai\nextensions:\n  # built in\n  developer:\n    enabled: true\n"
    "    type: builtin\n\nGOOSE_MODEL: x\n",
    "windsurf": '\ufeff{"mcpServers": {"a": {"serverUrl": "https://a.test"}}}\n',
}
PLACES = {
    ("claude-desktop", "linux"): ".config/Claude/claude_desktop_config.json",
    ("claude-desktop", "darwin"): "Library/Application Support/Claude/claude_desktop_config.json",
    ("claude-desktop", "win32"): "AppData/Roaming/Claude/claude_desktop_config.json",
    ("claude-code", "linux"): ".claude.json",
    ("claude-code", "win32"): ".claude.json",
    ("cursor", "darwin"): ".cursor/mcp.json",
    ("vscode", "linux"): ".config/Code/User/mcp.json",
    ("vscode", "darwin"): "Library/Application Support/Code/User/mcp.json",
    ("vscode", "win32"): "AppData/Roaming/Code/User/mcp.json",
    ("gemini-cli", "linux"): ".gemini/settings.json",
    ("goose", "linux"): ".config/goose/config.yaml",
    ("goose", "darwin"): ".config/goose/config.yaml",
    ("goose", "win32"): "AppData/Roaming/Block/goose/config/config.yaml",
    ("windsurf", "linux"): ".codeium/windsurf/mcp_config.json",
}


def installer(name: str, folder: Path, *, entry: str = "host") -> Installer:
    file = folder / f"{name}{'.yaml' if name == 'goose' else '.json'}"
    return Installer(CLIENTS[name], file, folder / "records", entry)


def entry(one: Installer, token: str = TOKEN) -> dict[str, object]:
    return one.client.stdio_entry(
        one.entry, "/usr/bin/python", ["-m", "host"], env={"HOST_TOKEN": token}
    )


def put(one: Installer, token: str = TOKEN) -> None:
    one.install(one.plan_install(entry(one, token)))


@pytest.mark.parametrize("name", SAMPLES)
def test_installing_keeps_what_is_there_and_uninstalling_restores_every_byte(
    name: str, tmp_path: Path
):
    one = installer(name, tmp_path)
    original = SAMPLES[name].encode()
    one.file.write_bytes(original)
    one.file.chmod(0o640)
    before = one.client.parse(SAMPLES[name].lstrip("\ufeff"))
    put(one)
    after = one.client.parse(one.file.read_bytes().decode("utf-8-sig"))
    block = one.client.block
    assert after == {**before, block: {**before.get(block, {}), "host": entry(one)}}
    assert one.file.stat().st_mode & 0o777 == 0o600
    assert one.backup.read_bytes() == original
    for comment in ("// my servers", "// from work", "// last", "/* dark */", "# built in"):
        assert (comment in one.file.read_text()) == (comment in SAMPLES[name])
    one.uninstall(one.plan_uninstall())
    assert one.file.read_bytes() == original
    assert one.file.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.glob("*.before-host")) == list((tmp_path / "records").iterdir()) == []


@pytest.mark.parametrize("name", SAMPLES)
def test_where_there_was_no_file_none_is_left(name: str, tmp_path: Path):
    one = installer(name, tmp_path)
    put(one)
    assert one.client.parse(one.file.read_text())[one.client.block]["host"] == entry(one)
    one.uninstall(one.plan_uninstall())
    assert not one.file.exists()


@pytest.mark.parametrize("name", SAMPLES)
def test_installing_again_changes_the_token_and_still_restores_the_original(
    name: str, tmp_path: Path
):
    one = installer(name, tmp_path)
    one.file.write_bytes(SAMPLES[name].encode())
    put(one, "host_first")
    put(one, "host_second")
    assert b"host_second" in one.file.read_bytes()
    assert b"host_first" not in one.file.read_bytes() + one.backup.read_bytes()
    one.uninstall(one.plan_uninstall())
    assert one.file.read_bytes() == SAMPLES[name].encode()


def test_what_was_edited_since_keeps_the_edit_and_loses_the_entry(tmp_path: Path):
    one = installer("cursor", tmp_path)
    one.file.write_text('{"mcpServers": {}}')
    put(one)
    text = one.client.add(one.file.read_text(), "later", {"command": "x"})
    one.file.write_text(text)
    one.uninstall(one.plan_uninstall())
    assert json.loads(one.file.read_text()) == {"mcpServers": {"later": {"command": "x"}}}


def test_a_foreign_server_of_the_same_name_is_not_touched(tmp_path: Path):
    one = installer("cursor", tmp_path)
    one.file.write_text('{"mcpServers": {"host": {"command": "other"}}}')
    with pytest.raises(ConfigError, match="--name"):
        one.plan_install(entry(one))
    with pytest.raises(ConfigError, match="not installed"):
        one.plan_uninstall()
    put(installer("cursor", tmp_path, entry="guard"))
    servers = json.loads(one.file.read_text())["mcpServers"]
    assert servers["host"] == {"command": "other"}
    assert "guard" in servers


@pytest.mark.parametrize("content", [b"[1]", b"{", b"\xff\xfe", b'{"mcpServers": 3}'])
def test_a_file_that_cannot_be_edited_is_left_alone_and_named(tmp_path: Path, content: bytes):
    one = installer("cursor", tmp_path)
    one.file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        one.plan_install(entry(one))
    assert str(one.file) in str(caught.value)
    assert one.file.read_bytes() == content


def test_a_file_that_changes_between_plan_and_write_is_not_overwritten(tmp_path: Path):
    one = installer("cursor", tmp_path)
    one.file.write_text("{}")
    change = one.plan_install(entry(one))
    one.file.write_text('{"a": 1}')
    with pytest.raises(ConfigError, match="try again"):
        one.install(change)
    assert one.file.read_text() == '{"a": 1}'


def test_the_diff_shows_the_change_and_no_secret(tmp_path: Path):
    one = installer("cursor", tmp_path)
    one.file.write_text('{\n  "mcpServers": {\n    "a": {"env": {"API_KEY": "sk-1"}}\n  }\n}\n')
    diff = one.plan_install(entry(one)).diff()
    assert '+    "host": {' in diff
    assert "host_secret" not in diff
    assert "sk-1" not in diff


@pytest.mark.parametrize(("client", "platform"), PLACES)
def test_each_client_is_looked_for_where_it_keeps_its_file(client: str, platform: str):
    machine = Machine(Path("/home/u"), {}, platform)
    expected = Path("/home/u") / PLACES[client, platform]
    assert CLIENTS[client].locate(machine) == expected


@pytest.mark.parametrize(
    ("client", "expected"),
    [
        (
            "claude-code",
            {"type": "http", "url": "U", "headers": {"Authorization": "Bearer host_secret"}},
        ),
        (
            "vscode",
            {"type": "http", "url": "U", "headers": {"Authorization": "Bearer host_secret"}},
        ),
        ("cursor", {"url": "U", "headers": {"Authorization": "Bearer host_secret"}}),
        ("gemini-cli", {"httpUrl": "U", "headers": {"Authorization": "Bearer host_secret"}}),
        ("windsurf", {"serverUrl": "U", "headers": {"Authorization": "Bearer host_secret"}}),
    ],
)
def test_an_http_entry_reads_as_the_client_expects(client: str, expected: dict[str, object]):
    assert CLIENTS[client].http_entry("host", "U", token=TOKEN) == expected


def test_goose_gets_its_own_field_names():
    text = CLIENTS["goose"].add("", "host", entry(installer("goose", Path("/x"))))
    assert yaml.safe_load(text)["extensions"]["host"] == {
        "enabled": True,
        "type": "stdio",
        "name": "host",
        "cmd": "/usr/bin/python",
        "args": ["-m", "host"],
        "envs": {"HOST_TOKEN": "host_secret"},
        "timeout": 300,
    }


def test_the_bridge_is_started_by_this_interpreter_and_not_from_the_working_folder():
    assert bridge_command() == [sys.executable, "-P", "-m", "host", "serve", "--stdio"]
    env = bridge_env("T", {"HOST_DATA_DIR": "/d", "SECRET": "x"})
    assert (env["HOST_TOKEN"], env["HOST_DATA_DIR"]) == ("T", "/d")
    assert "SECRET" not in env


def test_an_unknown_client_lists_the_nearest():
    with pytest.raises(NotFoundError, match="claude-code"):
        find_client("claude-cod")


def test_vscode_comments_survive(tmp_path: Path):
    one = installer("vscode", tmp_path)
    one.file.write_text(SAMPLES["vscode"])
    put(one)
    text = one.file.read_text()
    assert all(comment in text for comment in ("// my servers", "// from work", "// last"))
    assert parse_jsonc(text)["servers"]["gh"]["url"] == "https://gh.test"
