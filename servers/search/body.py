"""Reads a response's body within a limit that also holds after decompression."""

import zlib
from dataclasses import dataclass

import httpx

from servers.tool import RefusalError

ACCEPT_ENCODING = "gzip, deflate"
_STEP = 1_000_000


@dataclass
class _Inflater:
    """Decompresses gzip or deflate a bounded step at a time, so that a bomb stops at the limit."""

    encoding: str

    def __post_init__(self) -> None:
        self._stream = zlib.decompressobj(31 if self.encoding == "gzip" else 15)
        self._begun = False

    def feed(self, data: bytes, room: int) -> bytes:
        """Return what `data` inflates to, at most `room` + 1 bytes of it."""
        if not self._begun and self.encoding == "deflate" and data:
            # Some servers send deflate without its zlib header, against RFC 9110.
            if data[0] & 0x0F != 8:
                self._stream = zlib.decompressobj(-15)
            self._begun = True
        out = bytearray()
        while data and len(out) <= room:
            out += self._stream.decompress(data, min(_STEP, room + 1 - len(out)))
            data = self._stream.unconsumed_tail
            if self._stream.eof:
                break
        return bytes(out)


async def read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """Read and decompress the body.

    Args:
        response: A streamed response; the caller closes it.
        max_bytes: Limit for the bytes on the wire and for the inflated bytes.

    Raises:
        RefusalError: It is larger, or compressed in a way that was not asked for, or broken.
    """
    host = response.request.url.host
    announced = response.headers.get("Content-Length", "")
    if announced.isdigit() and int(announced) > max_bytes:
        raise _too_large(host, max_bytes)
    inflater = _inflater(host, response.headers.get("Content-Encoding", ""))
    body = bytearray()
    on_wire = 0
    async for chunk in response.aiter_raw():
        on_wire += len(chunk)
        try:
            body += inflater.feed(chunk, max_bytes - len(body)) if inflater else chunk
        except zlib.error as error:
            raise RefusalError(
                f"{host} sent a page whose compression is broken.", "Try again later."
            ) from error
        if max(len(body), on_wire) > max_bytes:
            raise _too_large(host, max_bytes)
    return bytes(body)


def _inflater(host: str, encoding: str) -> _Inflater | None:
    encoding = encoding.strip().lower().removeprefix("x-")
    if encoding in {"", "identity"}:
        return None
    if encoding in {"gzip", "deflate"}:
        return _Inflater(encoding)
    # Also several layers: a small bomb in a bomb.
    raise RefusalError(f"{host} sent a page compressed as {encoding!r}, which was not asked for.")


def _too_large(host: str, max_bytes: int) -> RefusalError:
    return RefusalError(
        f"{host} sent more than the {max_bytes} bytes that are read.",
        "Fetch a smaller page; the server's setting max_page_bytes is the limit.",
    )
