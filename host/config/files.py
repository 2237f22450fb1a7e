"""Private files: written whole or not at all, readable by their owner only, locked for change."""

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from host.domain.errors import ConfigError

Stamp = tuple[int, int, int]
"""Time of change in nanoseconds, inode and size: differs whenever a file was replaced or edited."""


FolderStamp = tuple[int, int]
"""Time of change in nanoseconds, and inode."""
_SETTLED = 2_000_000_000
"""Nanoseconds after which a later change of a folder has a later time; FAT counts in 2 s."""


def stamp_file(path: Path) -> Stamp | None:
    """Return the stamp of a file, None if it is absent."""
    try:
        status = os.stat(path)  # noqa: PTH116 - asked before every call, and twice as fast
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ino, status.st_size)


def stamp_folder(path: Path) -> FolderStamp | None:
    """Return the stamp of a folder, which changes when an entry comes, goes or gets another name.

    Returns:
        (-1, 0) for one that is not there; None where it changed a moment ago: another change within
        the same tick of the file system's clock would look the same.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - as above
    except OSError:
        return -1, 0
    settled = time.time_ns() - status.st_mtime_ns > _SETTLED
    return (status.st_mtime_ns, status.st_ino) if settled else None


def is_unchanged(path: Path, stamp: Stamp | None) -> bool:
    """Return whether a file still has the stamp that it had; an absent one is asked for cheaply."""
    if stamp is None:
        return not os.access(path, os.F_OK)  # it raises nothing, and is asked before every call
    return stamp_file(path) == stamp


def write_private(path: Path, content: bytes | str, *, mode: int = 0o600) -> None:
    """Replace a file atomically; a reader sees the old content or the new, also after a crash.

    Args:
        path: The file; missing folders are made with mode 0700. A link is followed, not replaced.
        content: What to write; text is written as UTF-8.
        mode: Permission bits of the new file.

    Raises:
        ConfigError: The folder or the file cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    target = path.resolve()
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(target, data, mode=mode)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror}.",
            next_step="Check who owns the folder and whether the disk is full.",
        ) from error


def _replace(target: Path, data: bytes, *, mode: int) -> None:
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary = Path(name)
        temporary.chmod(mode)
        temporary.replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def lock_file(path: Path) -> Generator[None]:
    """Hold an exclusive lock between processes for the length of a `with` block.

    Args:
        path: The file that is going to change; the lock is a file of its own beside it, since the
            file itself is replaced.

    Raises:
        ConfigError: The lock file cannot be made.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"{lock} cannot be written: {error.strerror}.") from error
    try:
        _lock(handle)
        yield
    finally:
        os.close(handle)


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        while True:
            try:
                msvcrt.locking(handle, msvcrt.LK_LOCK, 1)
            except OSError:  # it gives up after ten seconds; a writer needs less, so ask again
                continue
            return
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX)
