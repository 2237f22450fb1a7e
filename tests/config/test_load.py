from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from host.config.defaults import default_servers
from host.config.shipped import bundled_servers
from host.domain.errors import ConfigError, InvalidConfigError
from tests.config.conftest import Home

Faults = Callable[[str], list[tuple[int | None, str | None, str]]]


def test_without_any_file_the_bundled_servers_that_exist_are_served(home: Home):
    loaded = home.load()
    assert [source.kind for source in loaded.sources] == ["defaults"]
    assert loaded.settings.servers == default_servers()
    assert set(loaded.settings.servers) <= set(bundled_servers())
    assert "database" not in loaded.settings.servers


def test_a_file_without_servers_keeps_the_bundled_ones_and_an_empty_block_has_none(home: Home):
    home.config("http: {port: 9}\n")
    assert home.load().settings.servers == default_servers()
    home.config("servers:\n")
    assert home.load().settings.servers == {}


def test_every_file_name_and_both_languages_are_found(home: Home):
    for name, text in [("host.json", '{"http": {"port": 3}}'), ("host.yml", "http: {port: 2}")]:
        home.config(text, name=name)
        assert home.load().settings.http.port == int(text.rstrip("}")[-1])
    home.config("http: {port: 1}")
    assert home.load().settings.http.port == 1


def test_an_explicit_file_holds_alone_and_the_option_beats_the_variable(home: Home, tmp_path: Path):
    home.config("http: {port: 1}")
    for name, port in [("a", 2), ("b", 3)]:
        (tmp_path / f"{name}.yaml").write_text(f"http: {{port: {port}}}")
    home.environ["HOST_CONFIG"] = str(tmp_path / "a.yaml")
    assert home.load().settings.http.port == 2
    assert home.load(tmp_path / "b.yaml").settings.http.port == 3
    assert [source.kind for source in home.load(tmp_path / "b.yaml").sources] == ["option"]
    home.environ["HOST_CONFIG"] = str(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match=r"absent\.yaml: The file does not exist"):
        home.load()


def test_the_block_that_clients_use_is_merged_and_translated(home: Home):
    home.config(
        "servers: {one: {command: a}}\n"
        "mcpServers:\n"
        "  two: {command: b, type: stdio, disabled: true, autoApprove: [x]}\n"
        "  three: {type: streamable-http, serverUrl: 'https://x.test/mcp', args: []}\n"
    )
    loaded = home.load()
    assert {n: (s.kind, s.enabled) for n, s in loaded.settings.servers.items()} == {
        "one": ("stdio", True),
        "two": ("stdio", False),
        "three": ("http", True),
    }
    assert loaded.settings.mcp_servers == {}
    assert any("autoApprove is not taken over" in warning for warning in loaded.warnings)


def test_a_server_in_both_blocks_is_a_fault(faults: Faults):
    found = faults("servers: {a: {command: x}}\nmcpServers:\n  a: {command: y}\n")
    assert [(line, field) for line, field, _ in found] == [(3, "mcpServers.a")]


def test_references_come_from_the_environment_then_from_env_then_from_the_default(home: Home):
    home.environ["A"] = "shell"
    home.config(
        "servers:\n  x:\n    command: '${A}-${B}-${C:-default}-$${D}'\n    timeout: ${T:-5}\n",
        env="A=file\nB='from # file'\n",
    )
    server = home.load().settings.servers["x"]
    assert server.command == "shell-from # file-default-${D}"
    assert server.timeout == 5


def test_an_unset_variable_is_named_with_file_line_and_a_way_out(home: Home):
    home.environ.update({"GITHUB_TOKEN": "x"})
    home.config("servers:\n  gh:\n    command: x\n    env: {T: '${GITHUB_TOKN}'}\n")
    with pytest.raises(InvalidConfigError) as caught:
        home.load()
    text = str(caught.value)
    assert "host.yaml:4: servers.gh.env.T: The variable GITHUB_TOKN is not set" in text
    assert "did you mean GITHUB_TOKEN?" in text
    assert len(caught.value.problems) == 1


def test_every_fault_is_named_with_line_field_and_nearest_name(faults: Faults):
    found = faults(
        "servers:\n"
        "  a: {comand: npx}\n"
        "  b__c: {command: x}\n"
        "  host-files: {command: x}\n"
        "  d: {command: x, url: 'https://x'}\n"
        "  e: {url: nonsense}\n"
        "  f: {command: x, auth: {type: beerer}}\n"
        "  g: {command: x, timeout: soon}\n"
        "  h: {bundled: fils}\n"
        "  i: 7\n"
        "http: {port: 99999, auth: tokem}\n"
        "stor: {}\n"
    )
    texts = {line: text for line, _, text in found}
    assert {line: field for line, field, _ in found if line not in (2, 11)} == {
        3: "servers.b__c",
        4: "servers.host-files",
        5: "servers.d",
        6: "servers.e.url",
        7: "servers.f.auth",
        8: "servers.g.timeout",
        9: "servers.h.bundled",
        10: "servers.i",
        12: "stor",
    }
    assert [field for line, field, _ in found if line == 11] == ["http.port", "http.auth"]
    assert "Did you mean 'command'" in texts[2]
    assert "try 'b_c'" in texts[3]
    assert "try 'my-host-files'" in texts[4]
    assert "Exactly one of command, url, bundled" in texts[5]
    assert "'none', 'bearer', 'oauth'" in texts[7]
    assert "a number, but it is 'soon'" in texts[8]
    assert texts[9].endswith("did you mean 'files'?")
    assert "a mapping (name: value), but it is 7" in texts[10]
    assert "Did you mean 'store'?" in texts[12]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("servers: []", "servers"),
        ("servers: {a: }", "servers.a"),
        ("servers: {a: {command: [x]}}", "servers.a.command"),
        ("servers: {a: {command: x, args: x}}", "servers.a.args"),
        ("servers: {a: {command: x, env: {A: true}}}", "servers.a.env.A"),
        ("servers: {a: {command: x, tools: {allow: 1}}}", "servers.a.tools.allow"),
        ("servers: {a: {url: 'https://x', auth: {type: bearer}}}", "servers.a.auth.token"),
        ("servers: {a: {url: 'https://x', env: {A: b}}}", "servers.a"),
        ("servers: {a: {command: x, headers: {A: b}}}", "servers.a"),
        ("servers: {a: {command: x, transport: sse}}", "servers.a"),
        ("servers: {a: {command: x, settings: {}}}", "servers.a"),
        ("servers: {a: {command: x, timeout: 0}}", "servers.a.timeout"),
        ("mcpServers: {a: {command: x, nonsense: 1}}", "mcpServers.a.nonsense"),
        ("http: 3", "http"),
        ("http: {path: mcp}", "http.path"),
        ("http: {host: 0.0.0.0}", "http"),
        ("http: {auth: oauth}", "http"),
        ("clients: {c: {expose: some}}", "clients.c.expose"),
        ("daemon: {idle_timeout: -1}", "daemon.idle_timeout"),
        ("log: {level: loud}", "log.level"),
    ],
)
def test_a_wrong_type_or_value_at_any_level_is_a_fault_of_that_field(
    faults: Faults, text: str, field: str
):
    assert [found for _, found, _ in faults(text)] == [field]


@pytest.mark.parametrize("text", ["- a\n", "just text\n", "3\n"])
def test_a_file_that_is_no_mapping_is_refused(home: Home, text: str):
    home.config(text)
    with pytest.raises(ConfigError, match="has to be a mapping"):
        home.load()


def test_an_unreadable_file_is_named(home: Home, monkeypatch: pytest.MonkeyPatch):
    file = home.config("http: {}")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root reads everything, so the denial is made up
    with pytest.raises(ConfigError, match="Permission denied") as caught:
        home.load()
    assert caught.value.file == file


def test_secrets_are_masked_and_handed_to_redaction(home: Home):
    home.environ["MY_API_KEY"] = "from-environment"
    home.config(
        "servers:\n"
        "  a: {command: x, args: ['--k=${MY_API_KEY}'], env: {A_TOKEN: secret-1, LEVEL: info}}\n"
        "  b:\n    url: https://x.test\n    headers: {Authorization: secret-2, X-Team: blue}\n"
        "    auth: {type: bearer, token: secret-3}\n"
        "store: {url: 'postgresql://u:secret-4@h/d'}\n"
    )
    settings = home.load().settings
    assert settings.secret_values() == {
        "from-environment",
        "secret-1",
        "secret-2",
        "secret-3",
        "postgresql://u:secret-4@h/d",
    }
    assert "secret-" not in repr(settings)
    assert settings.servers["a"].plain_env() == {"A_TOKEN": "secret-1", "LEVEL": "info"}
    assert settings.store.url == SecretStr("postgresql://u:secret-4@h/d")


def test_an_error_does_not_print_a_secret(faults: Faults):
    text = "servers: {a: {command: x, env: {A_TOKEN: [hunter2]}, auth: {type: hunter2}}}"
    assert "hunter2" not in "".join(said for _, _, said in faults(text)[:1])


def test_an_env_file_that_others_can_read_is_warned_about(home: Home):
    home.config("http: {}", env="A=1\n")
    (home.paths.config / ".env").chmod(0o644)
    assert "can be read by others" in home.load().warnings[0]


def test_folders_of_servers_are_absolute(home: Home):
    home.config("servers: {a: {command: x, cwd: ~/src}, b: {command: x, cwd: sub}}")
    servers = home.load().settings.servers
    assert servers["a"].cwd == str(home.folder / "src")
    assert servers["b"].cwd == str(home.paths.config / "sub")


def test_each_value_knows_its_file_and_line(home: Home):
    file = home.config("servers:\n  a:\n    command: x\nhttp:\n  port: 4\n")
    places = home.load().places
    assert places["servers.a.command"] == f"{file}:3"
    assert places["http.port"] == f"{file}:5"
    assert "http.host" not in places


def test_two_servers_of_one_prefix_are_told_at_the_second_one(faults: Faults):
    found = faults(
        "servers:\n  a: {command: y}\nmcpServers:\n  b:\n    prefix: a\n    url: http://x\n"
    )
    assert [(line, field) for line, field, _ in found] == [(5, "mcpServers.b.prefix")]
    assert "The servers 'a' and 'b' both have the prefix 'a'" in found[0][2]


def test_a_number_in_place_of_a_command_is_told_with_the_other_faults(faults: Faults):
    found = faults("servers:\n  a: {command: 5, args: nope}\n")
    assert [field for _, field, _ in found] == ["servers.a.command", "servers.a.args"]


def test_an_unset_variable_is_not_likened_to_the_shells_own(home: Home):
    home.environ["_"] = "/usr/bin/env"
    home.config("servers: {a: {command: x, env: {K: '${NOPE_X}'}}}\n")
    with pytest.raises(InvalidConfigError, match=r"NOPE_X is not set\. Set it, put it"):
        home.load()
