"""Writes, edits, appends, copies and moves, each atomic and with optimistic locking."""

import errno
import os
import stat
from dataclasses import dataclass
from functools import partial

from servers.files.atomic import (
    changing,
    check_free_name,
    make_folders,
    rename_free,
    replace,
    write_all,
)
from servers.files.editing import Edit, apply_edits, render_diff
from servers.files.names import check_new_name, fold, is_own
from servers.files.reading import Loaded, load, load_in
from servers.files.rooted import (
    Place,
    check_regular,
    check_writable,
    explain,
    opened_file,
    opened_folder,
    require,
)
from servers.files.settings import Settings
from servers.files.text import decode, digest_of, encode, same_digest
from servers.tool import RefusalError

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Change:
    """What a write did, or would do."""

    data: bytes
    created: bool = False
    diff: str = ""

    @property
    def digest(self) -> str:
        """The digest of the new content."""
        return digest_of(self.data)


def write_text(
    place: Place,
    content: str,
    settings: Settings,
    *,
    encoding: str = "auto",
    if_digest: str | None = None,
    overwrite: bool = True,
) -> Change:
    """Make a file, or replace it whole.

    Args:
        place: The file.
        content: Its whole text, line ends as given.
        settings: The server's limits.
        encoding: A codec; `auto` keeps the one of the file that is replaced, else UTF-8.
        if_digest: Replace only this content.
        overwrite: Whether a file that is there may be replaced.
    """
    with changing(place, parents=True) as folder:
        old = _current(place, folder, settings, if_digest)
        if old is not None and not overwrite:
            raise RefusalError(f"{str(place)!r} exists.", "Set overwrite: true to replace it.")
        data = encode(content, encoding, str(place), like=old.data if old else b"")
        _put(place, folder, data, old, settings)
        return Change(data, created=old is None)


def append_text(place: Place, content: str, settings: Settings, *, if_digest: str | None) -> Change:
    """Add text to a file's end, in the file's encoding, making the file if need be."""
    with changing(place, parents=True) as folder:
        old = _current(place, folder, settings, if_digest)
        before = old.data if old else b""
        mark = len(encode("", "auto", str(place), like=before))
        data = before + encode(content, "auto", str(place), like=before)[mark:]
        _put(place, folder, data, old, settings)
        return Change(data, created=old is None)


def edit_text(
    place: Place,
    edits: list[Edit],
    settings: Settings,
    *,
    encoding: str = "auto",
    if_digest: str | None = None,
    dry_run: bool = False,
) -> Change:
    """Apply edits to a text file, all or none; a dry run only shows the difference."""
    if dry_run:
        require(place)
        old = load(place, settings)
        _check_digest(place, old, if_digest)
        return _edited(place, old, edits, encoding)
    with changing(place) as folder:
        require(place)
        old = _current(place, folder, settings, if_digest)
        if old is None:
            raise RefusalError(f"{str(place)!r} is gone.", "`list` shows what is there.")
        change = _edited(place, old, edits, encoding)
        if change.data != old.data:
            _put(place, folder, change.data, old, settings)
        return change


def _edited(place: Place, old: Loaded, edits: list[Edit], encoding: str) -> Change:
    decoded = decode(old.data, encoding, str(place))
    new = apply_edits(decoded.text, edits, decoded.newline)
    data = encode(new, decoded.encoding, str(place), like=old.data)
    return Change(data, diff=render_diff(decoded.text, new, str(place)))


def _current(place: Place, folder: int, settings: Settings, if_digest: str | None) -> Loaded | None:
    """The file that is about to be replaced; None when the name is free and fit for a new file."""
    try:
        status = os.stat(place.name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        check_free_name(place, folder)
        if if_digest is not None:
            raise RefusalError(
                f"{str(place)!r} is not there, so no digest can match.", "Leave if_digest out."
            ) from None
        return None
    except OSError as error:
        raise explain(error, place) from error
    if stat.S_ISLNK(status.st_mode):
        raise RefusalError(
            f"{str(place)!r} is a symbolic link to {os.readlink(place.name, dir_fd=folder)!r}.",
            "Write to the file it points to.",
        )
    check_regular(place, status)
    old = load_in(folder, place, settings)
    _check_digest(place, old, if_digest)
    return old


def _check_digest(place: Place, old: Loaded, if_digest: str | None) -> None:
    if if_digest is not None and not same_digest(if_digest, old.digest):
        raise RefusalError(
            f"{str(place)!r} has changed: its digest is {old.digest}, not {if_digest}.",
            "Read it again and repeat the change on what is there now.",
        )


def _put(place: Place, folder: int, data: bytes, old: Loaded | None, settings: Settings) -> None:
    if len(data) > settings.max_file_bytes:
        raise RefusalError(
            f"{str(place)!r} would have {len(data)} bytes; files end at {settings.max_file_bytes}."
        )
    before = old.status if old else None
    replace(place, folder, partial(write_all, data=data), before=before)


def make_folder(place: Place) -> int:
    """Make a folder with those above it; returns how many were made, 0 when it was there."""
    if place.parts:
        check_writable(place)
    return make_folders(place)


def copy(source: Place, target: Place) -> int:
    """Copy a file, or a folder with all below it; returns how many files were copied.

    Links, devices, FIFOs and sockets inside a folder are left out. Each file appears whole; a
    folder grows file by file.
    """
    status = require(source)
    if not stat.S_ISDIR(status.st_mode):
        _copy_file(source, target)
        return 1
    if _inside(target, source):
        raise RefusalError(f"{str(target)!r} lies inside {str(source)!r}.", "Copy elsewhere.")
    return _copy_folder(source, target)


def _inside(place: Place, folder: Place) -> bool:
    return place.root is folder.root and place.parts[: len(folder.parts)] == folder.parts


def _copy_file(source: Place, target: Place) -> None:
    with opened_file(source) as (descriptor, status), changing(target, parents=True) as folder:
        check_free_name(target, folder)
        mode = stat.S_IMODE(status.st_mode)
        fill = partial(_pour, descriptor)
        replace(target, folder, fill, before=None, mode=mode)


def _pour(source: int, target: int) -> None:
    while chunk := os.read(source, _CHUNK):
        write_all(target, chunk)


def _copy_folder(source: Place, target: Place) -> int:
    with changing(target, parents=True) as folder:
        check_free_name(target, folder)
        try:
            os.mkdir(target.name, dir_fd=folder)
        except OSError as error:
            raise _explain_taken(error, target) from error
    copied = 0
    for name, kind in _entries(source):
        if kind == "folder":
            copied += _copy_folder(source.below(name), target.below(name))
        elif kind == "file":
            _copy_file(source.below(name), target.below(name))
            copied += 1
    return copied


def _entries(place: Place) -> list[tuple[str, str]]:
    with opened_folder(place) as folder, os.scandir(folder) as entries:
        return [
            (e.name, "folder" if e.is_dir(follow_symlinks=False) else "file")
            for e in entries
            if not is_own(e.name)
            and (e.is_dir(follow_symlinks=False) or e.is_file(follow_symlinks=False))
        ]


def move(source: Place, target: Place) -> None:
    """Rename or move a file, folder or link, never over anything."""
    check_writable(source)
    require(source)
    if target.parts != source.parts and _inside(target, source):
        raise RefusalError(f"{str(target)!r} lies inside {str(source)!r}.", "Move elsewhere.")
    with changing(target, parents=True) as folder, opened_folder(source.parent) as origin:
        _check_target_name(source, target, folder)
        try:
            rename_free(origin, source.name, folder, target.name)
        except OSError as error:
            if error.errno == errno.EXDEV:
                raise RefusalError(
                    f"{str(source)!r} and {str(target)!r} are on different file systems.",
                    "Use `copy`, then `delete`.",
                ) from error
            raise _explain_taken(error, target) from error
        os.fsync(folder)
        os.fsync(origin)


def _check_target_name(source: Place, target: Place, folder: int) -> None:
    """A new name must be fit and free; changing only the case of a name is allowed."""
    same_folder = source.root is target.root and source.parent.parts == target.parent.parts
    if same_folder and fold(source.name) == fold(target.name):
        check_new_name(target.name)
    else:
        check_free_name(target, folder)


def _explain_taken(error: OSError, place: Place) -> RefusalError:
    if isinstance(error, FileExistsError):
        return RefusalError(f"{str(place)!r} exists.", "Delete it first, or choose another name.")
    return explain(error, place)
