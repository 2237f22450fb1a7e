"""One HTTP request as the endpoint sees it: headers, a bounded body, and the ways to answer."""

import asyncio
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import lru_cache
from http import HTTPStatus
from typing import Protocol

from host.domain.jsonrpc import Json, RequestId, RpcError, encode, failure

JSON = b"application/json"
EVENT_STREAM_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
BODY_WAIT = 60.0
"""Seconds without a byte after which a body is given up."""
UNREAD_LIMIT = 1 << 16
"""Bytes of a body that are taken before anybody asks for it, and after its request was answered."""
PING = b": ping\n\n"
PING_INTERVAL = 15.0
"""Seconds of silence after which a stream says that it is still there."""


class BodyTooLargeError(Exception):
    """The body has more bytes than allowed."""


class Line(Protocol):
    """The connection that a request came on."""

    lost: bool

    def write(self, data: bytes) -> None:
        """Write a part of an answer."""
        ...

    async def drain(self) -> None:
        """Wait while the client reads too slowly."""
        ...

    def pause_reading(self, paused: bool) -> None:
        """Stop or go on reading."""
        ...

    def finish(self, message: "HttpMessage") -> None:
        """Take note that a request was answered."""
        ...


class HttpMessage:
    """One request, and its answer.

    Attributes:
        headers: By name in lower case; a header that came twice holds a line break.
        session_id: Put into the response's `Mcp-Session-Id`.
        streaming: Whether an event stream was begun.
        chunked: Whether a body of unknown length may be sent in chunks.
        keep_alive: Whether another request may follow.
        answered: Whether the answer is complete.
        passed: Bytes of the body that came after the answer.
    """

    def __init__(self, method: str, path: str, headers: Mapping[str, str], line: Line) -> None:
        self.method, self.path, self.headers = method, path, headers
        self._line = line
        self._parts: list[bytes] = []
        self._size = 0
        self._whole = self._reading = self._paused = False
        self._more: asyncio.Future[None] | None = None
        self._on_gone: set[Callable[[], object]] = set()
        self.session_id: str | None = None
        self.streaming = False
        self.chunked = True
        self.keep_alive = True
        self.answered = False
        self.passed = 0

    def accepts(self) -> tuple[bool, bool]:
        """Return whether the client takes JSON, and whether it takes an event stream."""
        return _accepts(self.headers.get("accept", "*/*"))

    def carries_json(self) -> bool:
        """Return whether the body is said to be JSON."""
        said = self.headers.get("content-type", "")
        return said == "application/json" or (
            said.partition(";")[0].strip().lower() == "application/json"
        )

    async def body(self, limit: int) -> bytes:
        """Return the body.

        Raises:
            BodyTooLargeError: It has more than `limit` bytes.
            ConnectionError: The client left, or sends nothing more for too long.
        """
        if self._said_length() > limit:
            raise BodyTooLargeError
        self._reading = True
        if not self._whole:
            await self._receive(limit)
        if self._size > limit:
            raise BodyTooLargeError
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def _said_length(self) -> int:
        length = self.headers.get("content-length", "0")
        return int(length) if length.isdecimal() else 0

    async def _receive(self, limit: int) -> None:
        """Wait for the rest of the body, or for more of it than there may be."""
        if self.headers.get("expect", "").lower() == "100-continue" and not self._size:
            self._line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._paused:
            self._paused = False
            self._line.pause_reading(False)
        loop = asyncio.get_running_loop()
        while not self._whole and self._size <= limit:
            if self._line.lost:
                raise ConnectionError
            self._more = loop.create_future()
            try:
                async with asyncio.timeout(BODY_WAIT):
                    await self._more
            except TimeoutError:
                raise ConnectionError from None
            finally:
                self._more = None

    def add(self, data: bytes) -> None:
        """Take a part of the body (called by the connection); none after the answer."""
        if self.answered:
            self.passed += len(data)
            return
        self._parts.append(data)
        self._size += len(data)
        if not self._reading and self._size > UNREAD_LIMIT and not self._paused:
            self._paused = True
            self._line.pause_reading(True)
        self._wake()

    def complete(self) -> None:
        """Take the end of the body (called by the connection)."""
        self._whole = True
        self._wake()

    def break_off(self) -> None:
        """Hear that the rest of the body will not come (called by the connection)."""
        self._wake()

    def leave(self) -> None:
        """Hear that the client has left (called by the connection)."""
        for told in list(self._on_gone):
            told()

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    @contextmanager
    def telling(self, told: Callable[[], object]) -> Generator[None]:
        """Have something called when the client leaves, or at once where it has left already."""
        self._on_gone.add(told)
        if self._line.lost:
            told()
        try:
            yield
        finally:
            self._on_gone.discard(told)

    @property
    def lost(self) -> bool:
        """Whether the client has left."""
        return self._line.lost

    async def answer(
        self,
        status: int,
        body: bytes = b"",
        headers: Iterable[tuple[bytes, bytes]] = (),
        *,
        kind: bytes = JSON,
    ) -> None:
        """Send a whole response."""
        all_headers = [(b"content-length", b"%d" % len(body)), *headers]
        if body:
            all_headers.append((b"content-type", kind))
        head = self._head(status, all_headers)
        self._line.write(head if self.method == "HEAD" else head + body)
        self._end()

    async def answer_error(
        self, status: int, error: RpcError, request_id: RequestId | None = None
    ) -> None:
        """Send a JSON-RPC error with an HTTP status."""
        await self.answer(status, encode(failure(request_id, error)))

    async def start_stream(self) -> None:
        """Begin an event stream."""
        self.streaming = True
        headers = list(EVENT_STREAM_HEADERS)
        if self.chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        else:
            self.keep_alive = False
        self._line.write(self._head(200, headers))

    async def stream(self, data: bytes, *, more: bool = True) -> None:
        """Send a part of an event stream."""
        if self.chunked:
            part = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            data = part if more else part + b"0\r\n\r\n"
        self._line.write(data)
        if not more:
            self._end()
        await self._line.drain()

    def _head(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return the head of an answer.

        Raises:
            ValueError: A header holds a line break, by which a client could be told anything.
        """
        if self.session_id is not None:
            headers.append((b"mcp-session-id", self.session_id.encode()))
        if not self._whole and self._said_length() - self._size > UNREAD_LIMIT:
            self.keep_alive = False  # more of the body is still to come than is read for nothing
        if not self.keep_alive:
            headers.append((b"connection", b"close"))
        lines = [b"%b: %b" % pair for pair in headers]
        head = b"\r\n".join([_status_line(status), *lines, b"", b""])
        breaks = len(lines) + 2
        if head.count(b"\n") != breaks or head.count(b"\r") != breaks:
            raise ValueError("a header of an answer holds a line break")
        return head

    def _end(self) -> None:
        self.answered = True
        self._parts.clear()
        if self._paused:  # what is left of the body passes unread
            self._paused = False
            self._line.pause_reading(False)
        self._line.finish(self)


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()


@lru_cache(maxsize=256)
def _accepts(header: str) -> tuple[bool, bool]:
    accepted = {part.partition(";")[0].strip().lower() for part in header.split(",")}
    wild = "*/*" in accepted
    takes_json = wild or not accepted.isdisjoint({"application/json", "application/*"})
    return takes_json, wild or not accepted.isdisjoint({"text/event-stream", "text/*"})


def plain(message: str) -> Json:
    """Return the body of an answer that is not JSON-RPC."""
    return {"error": message}
