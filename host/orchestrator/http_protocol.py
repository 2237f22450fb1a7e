"""One client's HTTP connection: requests are read one after the other, each served in one task.

There is no layer between the parser and the endpoint, since that layer was a sixth of what a call
costs the host. An answer leaves in one write, head and body.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import cast
from urllib.parse import unquote

import httptools
from typing_extensions import override

from host.orchestrator.http_message import UNREAD_LIMIT, HttpMessage

Serve = Callable[[HttpMessage], Awaitable[None]]
"""Serves one request to the end of its answer."""

HEAD_LIMIT = 1 << 16
"""Bytes that a request's target and headers may have, and what frames its body and follows it."""
CHUNK_SPARE = 16
"""Bytes about each chunk of a body that are not counted: its size and its line ends."""
WISHES = frozenset({"connection", "upgrade", "http2-settings"})
"""Headers by which a client asks to go on in another protocol."""
PIPELINE_LIMIT = 64
"""Requests that a client may send before it has heard the answer to an earlier one."""


class HttpProtocol(asyncio.Protocol):
    """One connection.

    Args:
        serve: Serves each request.
        on_lost: Told when the connection has ended.
    """

    def __init__(self, serve: Serve, on_lost: Callable[["HttpProtocol"], None]) -> None:
        self._serve = serve
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._target = b""
        self._headers: dict[str, str] = {}
        self._head = self._unread = 0
        self._incoming: HttpMessage | None = None
        self._current: HttpMessage | None = None
        self._waiting: deque[HttpMessage] = deque()
        self._task: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._ending = self._refused = False
        self.lost = False
        self.idle_since = self._loop.time()
        """When the last request was answered, on the loop's clock."""

    @property
    def busy(self) -> bool:
        """Whether a request is being served."""
        return self._current is not None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._on_lost(self)
        self._waiting.clear()
        self.resume_writing()
        if self._incoming is not None:
            self._incoming.break_off()
        if self._current is not None:
            self._current.leave()

    @override
    def data_received(self, data: bytes) -> None:
        left = data
        while left and not self._refused:
            left = self._feed(left)
        if self._task is None and self._current is not None and not self._refused:
            self._begin(self._current)

    @override
    def pause_writing(self) -> None:
        if self._drained is None:
            self._drained = self._loop.create_future()

    @override
    def resume_writing(self) -> None:
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    def on_message_begin(self) -> None:
        """Parser: a request begins."""
        self._target, self._headers = b"", {}
        self._head = self._unread = 0

    def on_url(self, url: bytes) -> None:
        """Parser: the request's target, or a part of it."""
        self._target += url
        self._head += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser: a header; the trailers of a body are of no use."""
        self._head += len(name) + len(value)
        if self._incoming is None and self._head <= HEAD_LIMIT:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            headers = self._headers
            headers[key] = f"{headers[key]}\n{text}" if key in headers else text

    def on_headers_complete(self) -> None:
        """Parser: the head is complete."""
        parser, self._unread = self._parser, 0
        if self._refused or parser.should_upgrade():
            return
        method = parser.get_method().decode("ascii")
        message = HttpMessage(method, _path(self._target), self._headers, self)
        one_to_one = parser.get_http_version() == "1.1"
        message.chunked = one_to_one
        message.keep_alive = one_to_one and parser.should_keep_alive() and not self._ending
        self._incoming = message
        if self._current is None:
            self._current = message
        else:
            self._waiting.append(message)
            self.pause_reading(True)

    def on_body(self, data: bytes) -> None:
        """Parser: a part of the body."""
        self._unread = max(0, self._unread - len(data))
        if self._incoming is not None:
            self._incoming.add(data)
            if self._incoming.passed > UNREAD_LIMIT:
                self._hear_no_more()

    def on_chunk_header(self) -> None:
        """Parser: a chunk of the body begins, or its trailers."""
        self._unread = max(0, self._unread - CHUNK_SPARE)

    def on_message_complete(self) -> None:
        """Parser: a request is complete."""
        message, self._incoming, self._unread = self._incoming, None, 0
        if message is not None:
            message.complete()
            if message.answered and not message.keep_alive:
                self._hear_no_more()
        if len(self._waiting) > PIPELINE_LIMIT:
            self._refuse(b"429 Too Many Requests", b"Wait for an answer first.")

    def write(self, data: bytes) -> None:
        """Write a part of an answer; what nobody can hear any more is dropped."""
        if self._transport is not None and not self.lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait while the client reads too slowly."""
        while self._drained is not None:
            await asyncio.shield(self._drained)

    def pause_reading(self, paused: bool) -> None:
        """Stop or go on reading, so that a client waits for the host."""
        if self._transport is None or self.lost or self._transport.is_closing():
            return
        if paused:
            self._transport.pause_reading()
        elif not self._waiting:
            self._transport.resume_reading()

    def finish(self, message: HttpMessage) -> None:
        """Take note that a request was answered."""
        if self._ending or (not message.keep_alive and message is not self._incoming):
            self.close()
        elif not message.keep_alive and self._transport is not None and not self.lost:
            # Its body still comes; to close now would reset the connection and lose the answer.
            self._transport.write_eof()

    def end(self) -> None:
        """Close the connection once the request in service, if any, was answered."""
        self._ending = True
        if self._current is None:
            self.close()

    def close(self) -> None:
        """Close the connection after what was written is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _feed(self, data: bytes) -> bytes:
        """Have the parser read; return what it has to read anew.

        It shows a header when that is whole, and what else is about a body not at all, so that the
        bytes are counted which it was given since it last showed anything.
        """
        self._unread += len(data)
        left = b""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as wish:
            left = data[wish.args[0] :]
            if self._head <= HEAD_LIMIT:
                return self._stay_with_http(left)
        except httptools.HttpParserError:
            self._refuse(b"400 Bad Request", b"This is not HTTP/1.1.")
            return b""
        if max(self._head, self._unread) > HEAD_LIMIT:
            self._refuse(b"431 Request Header Fields Too Large", b"The headers are too long.")
        return left

    def _stay_with_http(self, rest: bytes) -> bytes:
        """Return a request as if it had not wished for another protocol, as its server may.

        Some clients wish for HTTP/2 with every request, and the parser then skips its body.
        """
        method = self._parser.get_method()
        if method == b"CONNECT" or not self._target.startswith((b"/", b"http")):  # a tunnel
            self._refuse(b"400 Bad Request", b"This is not a proxy.")
            return b""
        kept = {name: text for name, text in self._headers.items() if name not in WISHES}
        lines = [f"{name}: {line}" for name, text in kept.items() for line in text.split("\n")]
        start = method + b" " + self._target + b" HTTP/1.1\r\n"
        head = start + "\r\n".join([*lines, "", ""]).encode("latin-1")
        self._parser = httptools.HttpRequestParser(self)
        return head + rest

    def _begin(self, message: HttpMessage) -> None:
        self._task = self._loop.create_task(self._run(message))

    async def _run(self, message: HttpMessage) -> None:
        """Serve a request, and then those that came meanwhile."""
        try:
            await self._serve(message)
        finally:
            if not message.answered:
                self.abort()  # half an answer must not be taken for a whole one
            self._task = self._current = None
            self.idle_since = self._loop.time()
            self._next()

    def _next(self) -> None:
        if self._waiting and not self.lost and not self._ending:
            self._current = self._waiting.popleft()
            self._begin(self._current)
            self.pause_reading(False)

    def _refuse(self, status: bytes, text: bytes) -> None:
        """Answer what cannot be served, unless it would run into another answer, and close."""
        if self._refused:
            return
        answered = self._incoming is not None and self._incoming.answered
        if not answered and (self._current is None or self._task is None):
            length = b"%d" % len(text)
            head = b"HTTP/1.1 " + status + b"\r\ncontent-type: text/plain\r\ncontent-length: "
            self.write(head + length + b"\r\nconnection: close\r\n\r\n" + text)
        self._hear_no_more()

    def _hear_no_more(self) -> None:
        """Close the connection; nothing that came after what is being read is served."""
        self._waiting.clear()
        self._ending = self._refused = True
        self.close()


def _path(target: bytes) -> str:
    """Return the path of a request's target, without its query."""
    if not target.startswith(b"/"):  # the form that is sent to proxies: with scheme and name
        try:
            target = httptools.parse_url(target).path or b"/"
        except httptools.HttpParserInvalidURLError:
            return ""
    path = target.partition(b"?")[0].decode("latin-1")
    return unquote(path) if "%" in path else path
