import os
from pathlib import Path

import pytest

from host.config.trust import TrustStore, unsafe_reason
from host.domain.errors import ConfigError, InvalidConfigError
from tests.config.conftest import Home

PROJECT = "servers: {mine: {command: ./run.sh}}\n"


def trust(home: Home) -> TrustStore:
    return TrustStore(home.paths.trust)


def test_a_strangers_folder_has_no_effect_and_is_said(home: Home):
    home.config("servers: {}")
    home.project("servers: {evil: {command: rm}}\nnonsense: [", env="HOST_CONFIG=/x\nA=1\n")
    loaded = home.load()
    assert loaded.settings.servers == {}
    assert "is not trusted" in loaded.warnings[0]
    assert "host trust" in loaded.warnings[0]


def test_a_trusted_folder_adds_its_servers_under_a_label(home: Home):
    home.config("servers: {own: {command: x}}")
    trust(home).pin(home.project(PROJECT))
    servers = home.load().settings.servers
    assert list(servers) == ["own", "mine"]
    assert servers["mine"].labels == ("project",)
    assert servers["mine"].cwd == str(home.work)


@pytest.mark.parametrize("change", ["edit", "replace", "symlink", "hard link", "pipe"])
def test_a_trusted_file_that_was_swapped_is_inert_again(home: Home, tmp_path: Path, change: str):
    file = home.project(PROJECT) / "host.yaml"
    trust(home).pin(home.work)
    other = tmp_path / "other.yaml"
    other.write_text("servers: {evil: {command: rm}}")
    if change == "edit":
        file.write_text("servers: {evil: {command: rm}}")
    else:
        file.unlink()
        {
            "replace": lambda: other.rename(file),
            "symlink": lambda: file.symlink_to(other),
            "hard link": lambda: os.link(other, file),
            "pipe": lambda: os.mkfifo(file),
        }[change]()
    loaded = home.load()
    assert "evil" not in loaded.settings.servers
    assert "mine" not in loaded.settings.servers
    assert any("host.yaml" in warning for warning in loaded.warnings)


def test_a_link_to_a_trusted_folder_is_the_folder_and_not_its_neighbour(home: Home):
    trust(home).pin(home.project(PROJECT))
    other = home.folder / "other"
    other.mkdir()
    (other / "host.yaml").write_text("servers: {evil: {command: rm}}")
    assert trust(home).read(other / "host.yaml").state == "untrusted"
    link = home.folder / "link"
    link.symlink_to(home.work)
    assert trust(home).read(link / "host.yaml").state == "trusted"
    link.unlink()
    link.symlink_to(other)
    assert trust(home).read(link / "host.yaml").state == "untrusted"


def test_an_env_file_that_came_later_is_not_used(home: Home):
    trust(home).pin(home.project("servers: {mine: {command: '${RUN:-safe}'}}"))
    (home.work / ".env").write_text("RUN=evil\n")
    loaded = home.load()
    assert loaded.settings.servers["mine"].command == "safe"
    assert any(".env is not trusted" in warning for warning in loaded.warnings)
    trust(home).pin(home.work)
    assert home.load().settings.servers["mine"].command == "evil"


def test_the_record_is_private_and_revoking_ends_trust(home: Home):
    store = trust(home)
    store.pin(home.project(PROJECT))
    assert store.file.stat().st_mode & 0o777 == 0o600
    assert store.revoke(home.work)
    assert not store.revoke(home.work)
    assert "mine" not in home.load().settings.servers


def test_a_damaged_record_trusts_nothing_and_says_so(home: Home):
    trust(home).pin(home.project(PROJECT))
    home.paths.trust.write_text("[{]")
    with pytest.raises(ConfigError, match="damaged"):
        home.load()


@pytest.mark.parametrize("place", ["work", "home"])
def test_a_folder_that_others_can_write_is_neither_pinned_nor_used(home: Home, place: str):
    trust(home).pin(home.project(PROJECT))
    (home.work if place == "work" else home.folder).chmod(0o777)
    assert "chmod go-w" in (unsafe_reason(home.work) or "")
    with pytest.raises(ConfigError, match="can be written by others"):
        trust(home).pin(home.work)
    assert "mine" not in home.load().settings.servers


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_folder_of_somebody_else_is_refused(home: Home):
    home.project(PROJECT)
    os.chown(home.work, 12345, 12345)
    with pytest.raises(ConfigError, match="belongs to user 12345"):
        trust(home).pin(home.work)


def test_an_empty_folder_or_a_linked_file_cannot_be_pinned(home: Home):
    with pytest.raises(ConfigError, match="nothing to trust"):
        trust(home).pin(home.work)
    (home.work / "host.yaml").symlink_to("/etc/passwd")
    with pytest.raises(ConfigError, match="symbolic link"):
        trust(home).pin(home.work)


def test_a_project_tightens_the_users_servers_and_never_loosens_them(home: Home):
    home.config(
        "servers:\n"
        "  a: {command: x, timeout: 10, tools: {deny: [d]}, max_result_bytes: 5000}\n"
        "  b: {command: x, enabled: false}\n"
        "  c: {command: x}\n"
        "http: {port: 1}\n"
    )
    project = (
        "servers:\n"
        "  a: {timeout: 99, tools: {deny: [e]}, max_result_bytes: 2000, labels: [private]}\n"
        "  b: {timeout: 5}\n"
        "  c: {enabled: false}\n"
        "  new: {command: y, trusted: true, prefix: ''}\n"
        "http: {port: 2, auth: none}\n"
        "clients: {x: {expose: all}}\n"
    )
    trust(home).pin(home.project(project))
    loaded = home.load()
    servers = loaded.settings.servers
    assert (servers["a"].timeout, servers["a"].max_result_bytes) == (10, 2000)
    assert servers["a"].tools.deny == ("d", "e")
    assert servers["a"].labels == ("private",)
    assert not servers["b"].enabled
    assert not servers["c"].enabled
    assert (servers["new"].trusted, servers["new"].prefix) == (False, None)
    assert (loaded.settings.http.port, loaded.settings.http.auth) == (1, "token")
    assert sum("is ignored in a working folder" in warning for warning in loaded.warnings) == 2


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{command: evil}", "not replace it"),
        ("{url: 'https://evil.test'}", "not replace it"),
        ("{enabled: true}", "False"),
        ("{env: {A: b}}", "no such setting"),
        ("{tools: {allow: ['*']}}", "no such setting"),
    ],
)
def test_a_project_that_would_change_a_server_of_the_users_is_a_fault(
    home: Home, entry: str, message: str
):
    home.config("servers: {a: {command: x, enabled: false}}")
    for block in ("servers", "mcpServers"):
        trust(home).pin(home.project(f"{block}:\n  a: {entry}\n"))
        with pytest.raises(InvalidConfigError, match=message) as caught:
            home.load()
        assert caught.value.line == 2
