"""Lays out the Python files of a project as its own `ruff format` would: text in, text out."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from generator.write import write_file

_PYPROJECT = "pyproject.toml"
_RUFF = (sys.executable, "-P", "-m", "ruff")
"""Without `-P`, a module of that name in the folder would be run."""
_SECONDS = 600

Say = Callable[[str], None]
"""Takes a sentence for the person who makes a project."""


def keep_quiet(_: str) -> None:
    """Say nothing."""


def lay_out(
    files: Mapping[str, str], *, say: Say = keep_quiet, ruff: tuple[str, ...] = _RUFF
) -> dict[str, str]:
    """Return files with those in Python laid out by the rules of their `pyproject.toml`.

    A text of any length or with any quotes has one layout this way, and it is the one that the
    project's own check asks for.

    Args:
        files: Path → text.
        say: Told where ruff could not be run, or could not read a file; that stays as it is.
        ruff: How ruff is started.
    """
    sources = {path: text for path, text in files.items() if path.endswith(".py")}
    if not sources:
        return dict(files)
    try:
        laid_out, problem = _formatted(sources, files.get(_PYPROJECT, ""), ruff)
    except (OSError, UnicodeError, subprocess.TimeoutExpired) as error:
        laid_out, problem = {}, f"ruff cannot be run ({type(error).__name__})"
    if problem:
        say(f"Not all Python files are laid out: {problem}. `ruff format` in the project does it.")
    return {**files, **laid_out}


def _formatted(
    sources: Mapping[str, str], pyproject: str, ruff: tuple[str, ...]
) -> tuple[dict[str, str], str]:
    """Return files as ruff leaves them, and what went wrong."""
    with tempfile.TemporaryDirectory(prefix="layout-") as name:
        folder = Path(name)
        for path, text in sources.items():
            write_file(folder, path, text)
        problem = _run(ruff, folder, pyproject)
        return {path: (folder / path).read_text("utf-8") for path in sources}, problem


def _run(ruff: tuple[str, ...], folder: Path, pyproject: str) -> str:
    """Run ruff over a folder, and return what went wrong."""
    rules = ["--isolated", "--line-length", "100"]
    if "[tool.ruff" in pyproject:
        write_file(folder, _PYPROJECT, pyproject)
        rules = ["--config", _PYPROJECT]
    words = ["format", *rules, "--no-cache", "--no-respect-gitignore", "."]
    done = subprocess.run(  # noqa: S603 - ruff, over files of our own
        [*ruff, *words], cwd=folder, capture_output=True, check=False, timeout=_SECONDS
    )
    if not done.returncode:
        return ""
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return f"ruff says: {lines[-1][:200]}" if lines else f"ruff ended with {done.returncode}"
