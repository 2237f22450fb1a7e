"""Writes the files of a project: into a new folder whole or not at all, never over anything."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from generator.errors import GeneratorError
from generator.render import check_path


def write_project(
    folder: Path, files: Mapping[str, str], *, instead: str = "Choose another name or folder."
) -> None:
    """Write files into a folder that is not there yet, or is empty.

    They are written beside it first, so that an interruption leaves no half of a project.

    Args:
        folder: The project's folder.
        files: Path → text.
        instead: What to do where the folder is there.

    Raises:
        GeneratorError: The folder has something in it, or cannot be written.
    """
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise GeneratorError(
            f"{folder} exists already, and nothing is overwritten.",
            next_step=instead,
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as beside:
            place = Path(beside) / "project"
            place.mkdir()
            for path, text in files.items():
                write_file(place, path, text)
            place.chmod(0o755 & ~_umask())
            if folder.exists():
                folder.rmdir()
            place.rename(folder)
    except OSError as error:
        raise GeneratorError(f"{folder} cannot be written: {error}.") from error


def add_files(folder: Path, files: Mapping[str, str]) -> list[Path]:
    """Write files into a folder that may have others in it, and return them: all, or none.

    Args:
        folder: Where they go.
        files: Path → text.

    Raises:
        GeneratorError: One of them is there already, or cannot be written.
    """
    written: list[Path] = []
    try:
        for path, text in files.items():
            check_path(path)
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8", newline="\n") as stream:
                written.append(file)
                stream.write(text)
    except OSError as error:
        for file in written:
            file.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise GeneratorError(
                f"{error.filename or folder} exists already, and nothing is overwritten.",
                next_step="Choose another name.",
            ) from error
        raise GeneratorError(f"{folder} cannot be written: {error}.") from error
    return written


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def place_of(folder: Path, path: str) -> Path:
    """Return where a file of a project is.

    Raises:
        GeneratorError: Its path leaves the project, through a link too.
    """
    check_path(path)
    file = folder / path
    if not file.parent.resolve().is_relative_to(folder.resolve()) or file.is_symlink():
        raise GeneratorError(f"{path} leads out of {folder} through a link.")
    return file


def write_file(folder: Path, path: str, text: str) -> None:
    """Write one file of a project.

    Raises:
        GeneratorError: Its path leaves the project, through a link too.
    """
    file = place_of(folder, path)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
