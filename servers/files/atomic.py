"""Changes the tree so that a crash leaves the old state or the new one, never a mixture."""

import ctypes
import errno
import fcntl
import os
import secrets
import stat
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import cache

from servers.files.beneath import CLOEXEC
from servers.files.names import TEMPORARY_PREFIX, check_new_name, find_collision
from servers.files.rooted import Place, check_writable, explain, opened_folder, status_of
from servers.tool import RefusalError

_RENAME_NOREPLACE = 1  # Linux renameat2
_RENAME_EXCL = 4  # macOS renameatx_np
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | CLOEXEC
_LOCK_SECONDS = 10.0
_swept: set[tuple[int, int]] = set()


@contextmanager
def changing(place: Place, *, parents: bool = False) -> Generator[int]:
    """Hold the folder of a place for one change, against other calls and other servers.

    Args:
        place: What will be created, replaced or removed.
        parents: Make the missing folders above it first.

    Raises:
        RefusalError: When the place may not be changed or its folder cannot be opened.
    """
    check_writable(place)
    if parents:
        make_folders(place.parent)
    with opened_folder(place.parent) as folder:
        _lock(folder, place)
        _sweep(folder)
        yield folder


def make_folders(place: Place) -> int:
    """Make a folder and the missing ones above it; returns how many were made.

    Raises:
        RefusalError: When a name is taken by something else, or unfit for a new folder.
    """
    made = 0
    for depth in range(1, len(place.parts) + 1):
        step = Place(place.root, place.parts[:depth])
        status = status_of(step)
        if status is None:
            check_writable(step)
            made += _make_folder(step)
        elif depth < len(place.parts) or stat.S_ISLNK(status.st_mode):
            with opened_folder(step):
                pass
        elif not stat.S_ISDIR(status.st_mode):
            raise RefusalError(f"{str(step)!r} exists and is not a folder.")
    return made


def _make_folder(place: Place) -> int:
    with opened_folder(place.parent) as folder:
        check_free_name(place, folder)
        try:
            os.mkdir(place.name, 0o777, dir_fd=folder)
        except FileExistsError:
            return 0
        except OSError as error:
            raise explain(error, place) from error
        os.fsync(folder)
    return 1


def check_free_name(place: Place, folder: int) -> None:
    """Refuse a new name that other systems cannot hold, or that hides behind another's case.

    Raises:
        RefusalError: The name, and the existing one it collides with.
    """
    check_new_name(place.name)
    if place.root.case_collisions:
        return
    other = find_collision(place.name, os.listdir(folder))
    if other is not None:
        raise RefusalError(
            f"{place.name!r} differs from the existing {other!r} only by case or Unicode form.",
            f"Use {other!r}, or choose another name.",
        )


def replace(
    place: Place,
    folder: int,
    fill: Callable[[int], object],
    *,
    before: os.stat_result | None,
    mode: int | None = None,
) -> None:
    """Write a file whole: a temporary file beside it, synced, renamed over it, folder synced.

    Args:
        place: The file.
        folder: Its folder, held by `changing`.
        fill: Writes the whole new content to a descriptor.
        before: The status of the file that is replaced, whose permissions carry over; None when
            the name must still be free.
        mode: Permissions of a new file; None: the usual ones.

    Raises:
        RefusalError: When somebody else changed or made the file meanwhile, or the disk fails.
    """
    temporary = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        descriptor = os.open(temporary, _CREATE, 0o600 if before else 0o666, dir_fd=folder)
    except OSError as error:
        raise explain(error, place) from error
    try:
        # Held until the file has its name: a sweep by another process leaves it alone.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        fill(descriptor)
        _take_over(descriptor, before, mode)
        os.fsync(descriptor)
        if before is None:
            rename_free(folder, temporary, folder, place.name)
        else:
            _check_unchanged(place, folder, before)
            os.replace(temporary, place.name, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError as error:
        raise RefusalError(f"{str(place)!r} exists by now.", "Read it, then decide.") from error
    except OSError as error:
        raise explain(error, place) from error
    finally:
        os.close(descriptor)
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
    os.fsync(folder)


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte; one `write` may take fewer."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _take_over(descriptor: int, before: os.stat_result | None, mode: int | None) -> None:
    """Give the new file the permissions, without set-id bits, and the owner of the old one."""
    if before is not None:
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode) & 0o777)
        mine = os.fstat(descriptor)
        if (mine.st_uid, mine.st_gid) != (before.st_uid, before.st_gid):
            with suppress(PermissionError):
                os.fchown(descriptor, before.st_uid, before.st_gid)
    elif mode is not None:
        os.fchmod(descriptor, mode & 0o777)


def _check_unchanged(place: Place, folder: int, before: os.stat_result) -> None:
    now = os.stat(place.name, dir_fd=folder, follow_symlinks=False)
    if _version(now) != _version(before):
        raise RefusalError(
            f"{str(place)!r} was changed by somebody else meanwhile.", "Read it again, then retry."
        )


def _version(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode)


def rename_free(source_folder: int, source: str, folder: int, name: str) -> None:
    """Rename, never over anything.

    Raises:
        FileExistsError: When the new name is taken.
        OSError: As `rename`.
    """
    code = _rename_exclusive(source_folder, source, folder, name)
    if code == 0:
        return
    if code not in {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}:
        raise OSError(code, os.strerror(code), name)
    status = os.stat(source, dir_fd=source_folder, follow_symlinks=False)
    if stat.S_ISDIR(status.st_mode):
        # `rename` puts a folder only over an empty folder, so nothing is lost.
        if name in os.listdir(folder):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        os.rename(source, name, src_dir_fd=source_folder, dst_dir_fd=folder)
        return
    os.link(source, name, src_dir_fd=source_folder, dst_dir_fd=folder, follow_symlinks=False)
    os.unlink(source, dir_fd=source_folder)


@cache
def _exclusive_call() -> tuple[Callable[..., int], int] | None:
    libc = ctypes.CDLL(None, use_errno=True)
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        return libc.renameat2, _RENAME_NOREPLACE
    if sys.platform == "darwin" and hasattr(libc, "renameatx_np"):
        return libc.renameatx_np, _RENAME_EXCL
    return None


def _rename_exclusive(source_folder: int, source: str, folder: int, name: str) -> int:
    """Rename by the system's own no-replace call; returns the error number, 0 for done."""
    call = _exclusive_call()
    if call is None:
        return errno.ENOSYS
    rename, flag = call
    outcome = rename(
        source_folder, os.fsencode(source), folder, os.fsencode(name), ctypes.c_uint(flag)
    )
    return 0 if outcome == 0 else ctypes.get_errno()


def _lock(folder: int, place: Place) -> None:
    """Lock a folder against other writers, waiting a bounded time.

    The lock belongs to the descriptor: the kernel drops it when the process dies.
    """
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise RefusalError(
                    f"The folder of {str(place)!r} is locked by another program.", "Try again."
                ) from None
            time.sleep(0.005)
        except OSError:
            return  # a file system without locks; renames are still atomic
        else:
            return


def _sweep(folder: int) -> None:
    """Remove temporary files that a killed server left here, once a folder and process."""
    status = os.fstat(folder)
    key = (status.st_dev, status.st_ino)
    if key in _swept:
        return
    _swept.add(key)
    for name in os.listdir(folder):
        if name.startswith(TEMPORARY_PREFIX):
            _remove_stale(folder, name)


def _remove_stale(folder: int, name: str) -> None:
    with suppress(OSError):
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(name, dir_fd=folder)
        finally:
            os.close(descriptor)
