import stat
from pathlib import Path

from host.config.servers import ServerConfig
from host.gateway.upstream.knowledge import Knowledge

CONFIG = ServerConfig(command="npx", args=("-y", "server"))


def test_what_was_learnt_outlives_the_process(tmp_path: Path):
    file = tmp_path / "servers.json"
    first = Knowledge(file)
    first.note("github", first.of("github", CONFIG).model_copy(update={"talks_back": True}))

    assert Knowledge(file).of("github", CONFIG).talks_back
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_another_command_under_the_same_name_is_a_stranger(tmp_path: Path):
    known = Knowledge(tmp_path / "servers.json")
    known.note("github", known.of("github", CONFIG).model_copy(update={"instructions": "Ask."}))

    other = ServerConfig(command="npx", args=("-y", "another"))
    assert known.of("github", other).instructions is None


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path):
    file = tmp_path / "servers.json"
    file.write_text("{not json")

    assert not Knowledge(file).of("github", CONFIG).talks_back
