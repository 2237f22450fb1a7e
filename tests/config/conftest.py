import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from host.config.load import LoadedSettings, load_settings
from host.config.paths import Paths, user_paths
from host.domain.errors import InvalidConfigError


@dataclass(frozen=True)
class Home:
    """A user's home in a temporary folder, with a working folder beside it."""

    folder: Path
    environ: dict[str, str]
    work: Path

    @property
    def paths(self) -> Paths:
        return user_paths(self.environ)

    def config(self, text: str, *, env: str | None = None, name: str = "host.yaml") -> Path:
        file = self.paths.config / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if env is not None:
            file.with_name(".env").write_text(env)
            file.with_name(".env").chmod(0o600)
        return file

    def project(self, text: str, *, env: str | None = None) -> Path:
        (self.work / "host.yaml").write_text(text)
        if env is not None:
            (self.work / ".env").write_text(env)
        return self.work

    def load(self, config: Path | None = None) -> LoadedSettings:
        return load_settings(config, folder=self.work, paths=self.paths, environ=self.environ)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    folder, work = tmp_path / "home", tmp_path / "home" / "work"
    work.mkdir(parents=True)
    # The test runner's own parent folder is world-writable with a sticky bit; nothing below it is.
    environ = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    for name in ("HOST_CONFIG", "HOST_DATA_DIR", "HOST_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    return Home(folder, environ, work)


@pytest.fixture
def faults(home: Home) -> Callable[[str], list[tuple[int | None, str | None, str]]]:
    def find(text: str) -> list[tuple[int | None, str | None, str]]:
        home.config(text)
        with pytest.raises(InvalidConfigError) as caught:
            home.load()
        return [(one.line, one.field, str(one)) for one in caught.value.problems]

    return find
