"""The answer to one request: its head, and its body as it comes."""

import asyncio
from collections.abc import Iterator
from typing import Protocol

from host.gateway.http1.coding import Decoder
from host.gateway.http1.error import HttpError

BUFFER = 1 << 18
"""Bytes of a body that wait for their reader before the server is made to wait."""


class BodyTooLongError(HttpError):
    """The body has more bytes than the caller takes."""


class Source(Protocol):
    """The connection that an answer comes on."""

    def pause(self, paused: bool) -> None:
        """Stop or go on reading."""
        ...

    def leave(self, reply: "HttpReply") -> None:
        """Take note that nobody needs the rest."""
        ...

    def abort(self) -> None:
        """End the connection."""
        ...


class HttpReply:
    """One answer; whoever has it calls `release` or `abort` in the end.

    Attributes:
        status: The status code.
        headers: By name in lower case; one that came several times is joined by commas.
        size: Bytes of the body so far, as they came.
    """

    def __init__(self, source: Source, loop: asyncio.AbstractEventLoop) -> None:
        self._source = source
        self._loop = loop
        self._parts: list[bytes] = []
        self._held = 0
        self._paused = False
        self._complete = False
        self._decoder: Decoder | None = None
        self._plain: Iterator[bytes] | None = None
        self._error: HttpError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        self.size = 0

    @property
    def content_type(self) -> str:
        """The media type, without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def head(self) -> None:
        """Wait for status and headers."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._wait()
        coding = self.headers.get("content-encoding", "identity").lower()
        if coding not in ("identity", ""):
            self._decoder = Decoder(coding)

    async def chunk(self) -> bytes:
        """Return the next bytes of the body; none are its end.

        Raises:
            HttpError: The body broke off.
        """
        while True:
            data = self._take()
            if data:
                return data
            if self._error is not None:
                raise self._error
            if self._complete:
                return b""
            await self._wait()

    async def read(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            BodyTooLongError: It has more than `limit` bytes.
            HttpError: It broke off.
        """
        parts: list[bytes] = []
        size = 0
        while data := await self.chunk():
            size += len(data)
            if size > limit:
                raise BodyTooLongError
            parts.append(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def release(self) -> None:
        """Say that nothing more is needed; the connection is kept where it can be."""
        if not self._complete:
            self._parts.clear()
            self._resume()
            self._source.leave(self)

    def abort(self) -> None:
        """Abandon the request: the connection ends unless the answer is complete."""
        if not self._complete and self._error is None:
            self._source.abort()

    def begin(self, status: int, headers: dict[str, str]) -> None:
        """Take the head (called by the connection)."""
        self.status, self.headers = status, headers

    def add(self, data: bytes) -> None:
        """Take a part of the body (called by the connection)."""
        self._parts.append(data)
        self._held += len(data)
        self.size += len(data)
        if self._held > BUFFER and not self._paused:
            self._paused = True
            self._source.pause(True)

    def finish(self) -> None:
        """Take the end of the body (called by the connection)."""
        self._complete = True
        self.wake()

    def fail(self, error: HttpError) -> None:
        """Take a failure (called by the connection)."""
        self._error = error
        self.wake()

    def wake(self) -> None:
        """Let whoever waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _take(self) -> bytes:
        """Return what is there, decoded; at most one step of a compressed body at a time."""
        if self._plain is not None:
            piece = next(self._plain, b"")
            if piece:
                return piece
            self._plain = None
        parts = self._parts
        if not parts:
            return b""
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._parts = []
        self._resume()
        if self._decoder is None:
            return data
        self._plain = self._decoder.feed(data)
        return self._take()

    def _resume(self) -> None:
        self._held = 0
        if self._paused:
            self._paused = False
            if not self._complete:
                self._source.pause(False)

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
