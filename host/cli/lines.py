"""Lines that the bridge relays: reading them, and how many of them the daemon has taken."""

import contextlib
import os
from collections.abc import Generator, Iterator

CHUNK = 1 << 18
TALLY_BYTES = 8


class Tally:
    """How many of a client's lines the daemon has taken, which it writes into a file of 8 bytes.

    A daemon that is killed answers nothing any more, while its socket still takes what is written
    to it; what it had taken by then may have had an effect, and nothing else.

    Args:
        path: The daemon's socket, beside which the file is.
    """

    def __init__(self, path: str) -> None:
        self._path = f"{path}.{os.getpid()}.tally"
        self._file = -1
        self.sent = 0
        """Lines that were sent on this connection."""

    @contextlib.contextmanager
    def begin(self) -> Generator[str]:
        """Make the file for a new connection; its name is needed until the daemon opened it."""
        if self._file >= 0:
            os.close(self._file)
        self._file, self.sent = -1, 0
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)  # noqa: PTH108 - starts faster
        with contextlib.suppress(OSError):  # without it, what was lost is not known
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            yield self._path
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)  # noqa: PTH108 - as above

    def taken(self) -> int:
        """Return how many lines the daemon took; all of them where it did not say."""
        said = os.pread(self._file, 8, 0) if self._file >= 0 else b""
        return int.from_bytes(said, "little") if len(said) == TALLY_BYTES else self.sent


def read_lines(source: int) -> Iterator[bytes]:
    """Yield the lines that a descriptor gives until its end; a long one comes in many pieces."""
    pieces: list[bytes] = []
    while chunk := os.read(source, CHUNK):
        first, *others = chunk.split(b"\n")
        pieces.append(first)
        for line in others:
            yield b"".join(pieces)
            pieces = [line]
    yield b"".join(pieces)
