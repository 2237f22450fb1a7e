import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.config.client_files import Machine
from host.config.edit import add_variables, edit_config, set_server
from host.config.expand import is_secret_name, parse_env
from host.config.imports import FoundServer, Target, collect_servers, find_files, read_servers
from host.config.names import check_name, suggest_name
from host.config.servers import ServerConfig
from host.domain.errors import ConfigError, InvalidConfigError

EMPTY = Target({}, {}, {})


def take(tmp_path: Path, content: object, *, target: Target = EMPTY) -> dict[str, FoundServer]:
    file = tmp_path / "mcp.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return {server.title: server for server in collect_servers(file, target)}


def test_secrets_move_to_variables_and_the_rest_stays(tmp_path: Path):
    entry = {
        "command": "npx",
        "args": ["-y", "x", "--api-key", "abc", "--token=def", "sk-abcdefghijklmnopqrst"],
        "env": {"GITHUB_TOKEN": "ghp_1", "LOG_LEVEL": "info", "HAVE": "${SET}"},
    }
    target = Target({}, {}, {"SET": "1"})
    server = take(tmp_path, {"mcpServers": {"GitHub": entry}}, target=target)["GitHub"]
    assert server.skipped is None
    assert server.name == "git-hub"
    assert server.entry == {
        "command": "npx",
        "args": [
            *("-y", "x", "--api-key", "${GIT_HUB_API_KEY}"),
            *("--token=${GIT_HUB_TOKEN}", "${GIT_HUB_KEY}"),
        ],
        "env": {"GITHUB_TOKEN": "${GITHUB_TOKEN}", "LOG_LEVEL": "info", "HAVE": "${SET}"},
    }
    assert server.variables == {
        "GITHUB_TOKEN": "ghp_1",
        "GIT_HUB_API_KEY": "abc",
        "GIT_HUB_TOKEN": "def",
        "GIT_HUB_KEY": "sk-abcdefghijklmnopqrst",
    }


def test_the_same_variable_with_two_values_gets_two_names(tmp_path: Path):
    found = take(
        tmp_path,
        {
            "mcpServers": {
                "a": {"command": "x", "env": {"GH_TOKEN": "1"}},
                "b": {"command": "y", "env": {"GH_TOKEN": "2"}},
                "c": {"command": "z", "env": {"GH_TOKEN": "1"}},
            }
        },
    )
    assert found["a"].entry["env"] == {"GH_TOKEN": "${GH_TOKEN}"} == found["c"].entry["env"]
    assert found["b"].entry["env"] == {"GH_TOKEN": "${B_GH_TOKEN}"}


def test_vs_code_inputs_become_variables_to_fill_in(tmp_path: Path):
    server = take(
        tmp_path,
        '{"inputs": [{"id": "api-key", "type": "promptString"}], // asked\n "servers": {"p": '
        '{"type": "stdio", "command": "x", "env": {"K": "${input:api-key}", "H": "${env:H}"}},}}',
    )["p"]
    assert server.entry["env"] == {"K": "${API_KEY}", "H": "${H}"}
    assert server.variables == {"API_KEY": "", "H": ""}
    assert server.notes == ["fill in API_KEY in .env", "fill in H in .env"]


@pytest.mark.parametrize(
    "entry",
    [
        {"command": "/v/bin/python", "args": ["-P", "-m", "host", "serve", "--stdio"]},
        {"command": "host", "args": ["serve", "--stdio"]},
        {"command": "C:\\v\\Scripts\\agent-host.exe", "args": ["serve", "--stdio"]},
        {"url": "http://localhost:8765/mcp"},
        {"httpUrl": "http://127.0.0.1:8765/mcp"},
        {"command": "wrapper", "env": {"HOST_TOKEN": "host_x"}},
    ],
)
def test_the_host_never_imports_itself(tmp_path: Path, entry: dict[str, object]):
    server = take(tmp_path, {"mcpServers": {"h": entry}})["h"]
    assert server.skipped == "this is the host itself"


def test_what_cannot_work_here_is_left_out_with_its_reason(tmp_path: Path):
    found = take(
        tmp_path,
        {
            "mcpServers": {
                "folder": {"command": "x", "args": ["${workspaceFolder}/a"]},
                "empty": {},
                "text": "x",
                "built": {"type": "builtin"},
                "odd": {"command": "x", "nonsense": 1},
                "have": {"command": "x"},
            }
        },
        target=Target({"have": ServerConfig(command="x")}, {}, {}),
    )
    reasons = {title: server.skipped or "" for title, server in found.items()}
    assert "the client's folder" in reasons["folder"]
    assert "Exactly one of command, url, bundled" in reasons["empty"]
    assert "not a mapping" in reasons["text"]
    assert "part of the client" in reasons["built"]
    assert "no such setting" in reasons["odd"]
    assert "already a server" in reasons["have"]


def test_claude_codes_projects_and_names_that_clash_are_taken(tmp_path: Path):
    found = take(
        tmp_path,
        {
            "mcpServers": {"My Server": {"type": "http", "url": "https://a.test"}},
            "projects": {"/w": {"mcpServers": {"my-server": {"command": "x", "args": []}}}},
        },
    )
    assert found["My Server"].name == "my-server"
    assert found["my-server"].name == "my-server-2"
    assert found["my-server"].entry["cwd"] == "/w"


def test_goose_is_read_with_the_keys_of_its_keyring(tmp_path: Path):
    file = tmp_path / "config.yaml"
    file.write_text(
        "extensions:\n  dev: {type: builtin, name: dev}\n  gh:\n    type: stdio\n    cmd: npx\n"
        "    args: [x]\n    enabled: false\n    env_keys: [GH_TOKEN]\n    envs: {A: b}\n"
        "    timeout: 300\n"
    )
    found = {server.title: server for server in collect_servers(file, EMPTY)}
    assert found["dev"].skipped == "it is part of the client"
    assert found["gh"].skipped is None
    assert found["gh"].entry == {
        "command": "npx",
        "args": ["x"],
        "enabled": False,
        "env": {"GH_TOKEN": "${GH_TOKEN}", "A": "b"},
        "timeout": 300,
    }


@pytest.mark.parametrize("content", ["[]", "{", '{"a": 1}', '{"mcpServers": 1}', "\x00"])
def test_a_file_that_lists_no_servers_is_refused_by_name(tmp_path: Path, content: str):
    file = tmp_path / "mcp.json"
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        read_servers(file)
    assert caught.value.file == file


def test_the_clients_files_that_exist_are_found(tmp_path: Path):
    (tmp_path / ".cursor").mkdir()
    (tmp_path / ".cursor" / "mcp.json").write_text("{}")
    assert find_files(Machine(tmp_path, {}, "linux")) == [tmp_path / ".cursor" / "mcp.json"]


def test_an_edit_that_would_be_wrong_is_not_written(tmp_path: Path):
    file = tmp_path / "host.yaml"
    file.write_text("# mine\nservers: {}\n")
    with pytest.raises(InvalidConfigError):
        edit_config(file, set_server(file, "a", {"command": "${UNSET_X}"}), environ={})
    assert file.read_text() == "# mine\nservers: {}\n"
    edit_config(file, set_server(file, "a", {"command": "${K}"}), variables={"K": "v"}, environ={})
    assert (tmp_path / "host.yaml.bak").read_text() == "# mine\nservers: {}\n"
    assert file.read_text().startswith("# mine\nservers:\n  a:\n")
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600


@settings(deadline=None)
@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z_]{0,5}", fullmatch=True), st.text(max_size=20)))
def test_whatever_is_written_to_env_is_read_back(values: dict[str, str]):
    try:
        text = add_variables("OLD=1", values)
    except ConfigError:
        return
    assert parse_env(text) == {**values, "OLD": "1"}


@given(st.text("ab'\"\\ #$=", max_size=12))
def test_quotes_and_signs_can_be_written_to_env(value: str):
    assert parse_env(add_variables("", {"A": value})) == {"A": value}


@given(st.text(max_size=50))
def test_any_name_has_a_legal_suggestion(name: str):
    assert check_name(suggest_name(name)) is None
    if check_name(name) is None:
        assert suggest_name(name) == name


@pytest.mark.parametrize("name", ["TOKEN", "apiKey", "X-Api-Key", "Authorization", "GH_PAT", "key"])
def test_names_of_secrets_are_known(name: str):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["PATH", "LOG_LEVEL", "KEYBOARD", "X-Team", "author", "passage"])
def test_other_names_are_no_secrets(name: str):
    assert not is_secret_name(name)
