"""File locks that end with the process that holds them; who lives is known by them.

Only the standard library is used, because the watcher process imports this module.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

Mode = Literal["shared", "exclusive"]

_POLL = 0.02
_BYTES = 1 << 20

if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int, mode: Mode) -> bool:
        """Lock one byte to share, all to exclude: the C runtime has no shared lock."""
        start, length = (os.getpid() % _BYTES, 1) if mode == "shared" else (0, _BYTES)
        os.lseek(descriptor, start, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, length)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int, mode: Mode) -> bool:
        """Take the lock at once or not at all."""
        how = fcntl.LOCK_SH if mode == "shared" else fcntl.LOCK_EX
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class FileLock:
    """A lock on a file, freed by the kernel when the last holder of its descriptor is gone.

    Args:
        path: The file; made with mode 0600 when it is absent, and never removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    @property
    def descriptor(self) -> int:
        """The open file, to be handed to a child that keeps the lock after its parent."""
        if self._descriptor is None:
            message = f"{self.path} is not locked"
            raise RuntimeError(message)
        return self._descriptor

    def try_acquire(self, mode: Mode) -> bool:
        """Return whether the lock could be taken at once."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _try_lock(descriptor, mode):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def acquire(
        self,
        mode: Mode,
        *,
        cancelled: threading.Event | None = None,
        waiting: Callable[[], None] | None = None,
    ) -> bool:
        """Wait for the lock; False when `cancelled` was set first.

        Args:
            mode: Whether others may hold it as well.
            cancelled: Ends the wait.
            waiting: Called about once a second while another process holds it.
        """
        told = time.monotonic()
        while not self.try_acquire(mode):
            if cancelled is not None and cancelled.wait(_POLL):
                return False
            if cancelled is None:
                time.sleep(_POLL)
            if waiting is not None and time.monotonic() - told >= 1:
                told = time.monotonic()
                waiting()
        return True

    def release(self) -> None:
        """Give the lock up; nothing happens when it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire("exclusive")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def wait_until_free(path: Path) -> None:
    """Block until nobody holds the lock at `path` in any mode, asleep where possible."""
    lock = FileLock(path)
    if sys.platform == "win32":
        lock.acquire("exclusive")
    else:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        finally:
            os.close(descriptor)
    lock.release()
