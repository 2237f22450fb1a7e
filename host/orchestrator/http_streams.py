"""The event streams of HTTP sessions: what was said can be heard again after a broken line."""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from host.domain.jsonrpc import Json, RequestId, encode
from host.gateway.upstream.event_stream import render_event

KEPT_BYTES = 4 * 1024 * 1024
"""Bytes of a stream that are kept for a client that comes back."""
BACKLOG_LIMIT = 64 * 1024 * 1024
"""Bytes that may wait on one stream for a client that does not read."""

_numbers = itertools.count(1)


@dataclass(eq=False)
class EventStream:
    """What a session says about one request, or about none (the standing stream).

    Attributes:
        request: The client's request; None for the standing stream.
        resumable: Whether events carry ids.
        ended: Whether nothing more will come.
        reader: Counts the connections that read it; only the newest one may.
    """

    request: RequestId | None = None
    resumable: bool = True
    name: str = field(default_factory=lambda: f"s{next(_numbers)}")
    ended: bool = False
    reader: int = 0
    on_news: Callable[[], None] | None = None
    """Told when there is something new."""

    def __post_init__(self) -> None:
        self._events: deque[tuple[int, bytes]] = deque()
        self._next = 1
        self._size = 0
        self._sent = 0
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def waiting(self) -> bool:
        """Whether there is something that was not handed out yet."""
        return self._next - 1 > self._sent

    def put(self, message: Json) -> bool:
        """Add a message; False if the client is too far behind and the stream was ended."""
        data = encode(message)
        self._events.append((self._next, data))
        self._next += 1
        self._size += len(data)
        if self._size > BACKLOG_LIMIT and self.waiting and self.request is not None:
            self.end()
            return False
        while self._size > KEPT_BYTES and self._events and self._may_forget(self._events[0][0]):
            self._size -= len(self._events.popleft()[1])
        self.wake()
        return True

    def _may_forget(self, sequence: int) -> bool:
        """Whether an old event may go: it was handed out, or nobody ever came to hear it.

        A client that does not read its standing stream, or not fast enough, loses the oldest news
        on it; what belongs to a request is never dropped.
        """
        return sequence <= self._sent or self.request is None

    def wake(self) -> None:
        """Let whoever waits look around: its client may have left."""
        if self.on_news is not None:
            self.on_news()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def end(self) -> None:
        """Say that nothing more will come."""
        self.ended = True
        self.wake()

    def finish(self, message: Json | None) -> None:
        """Add the answer, if there is one, and say that nothing more will come."""
        self.ended = True
        if message is None:
            self.wake()
        else:
            self.put(message)

    def rewind(self, sequence: int) -> None:
        """Begin again after an event that the client has."""
        self._sent = sequence

    def take(self) -> bytes:
        """Return the events that were not handed out yet, as they go on the wire."""
        parts: list[bytes] = []
        for sequence, data in self._events:
            if sequence > self._sent:
                event_id = f"{self.name}-{sequence}" if self.resumable else None
                parts.append(render_event(data, event_id=event_id))
                self._sent = sequence
        if not self.resumable:
            self._events.clear()
            self._size = 0
        return b"".join(parts)

    def single(self) -> bytes | None:
        """Return the only event of a stream that has ended, for an answer without a stream."""
        if self.ended and len(self._events) == 1 and not self._sent:
            self._sent = self._events[0][0]
            return self._events[0][1]
        return None

    async def wait(self, seconds: float) -> None:
        """Wait until there is something new, the stream has ended, or the time is over."""
        if self.waiting or self.ended:
            return
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        deadline = loop.call_later(seconds, self.wake)
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            deadline.cancel()
            self._waiters.discard(waiter)

    def primer(self) -> bytes:
        """Return the empty event by which a client learns where to resume."""
        return f"id: {self.name}-0\ndata: \n\n".encode()


def parse_event_id(text: str) -> tuple[str, int] | None:
    """Return the stream's name and the sequence number in an event id; None if it is not one."""
    name, dash, number = text.rpartition("-")
    return (name, int(number)) if dash and number.isdecimal() and len(number) < 16 else None
