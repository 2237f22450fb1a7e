"""API keys: where they are kept and found, and that nobody else gets to see one."""

import json
import os
import stat
from pathlib import Path

import pytest
from typing_extensions import override

from host.cli import keys as commands
from host.config.runtime import config_folder
from host.domain.errors import ConfigError
from host.secrets.keys import Keys
from host.secrets.tokens import TokenVault
from tests.fakes.command import run_host
from tests.fakes.model_provider import ModelProvider
from tests.fakes.model_wire import Answer
from tests.models.conftest import KEY


class Ring(TokenVault):
    """A keyring that may be locked."""

    def __init__(self, *, locked: bool = False) -> None:
        self.kept: dict[str, str] = {}
        self.locked = locked

    @override
    def load(self, key: str) -> str | None:
        return self.kept.get(key)

    @override
    def save(self, key: str, text: str) -> bool:
        if not self.locked:
            self.kept[key] = text
        return not self.locked

    @override
    def delete(self, key: str) -> None:
        self.kept.pop(key, None)


def content(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def test_key_goes_to_the_keyring_and_nothing_of_it_to_a_file(tmp_path: Path) -> None:
    keys = Keys(tmp_path, {}, keyring=(ring := Ring()))
    assert keys.save("openai", KEY) == "keyring"
    assert ring.kept == {"key-openai": KEY}
    assert KEY.encode() not in content(tmp_path)
    assert keys.find("openai") == KEY


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_without_a_keyring_the_key_is_in_an_encrypted_file_of_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    keys = Keys(folder, {}, keyring=Ring(locked=True))
    assert keys.save("openai", KEY) == "file"
    assert KEY.encode() not in content(folder)
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert Keys(folder, {}).find("openai") == KEY


def test_changed_vault_is_an_error_and_not_a_wrong_key(tmp_path: Path) -> None:
    keys = Keys(tmp_path, {})
    keys.save("openai", KEY)
    keys.save("anthropic", "another-key")
    (tmp_path / "key-openai.json").write_bytes((tmp_path / "key-anthropic.json").read_bytes())
    with pytest.raises(ConfigError, match="cannot be decrypted"):
        keys.find("openai")


def test_environment_stands_before_dotenv_and_that_before_what_is_stored(tmp_path: Path) -> None:
    env_file = tmp_path / ".env"
    environ: dict[str, str] = {}
    keys = Keys(tmp_path / "keys", environ, env_file=env_file)
    keys.save("openai", "stored")
    found = [keys.find("openai", ("OPENAI_API_KEY",))]
    env_file.write_text("OPENAI_API_KEY=from-file\n")
    found.append(keys.find("openai", ("OPENAI_API_KEY",)))
    environ["OPENAI_API_KEY"] = "from-environment"
    found.append(keys.find("openai", ("OPENAI_API_KEY",)))
    assert found == ["stored", "from-file", "from-environment"]


def places(folder: Path) -> dict[str, str]:
    """Return the variables by which each system finds the configuration folder."""
    names = ("HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA")
    return {name: str(folder / "config") for name in names}


def run(folder: Path, *words: str, stdin: str = "", **variables: str) -> tuple[int, str]:
    """Run a command in a home of its own, which `variables` may name another store for."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")},
        **places(folder),
        "HOST_DATA_DIR": str(folder / "data"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        **variables,
    }
    done = run_host(*words, folder=Path.cwd(), environ=environ, stdin=stdin)
    return done.returncode, done.stdout + done.stderr


def test_keys_are_set_listed_tested_and_removed_and_never_printed(
    tmp_path: Path,
    vendor: ModelProvider,
    store_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = config_folder(places(tmp_path))
    config.mkdir(parents=True)
    (config / "models.yaml").write_text(f"providers: {{openai: {{base_url: '{vendor.url}/v1'}}}}\n")
    ring = "keyring.backends.null.Keyring"
    home = {**places(tmp_path), "HOST_DATA_DIR": str(store_folder), "PYTHON_KEYRING_BACKEND": ring}
    for name, value in home.items():
        monkeypatch.setenv(name, value)
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "DATABASE_URL"):
        monkeypatch.delenv(variable, raising=False)

    assert run(tmp_path, "keys", "set", "openai", stdin=KEY, **home)[0] == 0
    commands.list_keys(as_json=True)
    listed = capsys.readouterr().out
    rows = {row["name"]: row["place"] for row in json.loads(listed)}
    assert (rows["openai"], rows["anthropic"]) == ("file", None)
    commands.probe_key("openai", model=None, as_json=True)
    tried = capsys.readouterr().out
    assert json.loads(tried)["model"] == "openai:gpt-5-nano"
    assert vendor.asked[0].headers["authorization"] == f"Bearer {KEY}"

    vendor.will(Answer(status=401, error=f"Incorrect API key: {KEY}", kind="invalid_api_key"))
    code, refused = run(tmp_path, "keys", "test", "openai", **home)
    assert (code, "openai:gpt-5-nano refused the key" in refused) == (1, True)
    assert run(tmp_path, "keys", "remove", "openai", **home)[0] == 0
    with pytest.raises(ConfigError, match="host keys set openai"):
        commands.probe_key("openai", model=None, as_json=True)
    told = listed + tried + refused
    assert KEY not in told
    assert "Traceback" not in told


def test_models_list_shows_scripts_prices_and_which_keys_are_there(tmp_path: Path) -> None:
    code, text = run(tmp_path, "models", "list", "--json", ANTHROPIC_API_KEY="x")
    assert code == 0
    cards = {card["name"]: card for card in json.loads(text)}
    assert cards["scripted:demo"]["key"] == "not needed"
    assert cards["anthropic:claude-haiku-4-5"]["key"] == "present"
    assert cards["anthropic:claude-haiku-4-5"]["input"] > 0
    code, text = run(tmp_path, "models", "test", "scripted:demo")
    assert (code, "scripted:demo answered" in text) == (0, True)
