"""One connection to an HTTP server: a request at a time, its answer parsed as it comes."""

import asyncio
import select
import sys
from collections.abc import Callable
from typing import cast

import httptools
from typing_extensions import override

from host.gateway.http1.error import HttpError, NoAnswerError, NotSentError
from host.gateway.http1.reply import HttpReply

HEAD_LIMIT = 1 << 16
"""Bytes that status line and headers, or everything around a body, may have."""
OVERHEAD = 64
"""Bytes of chunk lines that each byte of body may bring with it."""
INTERIM_LIMIT = 16
"""Interim answers (100, 103) before the real one."""
DRAIN_BYTES, DRAIN_SECONDS = 1 << 16, 1.0
"""What is read of an answer that nobody needs any more, so that its connection can be kept."""
IDLE_SECONDS = 4.0
"""How long a connection is kept unused: less than the 5 s after which many servers close it."""


class HttpConnection(asyncio.Protocol):
    """A connection that belongs to one request, or to the pool.

    Args:
        on_idle: Told when an answer is complete and another request may follow.
    """

    def __init__(self, on_idle: Callable[["HttpConnection"], None]) -> None:
        self._on_idle = on_idle
        self._transport: asyncio.Transport | None = None
        self._reply: HttpReply | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._drain: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._paused = False
        self.closed = False
        self.idle_until = 0.0
        """When the pool stops keeping it, on the loop's clock."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def exchange(self, data: bytes) -> HttpReply:
        """Write a request and return its answer once its head and the first of its body are there.

        Raises:
            HttpError: There is no answer; `NotSentError` where nothing was written.
        """
        transport = self._transport
        if self.closed or transport is None or transport.is_closing():
            raise NotSentError("the connection was closed")
        reply = self._reply = HttpReply(self, self._loop)
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._received = self._body = self._interim = 0
        self._begun = self._until_end = self._done = self._dirty = self._keep = False
        transport.write(data)
        try:
            await reply.head()
        except BaseException:
            # Once the answer is complete the connection may be another request's already.
            if self._reply is reply:
                self.abort()
            raise
        return reply

    def is_stale(self, now: float) -> bool:
        """Whether this idle connection must not be used: it ended, or something arrived unasked.

        The loop may not have read yet what is there, so the socket itself is asked.
        """
        if self.closed or self._transport is None or self._transport.is_closing():
            return True
        return now >= self.idle_until or _is_readable(self._transport)

    def abort(self) -> None:
        """End the connection at once; a request in flight is abandoned."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def pause(self, paused: bool) -> None:
        """Stop or go on reading, so that a fast server waits for a slow reader."""
        if self._transport is None or self.closed or self._transport.is_closing():
            return
        self._paused = paused
        if paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def leave(self, reply: HttpReply) -> None:
        """Take note that nobody needs the rest of an answer: read it if it is short, else end."""
        if self._reply is not reply:
            return
        if self._until_end or not self._begun:
            self.abort()
            return
        self._drain = self._loop.call_later(DRAIN_SECONDS, self.abort)

    @override
    def data_received(self, data: bytes) -> None:
        reply, parser = self._reply, self._parser
        if reply is None or parser is None:
            # Nobody asked: taken for the next request's answer it would answer the wrong question.
            self.abort()
            return
        self._received += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(HttpError("the server wants to speak another protocol"))
            return
        except httptools.HttpParserError as error:
            self._dirty = True
            if not self._done:
                self._fail(HttpError(f"the server sent what is not HTTP: {error}"))
                return
        if self._done:
            self._finish(reply)
        elif self._received > HEAD_LIMIT + (1 + OVERHEAD) * self._body:
            self._fail(HttpError("the head of the answer is too long"))
        elif self._drain is not None and self._body > reply.size + DRAIN_BYTES:
            self.abort()
        elif self._body or reply.status != 200:  # the head alone is of no use to anybody
            reply.wake()

    @override
    def eof_received(self) -> bool | None:
        self.connection_lost(None)
        return False

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        reply = self._reply
        if reply is None:
            return
        if self._begun and self._until_end and exc is None:
            self._finish(reply)
        elif self._begun:
            self._fail(HttpError("the connection ended in the middle of the answer"))
        elif self._received:
            self._fail(HttpError("the connection ended in the head of the answer"))
        else:
            because = f" ({exc})" if exc else ""
            text = (
                f"it closed the connection{because} before it answered; "
                "whether the request was carried out is unknown"
            )
            self._fail(NoAnswerError(text))

    def on_message_begin(self) -> None:
        """Parser: a message begins; one after the answer is garbage."""
        self._dirty = self._dirty or self._done

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser: a header, or a trailer, which nobody asked for."""
        if not self._begun:
            key, text = name.decode("latin-1").lower(), value.strip().decode("latin-1")
            known = self._headers.get(key)
            self._headers[key] = text if known is None else f"{known}, {text}"

    def on_headers_complete(self) -> None:
        """Parser: the head is complete."""
        parser, reply = self._parser, self._reply
        if self._done or parser is None or reply is None:
            return
        status = parser.get_status_code()
        if status < 200:
            self._interim += 1
            self._headers = {}
            return
        self._begun = True
        coding = self._headers.get("transfer-encoding", "").lower()
        sized = "content-length" in self._headers or coding == "chunked"
        self._until_end = not sized and status not in (204, 304)
        self._keep = not self._until_end and parser.should_keep_alive()
        reply.begin(status, self._headers)

    def on_body(self, data: bytes) -> None:
        """Parser: a part of the body."""
        if self._done or self._reply is None:
            return
        self._body += len(data)
        if self._drain is None:
            self._reply.add(data)

    def on_message_complete(self) -> None:
        """Parser: the end of a message; that of an interim answer is passed over."""
        if self._begun:
            self._done = True
        elif self._interim > INTERIM_LIMIT:
            self._received = sys.maxsize

    def _finish(self, reply: HttpReply) -> None:
        self._reply = self._parser = None
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None
        transport = self._transport
        reusable = self._keep and not self._dirty and not self.closed and transport is not None
        if reusable and transport is not None and not transport.get_write_buffer_size():
            if self._paused:  # its reader was slow; the end of the connection must be noticed
                self.pause(False)
            self.idle_until = self._loop.time() + idle_seconds(reply.headers)
            self._on_idle(self)
        else:
            self.closed = True
            if transport is not None:
                transport.close()
        reply.finish()

    def _fail(self, error: HttpError) -> None:
        reply, self._reply = self._reply, None
        if self._drain is not None:
            self._drain.cancel()
        self.abort()
        if reply is not None:
            reply.fail(error)


def idle_seconds(headers: dict[str, str]) -> float:
    """Return how long a connection may be kept: less than the server says that it keeps it."""
    said = headers.get("keep-alive")
    for part in said.lower().split(",") if said else ():
        name, _, value = part.strip().partition("=")
        if name == "timeout" and value.isdecimal():
            return max(min(float(value[:4]), 60.0) - 1.0, 0.0)
    return IDLE_SECONDS


def _is_readable(transport: asyncio.Transport) -> bool:
    """Whether bytes, or the end, have arrived at a transport's socket."""
    handle = transport.get_extra_info("socket")
    if handle is None:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([handle.fileno()], [], [], 0)[0])
    poll = select.poll()
    poll.register(handle.fileno(), select.POLLIN)
    return bool(poll.poll(0))
