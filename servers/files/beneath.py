"""Opens a path strictly below a folder's descriptor, by openat2 or by O_NOFOLLOW steps.

The attack both stop: a path is checked, then a folder in it is swapped for a symbolic link
before it is opened. Neither way checks first; the kernel, or each single O_NOFOLLOW open,
decides at the moment of opening.
"""

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache

Parts = tuple[str, ...]
"""The names of a path below a root."""

Opener = Callable[[int, Parts, int], int]
"""(descriptor of the root, names below it, flags) → descriptor."""

_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_SYS_OPENAT2 = 437  # the same on every architecture but alpha
_MOST_LINKS = 40
_TRIES = 32

CLOEXEC = os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY | CLOEXEC


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


@cache
def _syscall() -> Callable[..., int]:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc.syscall


def open_by_kernel(root: int, parts: Parts, flags: int) -> int:
    """Open with openat2, RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS.

    Raises:
        OSError: EXDEV where the path would leave the root; else as `open`.
    """
    path = os.fsencode("/".join(parts) or ".")
    how = _OpenHow(flags | CLOEXEC, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    code = errno.EAGAIN
    for _ in range(_TRIES):
        found = _syscall()(
            ctypes.c_long(_SYS_OPENAT2), ctypes.c_int(root), path, ctypes.byref(how), size
        )
        if found >= 0:
            return found
        code = ctypes.get_errno()
        # EAGAIN: a folder moved while a link's `..` was resolved; the kernel asks to try again.
        if code not in {errno.EAGAIN, errno.EINTR}:
            break
    raise OSError(code, os.strerror(code), "/".join(parts))


def open_by_walk(root: int, parts: Parts, flags: int) -> int:
    """Open name by name with O_NOFOLLOW, resolving relative links by hand, never above the root.

    Raises:
        OSError: EXDEV where a link is absolute or climbs above the root, ELOOP after 40 links.
    """
    folders = [os.dup(root)]
    todo, links = list(reversed(parts)), 0
    try:
        while todo:
            name = todo.pop()
            if name == "..":
                _climb(folders)
                continue
            try:
                opened = _open_name(folders[-1], name, FOLDER if todo else flags)
            except OSError as error:
                target = _link_target(folders[-1], name, error)
                links += 1
                if links > _MOST_LINKS or (not todo and flags & os.O_NOFOLLOW):
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name) from error
                todo.extend(n for n in reversed(target.split("/")) if n not in {"", "."})
                continue
            if not todo:
                return opened
            folders.append(opened)
        return os.open(".", flags | CLOEXEC, dir_fd=folders[-1])
    finally:
        for folder in folders:
            os.close(folder)


def _open_name(folder: int, name: str, flags: int) -> int:
    return os.open(name, flags | os.O_NOFOLLOW | CLOEXEC, dir_fd=folder)


def _climb(folders: list[int]) -> None:
    if len(folders) == 1:
        raise OSError(errno.EXDEV, "a link climbs above the root", "..")
    os.close(folders.pop())


def _link_target(folder: int, name: str, error: OSError) -> str:
    """Read the link that made an open fail, or raise the error if it is none."""
    if error.errno not in {errno.ELOOP, errno.ENOTDIR, errno.EMLINK}:
        raise error
    target = None
    with suppress(OSError):
        target = os.readlink(name, dir_fd=folder)
    if target is None:
        raise error
    if target.startswith("/"):
        raise OSError(errno.EXDEV, "an absolute link", name)
    return target


@cache
def kernel_can() -> bool:
    """Whether openat2 works here: Linux 5.6 or later, and no filter in the way."""
    if sys.platform != "linux" or platform.machine() == "alpha":
        return False
    try:
        here = os.open("/", FOLDER)
    except OSError:
        return False
    try:
        os.close(open_by_kernel(here, (), FOLDER))
    except OSError:
        return False
    finally:
        os.close(here)
    return True


def choose_opener(way: str) -> Opener:
    """The opener for `auto`, `kernel` or `walk`."""
    if way == "walk" or (way == "auto" and not kernel_can()):
        return open_by_walk
    return open_by_kernel
