"""Request and response over one duplex line stream: the stdio transport's message layer."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable

from host.domain.errors import UpstreamError, UpstreamProtocolError, UpstreamUnavailableError
from host.domain.jsonrpc import (
    Json,
    RequestId,
    RpcError,
    as_object,
    decode,
    encode,
    failure,
    is_request_id,
    notification,
    request,
    response,
)
from host.gateway.upstream.channel import OnMessage, Outgoing
from host.gateway.upstream.lines import Oversize, read_lines

log = logging.getLogger(__name__)

WORDS = 50
"""Last lines of a server's standard error that are kept for messages."""
GARBAGE_LIMIT = 64
"""Lines that are not JSON-RPC which a server may write before it is given up."""


class DuplexChannel:
    """A `Channel` over a pair of byte streams.

    Args:
        name: The server's name, for messages.
        reader: What the server writes.
        writer: What the server reads.
        on_message: Receives its notifications and requests.
        limit: Bytes that one message of the server may have.
    """

    def __init__(
        self,
        name: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        on_message: OnMessage,
        limit: int,
    ) -> None:
        self._name = name
        self._reader = reader
        self._writer = writer
        self._on_message = on_message
        self._limit = limit
        self._pending: dict[RequestId, asyncio.Future[Json]] = {}
        self._garbage = 0
        self._sent_at: dict[RequestId, float] = {}
        self._quiet_since = 0.0
        self._words: deque[tuple[float, str]] = deque(maxlen=WORDS)
        self.closed: Exception | None = None
        """Why nothing more can be sent, once that is so."""

    async def send(self, outgoing: Outgoing) -> Json:
        """Send a request and wait for its result."""
        self._check_open()
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._pending[outgoing.id] = future
        self._sent_at[outgoing.id] = time.monotonic()
        try:
            await self._write(request(outgoing.id, outgoing.method, outgoing.params))
            return await future
        except asyncio.CancelledError:
            if self.closed is None and outgoing.method != "initialize":
                cancel = {"requestId": outgoing.id, "reason": "The client cancelled the request."}
                self._put(notification("notifications/cancelled", cancel))
            raise
        finally:
            self._pending.pop(outgoing.id, None)
            del self._sent_at[outgoing.id]
            self._quiet_since = time.monotonic()

    async def notify(self, method: str, params: Json | None) -> None:
        """Send a notification."""
        self._check_open()
        await self._write(notification(method, params))

    async def reply(self, request_id: RequestId, outcome: Json | RpcError) -> None:
        """Answer a request of the server; a server that is gone needs no answer."""
        if self.closed is None:
            make = failure if isinstance(outcome, RpcError) else response
            await self._write(make(request_id, outcome))  # pyright: ignore[reportArgumentType]

    async def close(self) -> None:
        """Close the server's input; its process is ended by whoever started it."""
        self.fail(UpstreamUnavailableError("The connection was closed.", upstream=self._name))

    def fail(self, reason: Exception) -> None:
        """End every request in flight with a reason; only the first reason counts."""
        if self.closed is not None:
            return
        self.closed = reason
        for future in self._pending.values():
            if not future.done():
                future.set_exception(reason)
        self._pending.clear()
        self._writer.close()

    async def run(self, explain: Callable[[], Awaitable[UpstreamError]]) -> None:
        """Read until the server closes its output.

        Args:
            explain: Returns what then became of the server.
        """
        try:
            async for line in read_lines(self._reader, limit=self._limit):
                self._receive(line)
        except (OSError, asyncio.IncompleteReadError) as error:
            log.debug("%s: reading stopped: %s", self._name, error)
        self.fail(await explain())

    def hear(self, words: list[str]) -> None:
        """Take lines that the server wrote to its standard error."""
        now = time.monotonic()
        self._words.extend((now, line) for line in words if line.strip())

    @property
    def last_words(self) -> str | None:
        """What it said last about what is in flight; what came before was about something else."""
        since = min(self._sent_at.values(), default=self._quiet_since)
        return self._words[-1][1] if self._words and self._words[-1][0] >= since else None

    def _check_open(self) -> None:
        if self.closed is not None:
            raise self.closed

    def _put(self, message: Json) -> None:
        self._writer.write(encode(message) + b"\n")

    async def _write(self, message: Json) -> None:
        try:
            self._put(message)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            raise self.closed or UpstreamUnavailableError(
                f"Server {self._name!r} no longer reads: {error}.", upstream=self._name
            ) from error

    def _receive(self, line: bytes | Oversize) -> None:
        if isinstance(line, Oversize):
            self._drop_oversize(line)
            return
        try:
            message = decode(line)
        except RpcError:
            message = None
        body = as_object(message)
        if body is None:
            self._count_garbage(line)
        elif "method" in body:
            self._on_message(body, None)
        elif is_request_id(body.get("id")):
            self._settle(body["id"], body)
        else:
            self._count_garbage(line)

    def _settle(self, request_id: RequestId, body: Json) -> None:
        future = self._pending.get(request_id)
        if future is None and isinstance(request_id, str) and request_id.isdecimal():
            future = self._pending.get(int(request_id))
        if future is None or future.done():
            log.debug("%s: a late or unknown answer to %r was dropped", self._name, request_id)
        elif (result := as_object(body.get("result"))) is not None:
            future.set_result(result)
        else:
            future.set_exception(RpcError.from_wire(body.get("error")))

    def _drop_oversize(self, line: Oversize) -> None:
        error = UpstreamProtocolError(
            f"Server {self._name!r} answered with {line.size:,} bytes; "
            f"{self._limit:,} are allowed.",
            upstream=self._name,
            next_step="Raise max_result_bytes for this server, or ask it for less.",
        )
        named = decode(line.id_text) if line.id_text else None
        future = self._pending.get(named) if isinstance(named, int | str) else None
        if future is None:
            log.warning("%s (no request could be named)", error, extra={"server": self._name})
        elif not future.done():
            future.set_exception(error)

    def _count_garbage(self, line: bytes) -> None:
        self._garbage += 1
        told = {"server": self._name}
        log.warning("%s wrote a line that is not JSON-RPC: %.200r", self._name, line, extra=told)
        if self._garbage >= GARBAGE_LIMIT:
            self.fail(
                UpstreamProtocolError(
                    f"Server {self._name!r} writes lines that are not JSON-RPC to its standard "
                    f"output, such as {line[:80]!r}.",
                    upstream=self._name,
                    next_step="Is the command an MCP server? Its logs belong on standard error.",
                )
            )
