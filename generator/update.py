"""Merges newly rendered files into a project whose author has edited it: three ways, with git."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from generator.errors import GeneratorError
from generator.layout import lay_out
from generator.write import place_of, write_file

YOURS, NOW = "yours", "as it is made now"
"""How the two sides of a conflict are marked."""


@dataclass(frozen=True)
class Outcome:
    """What an update did: path → `added`, `changed`, `merged`, `removed`, `kept` or `conflict`."""

    changes: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def conflicts(self) -> tuple[str, ...]:
        """Files that a person has to finish."""
        return tuple(path for path, change in self.changes.items() if change == "conflict")


def open_conflicts(project: Path, files: Iterable[str]) -> tuple[str, ...]:
    """Return those of a project's files that have the marks of an earlier update in them."""
    found: list[str] = []
    for path in sorted(files):
        lines = (_read(place_of(project, path)) or "").splitlines()
        if {f"<<<<<<< {YOURS}", f">>>>>>> {NOW}"} & set(lines):
            found.append(path)
    return tuple(found)


def update_project(project: Path, before: Mapping[str, str], after: Mapping[str, str]) -> Outcome:
    """Bring a project from one rendering to another; the author's edits stay.

    A file that the author removed stays away; one that is no longer rendered goes, unless it was
    edited; to have it laid out by a formatter is no edit. Everything is worked out before anything
    is written.

    Args:
        project: The project's folder.
        before: The files as they were rendered.
        after: The files as they are rendered now.

    Raises:
        GeneratorError: git is missing, a file is not text, or a path leaves the project, as one in
            the record of a stranger's project could.
    """
    changes: dict[str, str] = {}
    texts: dict[str, str | None] = {}
    laid_out = lay_out(before)
    for path in sorted({*before, *after}):
        mine = _read(place_of(project, path))
        olds = tuple(dict.fromkeys(one[path] for one in (before, laid_out) if path in one))
        change, text = _merge(path, olds, mine, after.get(path))
        if change:
            changes[path] = change
            if text != mine:
                texts[path] = text
    for path, text in texts.items():
        if text is None:
            place_of(project, path).unlink()
        else:
            write_file(project, path, text)
    return Outcome(changes)


def _read(file: Path) -> str | None:
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise GeneratorError(f"{file} cannot be read: {error}.") from error


def _merge(
    path: str, olds: tuple[str, ...], mine: str | None, new: str | None
) -> tuple[str, str | None]:
    """Return what happens to a file, empty for nothing, and its text.

    Args:
        path: The file.
        olds: The file as it was made, and as it is laid out if it is not made so.
        mine: The file as it is.
        new: The file as it is made now.
    """
    if new == mine or new in olds[:1]:
        return "", mine
    if new is None:
        return ("removed", None) if mine in olds else ("kept", mine)
    if mine is None:
        return ("", None) if olds else ("added", new)
    if mine in olds:
        return "changed", new
    merged = [_three_way(path, old, mine, new) for old in olds or ("",)]
    return min(merged, key=lambda one: one[0] == "conflict")


def _three_way(path: str, old: str, mine: str, new: str) -> tuple[str, str]:
    git = shutil.which("git")
    if git is None:
        raise GeneratorError("git was not found, which merges edits.", next_step="Install git.")
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("mine", "old", "new")]
        for file, text in zip(files, (mine, old, new), strict=True):
            file.write_bytes(text.encode())
        labels = ["-L", YOURS, "-L", "as it was made", "-L", NOW]
        done = subprocess.run(  # noqa: S603 - git, with files of our own
            [git, "merge-file", "--stdout", "--diff3", *labels, *map(str, files)],
            capture_output=True,
            check=False,
        )
    if done.returncode < 0 or done.returncode > 127:
        raise GeneratorError(f"git could not merge {path}: {done.stderr.decode()[:300]}.")
    return ("conflict" if done.returncode else "merged"), done.stdout.decode()
