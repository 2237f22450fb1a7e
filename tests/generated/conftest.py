"""Every kind of project, each made once and installed into a fresh environment of its own."""

import os
import subprocess
import sys
import venv
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from generator.spec import Auth, Transport
from host.config.files import lock_file
from tests.generated.running import Credentials, Running, serving_json
from tests.generator.projects import Made, answers_about, make, write_sources

ROOT = Path(__file__).parents[2]
UV = "uv==0.13.9"
"""Installs an environment in a second: its files are hard links into a cache."""
WARM = (
    "fastmcp[tasks]>=4.1,<5",
    "pydantic-settings>=2.8",
    "httpx>=0.28",
    "sqlalchemy>=2.0.40",
    "pytest>=8.4",
    "pyright>=1.1.400",
    "ruff>=0.12",
)
"""What is compiled to byte code once, since no project brings other code of that size."""
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
    environ: dict[str, str]
    """The variables that its `.env.example` names, as its author would set them."""

    @property
    def name(self) -> str:
        """The project's name."""
        return self.made.name

    @property
    def package(self) -> str:
        """The name of its package."""
        return self.made.package

    @property
    def folder(self) -> Path:
        """The project's folder."""
        return self.made.folder

    @property
    def python(self) -> Path:
        """The Python of its environment."""
        return environment_python(self.made.folder / ".venv")

    @property
    def token(self) -> str:
        """What clients prove themselves with; empty where there is no authentication."""
        return self.environ.get("TOKEN_FOR_CLIENTS", "")


def run(*words: object, folder: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a program to its end and return what it printed; it has to succeed."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def environment_python(folder: Path) -> Path:
    """Return the Python of a virtual environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


@dataclass(frozen=True)
class Workshop:
    """What all projects of a run share, in every process: a folder, `uv`, its cache, byte code."""

    folder: Path

    @property
    def warm(self) -> Path:
        """The environment whose byte code the others are given."""
        return self.folder / "warm"

    def uv(self, *words: object) -> str:
        """Run uv."""
        env = {"UV_CACHE_DIR": str(self.folder / "uv-cache"), "UV_LINK_MODE": "hardlink"}
        return run(environment_python(self.folder / "tools"), "-m", "uv", *words, env=env)

    def install(self, folder: Path, *what: object) -> None:
        """Make a fresh environment and install into it."""
        self.uv("venv", "--quiet", "--python", sys.executable, folder)
        python = environment_python(folder)
        constraints = ROOT / "constraints.txt"
        self.uv("pip", "install", "--quiet", "--python", python, "-c", constraints, *what)

    def prepare(self) -> None:
        """Make what is shared, once."""
        venv.create(self.folder / "tools", with_pip=True)
        tools = environment_python(self.folder / "tools")
        run(tools, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV)
        self.install(self.warm, "--compile-bytecode", *WARM)
        run(environment_python(self.warm), "-m", "pyright", "--version")  # unpacks its JavaScript
        (self.folder / "sources").mkdir()
        write_sources(self.folder / "sources")


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Prepare what is shared, once for all processes of the run."""
    temporary = tmp_path_factory.getbasetemp()
    folder = temporary.parent if "PYTEST_XDIST_WORKER" in os.environ else temporary
    made = Workshop(folder / "workshop")
    with lock_file(made.folder):
        if not (made.folder / "ready").exists():
            made.folder.mkdir(exist_ok=True)
            made.prepare()
            (made.folder / "ready").touch()
    return made


def site_packages(environment: Path) -> Path:
    """Return the folder of an environment's packages."""
    (found,) = environment.glob("[Ll]ib/**/site-packages")
    return found


def give_byte_code(warm: Path, fresh: Path) -> int:
    """Link the byte code of files that are the same file in both, and return of how many.

    Only time is saved: the packages are those that were installed, and no others.
    """
    given = 0
    source, target = site_packages(warm), site_packages(fresh)
    for compiled in source.rglob("__pycache__/*.pyc"):
        module = compiled.parents[1] / f"{compiled.name.split('.', 1)[0]}.py"
        same = target / module.relative_to(source)
        if same.exists() and same.samefile(module):
            cache = same.parent / "__pycache__"
            cache.mkdir(exist_ok=True)
            if not (cache / compiled.name).exists():
                os.link(compiled, cache / compiled.name)
                given += 1
    return given


class Projects:
    """Makes and installs the project of a combination when it is first asked for."""

    def __init__(self, workshop: Workshop, credentials: Credentials, service: str) -> None:
        self._workshop = workshop
        self._credentials = credentials
        self._service = service
        self._combinations = {one.name: one for one in COMBINATIONS}

    def __getitem__(self, name: str) -> Installed:
        one = self._combinations[name]
        folder = self._workshop.folder / name
        with lock_file(folder):
            if not (folder / "ready").exists():
                package = self._install(one, folder)
                (folder / "ready").write_text(package)
        made = Made(name, folder / name, (folder / "ready").read_text())
        return Installed(made, one, self._environ(made, one))

    def _install(self, one: Combination, folder: Path) -> str:
        folder.mkdir(exist_ok=True)
        answers = replace(
            answers_about(self._workshop.folder / "sources")[one.kind],
            transport=one.transport,
            auth=one.auth,
            features=one.features,
        )
        made = make(answers, folder, one.name)
        fresh = made.folder / ".venv"
        self._workshop.install(
            fresh, "-e", made.folder, "--group", f"{made.folder}/pyproject.toml:dev"
        )
        give_byte_code(self._workshop.warm, fresh)
        return made.package

    def _environ(self, made: Made, one: Combination) -> dict[str, str]:
        """Fill `.env.example` in, as an author would."""
        prefix = f"{made.package.upper()}_"
        database = self._workshop.folder / "sources" / "shop.db"
        known = {
            "BASE_URL": self._service,
            "DATABASE_URL": f"sqlite:///{database}",
            **self._credentials.settings(one.auth),
        }
        found: dict[str, str] = {}
        for line in (made.folder / ".env.example").read_text().splitlines():
            key, equals, _ = line.lstrip("#").partition("=")
            short = key.removeprefix(prefix)
            if equals and (short in known or not line.startswith("#")):
                found[key] = known.get(short, "for-tests")
        return {**found, "TOKEN_FOR_CLIENTS": self._credentials.token(one.auth)}


@pytest.fixture(scope="session")
def credentials() -> Generator[Credentials]:
    """An authorization server's keys, published on loopback."""
    made = Credentials.generate()
    with serving_json({"keys": [made.published]}) as url:
        yield replace(made, jwks_url=url)


@pytest.fixture(scope="session")
def projects(workshop: Workshop, credentials: Credentials) -> Generator[Projects]:
    """The projects, and a service that answers any request with an object."""
    with serving_json({"good": True}) as service:
        yield Projects(workshop, credentials, service)


@pytest.fixture(scope="session")
def running(projects: Projects) -> Generator[Running]:
    """The project that is served over HTTP at the moment, one in each process."""
    found = Running(projects.__getitem__)
    yield found
    found.end()
