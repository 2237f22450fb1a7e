"""A virtual environment with nothing in it but the host, as a user's `pip install` leaves it."""

import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Installation:
    """A host that was installed outside of the checkout.

    Attributes:
        bin: Folder of its commands.
        home: Home and working folder of whoever runs it.
    """

    bin: Path
    home: Path

    @property
    def environ(self) -> dict[str, str]:
        """An environment that knows nothing of the checkout."""
        return {
            "HOME": str(self.home),
            "PATH": f"{self.bin}{os.pathsep}/usr/bin:/bin",
            "HOST_DATA_DIR": str(self.home / "data"),
            "HOST_RUNTIME_DIR": str(self.home / "run"),
            "NO_COLOR": "1",
        }

    def run(self, *words: str, expect: int | None = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.bin / words[0], *words[1:]],
            cwd=self.home,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert expect is None or done.returncode == expect, done.stdout + done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done


def install(make: pytest.TempPathFactory, *options: str | Path) -> Installation:
    """Install the project with the pip that a new environment comes with, which may be old."""
    folder = make.mktemp("venv")
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [scripts / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, *options, ROOT], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    home = make.mktemp("home")
    home.chmod(0o755)
    return Installation(scripts, home)


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Return the project installed by pip from this tree, with the pinned dependencies."""
    return install(tmp_path_factory, "--constraint", ROOT / "constraints.txt")


@pytest.fixture(scope="session")
def installed_bare(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    """Return the project as a plain `pip install .` leaves it, with the newest dependencies."""
    return install(tmp_path_factory)
