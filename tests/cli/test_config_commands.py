import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.command import run_host

ROOT = Path(__file__).parents[2]


class Shell:
    """Runs the real `host` command with a home and a working folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.work = self.home / "work"
        self.work.mkdir(parents=True)
        self.config = self.home / ".config" / "mcp-agent-host" / "host.yaml"
        self.environ = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "NO_COLOR": "1",
        }

    def run(self, *words: str, expect: int = 0, answer: str = "") -> tuple[str, str]:
        outcome = run_host(*words, folder=self.work, environ=self.environ, stdin=answer)
        assert outcome.returncode == expect, outcome.stdout + outcome.stderr
        assert "Traceback" not in outcome.stderr
        return outcome.stdout, outcome.stderr

    def rows(self, *words: str) -> list[dict[str, object]]:
        return json.loads(self.run(*words, "--json")[0])


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_init_writes_a_good_file_once(shell: Shell):
    shell.run("init")
    assert shell.config.stat().st_mode & 0o777 == 0o600
    assert (shell.config.parent / "host.schema.json").is_file()
    assert "Good: " in shell.run("config", "check")[0]
    assert "--force" in shell.run("init", expect=2)[1]
    shell.run("init", "--force")
    assert shell.config.with_name("host.yaml.bak").is_file()


def test_check_lists_every_fault_and_its_exit_status_tells(shell: Shell):
    file = shell.work / "x.yaml"
    file.write_text("servers:\n  a: {comand: x}\nhttp: {prt: 1}\n")
    said = shell.run("config", "check", str(file), expect=2)[0]
    assert f"{file}:2: servers.a.comand" in said
    assert f"{file}:3: http.prt: There is no such setting. Did you mean 'port'?" in said
    faults = json.loads(shell.run("config", "check", str(file), "--json", expect=2)[0])["faults"]
    assert [fault["line"] for fault in faults] == [2, 3]
    file.write_text("mcpServers: {a: {command: x, trust: true}}\n")
    assert "trust is not taken over" in shell.run("config", "check", str(file))[0]
    shell.run("config", "check", str(file), "--strict", expect=1)


def test_check_tells_what_a_bundled_server_would_not_start_with(shell: Shell):
    shell.config.parent.mkdir(parents=True, exist_ok=True)
    shell.config.write_text(
        "servers:\n"
        "  files: {bundled: files}\n"
        "  limits:\n    bundled: files\n    settings:\n      roots: [/tmp]\n      max_entries: 0\n"
        "  spare: {bundled: files, enabled: false}\n"
    )
    said, _ = shell.run("config", "check", expect=2)
    assert "host.yaml:2: servers.files.settings.roots: The bundled server 'files'" in said
    assert "host.yaml:7: servers.limits.settings.max_entries: " in said
    assert "2 faults." in said


def test_show_masks_secrets_and_names_the_source_of_each_value(shell: Shell):
    file = shell.work / "x.yaml"
    file.write_text(
        "servers:\n  a:\n    command: x\n    args: ['--key=${API_KEY}']\n"
        "    env: {A_TOKEN: s3cret}\n"
    )
    shell.environ["API_KEY"] = "from-shell"
    said, _ = shell.run("config", "show", "--config", str(file))
    assert "s3cret" not in said
    assert "from-shell" not in said
    assert f'["--key=********"]  # {file}:4' in said
    everything = json.loads(shell.run("config", "show", "-c", str(file), "--all", "--json")[0])
    sources = {one["field"]: one["source"] for one in everything}
    assert sources["servers.a.command"] == f"{file}:3"
    assert sources["http.port"] == "default"


def test_a_strangers_folder_is_inert_until_trusted_and_again_when_changed(shell: Shell):
    (shell.work / "host.yaml").write_text("servers: {theirs: {command: x}}\n")
    said, warned = shell.run("servers", "list")
    assert "theirs" not in said
    assert "is not trusted" in warned
    shell.run("trust")
    assert "theirs" in shell.run("servers", "list")[0]
    listed = shell.rows("trust", "list")
    assert listed[0]["files"] == {"host.yaml": "trusted"}
    (shell.work / "host.yaml").write_text("servers: {worse: {command: x}}\n")
    said, warned = shell.run("servers", "list")
    assert "worse" not in said + said
    assert "changed since you trusted it" in warned
    shell.run("trust", "revoke")
    shell.run("trust", "revoke", expect=1)
    assert shell.rows("trust", "list") == []


def test_what_is_shown_before_trusting_hides_nothing(shell: Shell):
    (shell.work / "host.yaml").write_text("servers: {} # \x1b[2K \u202e x\n")
    said, _ = shell.run("trust", "--show")
    assert "\\u001b[2K \\u202e x" in said
    assert "(untrusted)" in said
    assert shell.rows("trust", "list") == []


def test_a_server_is_added_and_removed_and_comments_stay(shell: Shell):
    shell.run("init")
    before = shell.config.read_text()
    shell.run("servers", "add", "gh", "--env", "GH_TOKEN=s3cret", "--", "npx", "-y", "x", "--flag")
    text = shell.config.read_text()
    assert "s3cret" not in text
    assert all(line in text for line in before.splitlines())
    assert "GH_TOKEN='s3cret'" in shell.config.with_name(".env").read_text()
    rows = shell.rows("servers", "list")
    assert [row["target"] for row in rows if row["name"] == "gh"] == ["npx"]
    assert "--replace" in shell.run("servers", "add", "gh", "--", "y", expect=2)[1]
    shell.run("servers", "remove", "gh")
    assert shell.config.read_text() == before
    assert "no server named" in shell.run("servers", "remove", "gh", expect=1)[1]


def test_a_bad_server_is_refused_before_anything_is_written(shell: Shell):
    for words in (
        ["host-x", "--", "x"],
        ["a__b", "--", "x"],
        ["a"],
        ["a", "--url", "nonsense"],
        ["a", "--url", "https://x", "--", "y"],
        ["a", "--env", "novalue", "--", "x"],
    ):
        shell.run("servers", "add", *words, expect=2)
    assert not shell.config.exists()


def test_the_first_server_of_ones_own_does_not_end_the_bundled_ones(shell: Shell):
    before = shell.rows("servers", "list")
    shell.run("servers", "add", "own", "--url", "https://x.test/mcp")
    after = shell.rows("servers", "list")
    assert [row["name"] for row in after] == [*(row["name"] for row in before), "own"]


def test_servers_of_other_clients_are_imported_after_asking(shell: Shell):
    cursor = shell.home / ".cursor" / "mcp.json"
    cursor.parent.mkdir()
    servers = {"Git Hub": {"command": "npx", "env": {"GH_TOKEN": "s3cret"}}, "host__x": {"url": 1}}
    cursor.write_text(json.dumps({"mcpServers": servers}))
    said, _ = shell.run("servers", "import", "--dry-run")
    assert "+ git-hub: npx" in said
    assert "- host__x: left out" in said
    shell.run("servers", "import", expect=1, answer="n\n")
    assert not shell.config.exists()
    shell.run("servers", "import", "--from", "cursor", "--yes")
    assert "s3cret" not in shell.config.read_text()
    assert "git-hub" in shell.run("servers", "list")[0]
    assert "already a server" in shell.run("servers", "import", "--yes")[0]
    assert "no client or file" in shell.run("servers", "import", "--from", "cursr", expect=1)[1]


def test_a_client_gets_the_host_with_a_token_of_its_own_and_loses_both(shell: Shell):
    file = shell.home / ".cursor" / "mcp.json"
    file.parent.mkdir()
    file.write_text('{"mcpServers": {"a": {"command": "x"}}}')
    assert "+" in shell.run("install", "cursor", "--dry-run")[0]
    assert shell.rows("tokens", "list") == []
    shell.run("install", "cursor")
    entry = json.loads(file.read_text())["mcpServers"]["host"]
    assert entry["command"] == sys.executable
    assert entry["env"]["HOST_TOKEN"].startswith("host_")
    tokens = shell.rows("tokens", "list")
    assert [(one["name"], one["attended"]) for one in tokens] == [("cursor", True)]
    assert "this is the host itself" in shell.run("servers", "import", "--dry-run")[0]
    shell.run("install", "cursor", "--uninstall")
    assert file.read_text() == '{"mcpServers": {"a": {"command": "x"}}}'
    assert shell.rows("tokens", "list") == []
    assert "not installed" in shell.run("install", "cursor", "--uninstall", expect=2)[1]


def test_http_is_written_where_the_client_takes_it(shell: Shell):
    shell.run("install", "vscode", "--http")
    file = shell.home / ".config" / "Code" / "User" / "mcp.json"
    entry = json.loads(file.read_text())["servers"]["host"]
    assert (entry["type"], entry["url"]) == ("http", "http://127.0.0.1:8765/mcp")
    assert "no HTTP address" in shell.run("install", "claude-desktop", "--http", expect=2)[1]


def test_a_token_is_shown_once_and_bad_ones_are_refused(shell: Shell):
    token, _ = shell.run("tokens", "create", "ci", "--role", "viewer", "--expires", "30d")
    assert token.startswith("host_")
    said, _ = shell.run("tokens", "list")
    assert "viewer" in said
    assert token.strip() not in said
    assert "already a token" in shell.run("tokens", "create", "ci", expect=1)[1]
    assert "Roles are" in shell.run("tokens", "create", "x", "--role", "root", expect=2)[1]
    assert "30d" in shell.run("tokens", "create", "x", "--expires", "soon", expect=2)[1]
    shell.run("tokens", "revoke", "ci")
    assert "no token named" in shell.run("tokens", "revoke", "ci", expect=1)[1]


def test_the_shells_complete_commands(shell: Shell):
    shell.environ |= {
        "_HOST_COMPLETE": "complete_bash",
        "COMP_WORDS": "host ser",
        "COMP_CWORD": "1",
    }
    outcome = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            "import sys; sys.argv[0] = 'host'; import host.cli.main as m; m.run()",
        ],
        env=shell.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "servers" in outcome.stdout.split()
