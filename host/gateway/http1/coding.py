"""Content codings: compressed bodies made plain again, in bounded steps."""

import zlib
from collections.abc import Iterator

from host.gateway.http1.error import HttpError

ACCEPTED = "gzip, deflate"
STEP = 1 << 16
"""Bytes that one step may yield, so that a small body cannot become a huge one at once."""


class Decoder:
    """Undoes `gzip` or `deflate`.

    Args:
        coding: The value of `Content-Encoding`.

    Raises:
        HttpError: Another coding, which was not asked for.
    """

    def __init__(self, coding: str) -> None:
        if coding not in ("gzip", "x-gzip", "deflate"):
            raise HttpError(f"the answer is coded as {coding!r}, which was not asked for")
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32 if coding != "deflate" else 15)
        self._guess = coding == "deflate"

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what some bytes stand for, in pieces of at most `STEP` bytes.

        Raises:
            HttpError: They are not of this coding.
        """
        if self._guess and data:
            # "deflate" means zlib by the standard, and raw deflate by what some servers send.
            self._guess = False
            if data[0] & 0x0F != 8:
                self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
        while data:
            try:
                piece = self._zlib.decompress(data, STEP)
            except zlib.error as error:
                raise HttpError(f"the answer cannot be decompressed: {error}") from error
            if piece:
                yield piece
            data = self._zlib.unconsumed_tail
