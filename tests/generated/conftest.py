"""One environment with what generated projects need, and an environment of its own for each."""

import os
import subprocess
import sys
import venv
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from generator.spec import Auth, Transport
from host.config.files import lock_file
from tests.generator.projects import Made, make, sources

ROOT = Path(__file__).parents[2]
NEEDED = (
    "fastmcp[tasks]>=4.1,<5",
    "pydantic-settings>=2.8",
    "httpx>=0.28",
    "sqlalchemy>=2.0.40",
    "hatchling>=1.27",
    "pytest>=8.4",
    "pyright>=1.1.400",
    "ruff>=0.12",
)
TRANSPORTS: tuple[tuple[Transport, Auth], ...] = (
    ("stdio", "none"),
    ("http", "none"),
    ("http", "bearer"),
    ("http", "oauth"),
)
FEATURES: tuple[tuple[str, ...], ...] = (
    (),
    ("lifespan",),
    ("elicitation",),
    ("elicitation", "lifespan", "tasks"),
)
KINDS = ("blank", "openapi", "python", "cli", "database", "curl")


@dataclass(frozen=True)
class Combination:
    """A source with a transport, an authentication and features."""

    kind: str
    transport: Transport
    auth: Auth
    features: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its project's name."""
        return "-".join([self.kind, self.transport, self.auth, *(f[:4] for f in self.features)])[
            :32
        ]


COMBINATIONS = [
    Combination(kind, *TRANSPORTS[number], FEATURES[(number + shift) % len(FEATURES)])
    for shift, kind in enumerate(KINDS)
    for number in range(len(TRANSPORTS))
]
"""Every source with every transport and authentication, the features going round: every pair."""


@dataclass(frozen=True)
class Installed:
    """A project that is installed in an environment of its own."""

    made: Made
    combination: Combination
    python: Path


def run(*words: object, folder: Path | None = None, status: int = 0) -> str:
    """Run a program to its end and return what it printed."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == status, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def environment(folder: Path, *, pip: bool) -> Path:
    """Make a virtual environment and return its Python."""
    venv.create(folder, with_pip=pip)
    return environment_python(folder)


def environment_python(folder: Path) -> Path:
    """Return the Python of a virtual environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install once what all projects depend on, and return that environment's Python."""
    temporary = tmp_path_factory.getbasetemp()
    shared = temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary
    folder, ready = shared / "base", shared / "base-ready"
    with lock_file(ready):
        if not ready.exists():
            python = environment(folder, pip=True)
            flags = ["--quiet", "--disable-pip-version-check", "--constraint"]
            run(python, "-m", "pip", "install", *flags, ROOT / "constraints.txt", *NEEDED)
            ready.touch()
    return environment_python(folder)


class Projects:
    """Makes and installs the project of a combination when it is first asked for."""

    def __init__(self, base: Path, folder: Path) -> None:
        self._base = base
        self._folder = folder
        self._sources = sources(folder)
        self._made: dict[str, Installed] = {}
        self._combinations = {one.name: one for one in COMBINATIONS}

    def __getitem__(self, name: str) -> Installed:
        if name not in self._made:
            self._made[name] = self._install(self._combinations[name])
        return self._made[name]

    def _install(self, one: Combination) -> Installed:
        answers = replace(
            self._sources[one.kind], transport=one.transport, auth=one.auth, features=one.features
        )
        made = make(answers, self._folder, one.name)
        python = environment(made.folder / ".venv", pip=False)
        (packages,) = (self._base.parents[1] / "lib").glob("python*/site-packages")
        (own,) = (made.folder / ".venv" / "lib").glob("python*/site-packages")
        (own / "dependencies.pth").write_text(f"{packages}\n")
        run(
            self._base, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
            "--no-build-isolation", "--disable-pip-version-check", made.folder,
        )  # fmt: skip
        return Installed(made, one, python)


@pytest.fixture(scope="session")
def projects(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Projects:
    """The projects, each made and installed once in a process."""
    return Projects(base, tmp_path_factory.mktemp("projects"))
