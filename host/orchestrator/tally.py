"""How many lines of a bridge were taken, told to it in a file that outlives a killed daemon."""

import contextlib
import os
import stat
from pathlib import Path

NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)


class Tally:
    """Counts what was taken from one client.

    A bridge whose daemon was killed sends the rest to the next one: it surely had no effect.

    Args:
        descriptor: The bridge's file; below 0 where it has none.
    """

    def __init__(self, descriptor: int = -1) -> None:
        self._descriptor = descriptor
        self._taken = 0

    def count(self) -> None:
        """Take note of a line, before anything comes of it.

        Raises:
            OSError: It cannot be written down, so that nothing may come of the line.
        """
        self._taken += 1
        if self._descriptor >= 0:
            os.pwrite(self._descriptor, self._taken.to_bytes(8, "little"), 0)

    def close(self) -> None:
        """Write no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def open_tally(path: object, folder: Path) -> Tally:
    """Return the tally that a bridge asks for; one that tells nobody where it names no good file.

    Args:
        path: What the bridge names.
        folder: The folder of the socket; no other file is written to.
    """
    if not isinstance(path, str) or Path(path).parent != folder or not path.endswith(".tally"):
        return Tally()
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | NO_FOLLOW)
        tally = Tally(descriptor)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.pwrite(descriptor, bytes(8), 0)
            return tally
        tally.close()
    return Tally()
