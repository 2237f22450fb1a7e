"""A lock between processes that waits without blocking the event loop, for refreshing tokens."""

import contextlib
import os
import sys
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio

if sys.platform == "win32":
    import msvcrt

    def _try_lock(handle: int) -> bool:
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
else:
    import fcntl

    def _try_lock(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextlib.asynccontextmanager
async def process_lock(path: Path) -> AsyncGenerator[None]:
    """Hold `path` exclusively among processes and tasks; the system frees it when one dies.

    Args:
        path: The lock file; it is made with mode 0600 and left in place.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while not _try_lock(handle):  # noqa: ASYNC110 - the holder may be another process
            await anyio.sleep(0.02)
        yield
    finally:
        os.close(handle)
