"""Deletes into a trash folder and brings back; it is all on disk, so restarts keep it."""

import json
import os
import re
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict

from servers.files.atomic import changing, rename_free, write_all
from servers.files.beneath import CLOEXEC, FOLDER
from servers.files.names import TRASH_NAME, check_below, nearest
from servers.files.rooted import Place, Root, explain, kind_of, require
from servers.files.settings import Settings
from servers.launch import SettingsError
from servers.tool import RefusalError

_ITEM, _RECORD = "item", "record.json"
_ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}", re.ASCII)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | CLOEXEC


class _Record(BaseModel):
    """What is believed of a record; the rest of it is for whoever looks into the folder."""

    model_config = ConfigDict(strict=True)
    path: tuple[str, ...]
    deleted_at: AwareDatetime


@dataclass(frozen=True)
class Deleted:
    """One deleted file, folder or link."""

    id: str
    path: tuple[str, ...]
    """Where it was, from the top of the configured root."""
    kind: str
    size: int
    """Bytes of a file; 0 for a folder."""
    deleted_at: str
    """UTC, ISO 8601."""


def open_trash(root: Root, settings: Settings) -> int | None:
    """Open the folder that the settings name for a root's trash.

    Raises:
        SettingsError: When it cannot be made, or is on another file system than the root.
    """
    if settings.trash is None:
        return None
    folder = settings.trash.expanduser().absolute() / root.name
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder, FOLDER | os.O_NOFOLLOW)
    except OSError as error:
        raise SettingsError(f"trash {str(folder)!r}: {error.strerror}.") from error
    if os.fstat(descriptor).st_dev != os.fstat(root.descriptor).st_dev:
        raise SettingsError(
            f"trash {str(folder)!r} is on another file system than the root {str(root.path)!r}; "
            "leave `trash` out to keep one in each root."
        )
    return descriptor


def delete(place: Place, settings: Settings) -> Deleted:
    """Move a file, folder or link to the trash.

    The record is on disk before the item moves: after a crash there is either the item in its
    old place or a record that brings it back.
    """
    with changing(place) as folder, _trash(place.root, make=True) as trash:
        status = require(place)
        now = datetime.now(UTC)
        deleted = Deleted(
            id=f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}",
            path=(*place.root.prefix, *place.parts),
            kind=kind_of(status),
            size=0 if kind_of(status) == "folder" else status.st_size,
            deleted_at=now.isoformat(timespec="seconds"),
        )
        os.mkdir(deleted.id, 0o700, dir_fd=trash)
        with _entry(trash, deleted.id) as entry:
            _write_new(entry, _RECORD, json.dumps(asdict(deleted)).encode())
            os.fsync(trash)
            try:
                rename_free(folder, place.name, entry, _ITEM)
            except OSError as error:
                shutil.rmtree(deleted.id, dir_fd=trash)
                raise explain(error, place) from error
            os.fsync(entry)
        os.fsync(folder)
    purge(place.root, settings)
    return deleted


def restore(root: Root, deleted: Deleted, to: Place | None = None) -> Place:
    """Put a deleted item back where it was, or elsewhere, never over anything."""
    place = to or Place(root, deleted.path[len(root.prefix) :])
    with changing(place, parents=True) as folder, _trash(root, make=False) as trash:
        with _entry(trash, deleted.id) as entry:
            try:
                rename_free(entry, _ITEM, folder, place.name)
            except FileExistsError as error:
                raise RefusalError(
                    f"{str(place)!r} exists again.", "Restore to another path with `to`."
                ) from error
            except OSError as error:
                raise explain(error, place) from error
            os.fsync(folder)
        shutil.rmtree(deleted.id, dir_fd=trash)
    return place


def list_deleted(root: Root) -> list[Deleted]:
    """What is in a root's trash, newest first."""
    try:
        with _trash(root, make=False) as trash:
            names = os.listdir(trash)  # noqa: PTH208 - by descriptor
            found = [_read_record(trash, name) for name in names]
    except FileNotFoundError:
        return []
    inside = len(root.prefix)
    kept = [
        d
        for d in found
        if d is not None and len(d.path) > inside and d.path[:inside] == root.prefix
    ]
    return sorted(kept, key=lambda d: d.id, reverse=True)


def find_deleted(roots: tuple[Root, ...], wanted: str) -> tuple[Root, Deleted]:
    """Look a deleted item up by its id.

    Raises:
        RefusalError: When it is not in the trash, with the nearest ids.
    """
    known: list[str] = []
    for root in roots:
        for deleted in list_deleted(root):
            if deleted.id == wanted:
                return root, deleted
            known.append(deleted.id)
    near = nearest(wanted, known)
    step = f"Did you mean {', '.join(near)}?" if near else "`list_trash` shows what is there."
    raise RefusalError(f"There is nothing {wanted!r} in the trash.", step)


def purge(root: Root, settings: Settings) -> int:
    """Remove for good what was deleted more than `trash_days` ago; returns how many items."""
    if settings.trash_days == 0 or root.access != "rw":
        return 0
    limit = (datetime.now(UTC) - timedelta(days=settings.trash_days)).isoformat()
    old = [d.id for d in list_deleted(root) if d.deleted_at < limit]
    if old:
        with _trash(root, make=False) as trash:
            for name in old:
                shutil.rmtree(name, ignore_errors=True, dir_fd=trash)
    return len(old)


@contextmanager
def _trash(root: Root, *, make: bool) -> Generator[int]:
    """Open a root's trash folder; a link in its place is refused.

    Raises:
        FileNotFoundError: When there is none and `make` is false.
    """
    if root.trash is not None:
        yield root.trash
        return
    top = root.descriptor if root.top is None else root.top
    if make:
        _make_trash(top)
    descriptor = os.open(TRASH_NAME, FOLDER | os.O_NOFOLLOW, dir_fd=top)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _make_trash(top: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(TRASH_NAME, 0o700, dir_fd=top)
        descriptor = os.open(TRASH_NAME, FOLDER | os.O_NOFOLLOW, dir_fd=top)
        try:
            # Version control leaves the trash out without being told.
            _write_new(descriptor, ".gitignore", b"*\n")
        finally:
            os.close(descriptor)


@contextmanager
def _entry(trash: int, name: str) -> Generator[int]:
    descriptor = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=trash)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_new(folder: int, name: str, data: bytes) -> None:
    descriptor = os.open(name, _NEW, 0o600, dir_fd=folder)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_record(trash: int, name: str) -> Deleted | None:
    """Read one record; None for anything else that lies in the trash, or whose item never moved.

    A folder that was unpacked or checked out can bring a trash along: nothing in it is believed
    that would put its item anywhere but where a deleted file of this root can have been.
    """
    if not _ID.fullmatch(name):
        return None
    try:
        with _entry(trash, name) as entry:
            status = os.stat(_ITEM, dir_fd=entry, follow_symlinks=False)
            descriptor = os.open(_RECORD, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=entry)
            with os.fdopen(descriptor, "rb") as file:
                record = _Record.model_validate_json(file.read(1 << 20))
        if not record.path:
            return None
        for part in record.path:
            check_below(part)
    except (OSError, ValueError, RefusalError):
        return None
    return Deleted(
        id=name,
        path=record.path,
        kind=kind_of(status),
        size=0 if kind_of(status) == "folder" else status.st_size,
        deleted_at=record.deleted_at.astimezone(UTC).isoformat(timespec="seconds"),
    )
