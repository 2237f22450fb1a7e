"""Tells when a file was made; Linux keeps that, but Python's `os.stat` does not ask for it."""

import ctypes
import os
import struct
import sys
from collections.abc import Callable
from functools import cache

from servers.files.rooted import Place, opened_folder

_NO_FOLLOW = 0x100  # AT_SYMLINK_NOFOLLOW
_BORN = 0x800  # STATX_BTIME
_SIZE = 256  # of `struct statx`
_MASK, _WHEN = "=I", "=qI"
_BORN_AT = 80  # where `stx_btime` is in it


def born_at(place: Place, status: os.stat_result) -> float | None:
    """Return when what is at a place was made, in seconds since 1970; None where it is not kept.

    Args:
        place: Of the file, folder or link; links are not followed.
        status: Its status, which tells on macOS and Windows.
    """
    known = getattr(status, "st_birthtime", None)
    if known is not None or sys.platform != "linux":
        return known
    if not place.parts:
        return _ask(place.root.descriptor, ".")
    with opened_folder(place.parent) as folder:
        return _ask(folder, place.name)


@cache
def _statx() -> Callable[..., int] | None:
    """Return the C library's `statx`; None of one from before 2018."""
    return getattr(ctypes.CDLL(None, use_errno=True), "statx", None)


def _ask(folder: int, name: str) -> float | None:
    statx, found = _statx(), ctypes.create_string_buffer(_SIZE)
    if statx is None:
        return None
    if statx(folder, os.fsencode(name), _NO_FOLLOW, ctypes.c_uint(_BORN), found) != 0:
        return None
    (mask,) = struct.unpack_from(_MASK, found, 0)
    seconds, rest = struct.unpack_from(_WHEN, found, _BORN_AT)
    return seconds + rest / 1e9 if mask & _BORN else None
