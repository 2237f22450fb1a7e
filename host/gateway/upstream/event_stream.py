"""Server-sent events, read incrementally from bytes, as the HTML standard defines them."""

from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class ServerEvent:
    """One event.

    Attributes:
        data: Its text; empty for an event that only sets an id.
        id: The last id seen on the stream, empty where there was none.
        retry: Milliseconds to wait before reconnecting, where the event says so.
    """

    data: bytes = b""
    event: str = "message"
    id: str = ""
    retry: int | None = None


RECONNECT_DELAY = 1.0
"""Seconds before a broken event stream is opened again, where the server names no delay."""


@dataclass(slots=True)
class Place:
    """How far a stream has been read, and when to come back to it.

    Attributes:
        id: The last event's id; empty where the stream cannot be resumed.
        delay: Seconds to wait before reconnecting.
    """

    id: str = ""
    delay: float = RECONNECT_DELAY

    def pass_by(self, event: ServerEvent) -> None:
        """Take note of an event that was read."""
        self.id = event.id or self.id
        if event.retry is not None:
            self.delay = event.retry / 1000


@dataclass(slots=True)
class EventParser:
    """Turns chunks of an event stream into events.

    Args:
        limit: Bytes that one event may have.
    """

    limit: int
    _buffer: bytes = b""
    _data: list[bytes] = field(default_factory=list[bytes])
    _size: int = 0
    _event: str = "message"
    _id: str = ""
    _retry: int | None = None
    _touched: bool = False

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """Yield the events that a chunk completes.

        Raises:
            ValueError: An event is longer than the limit.
        """
        text = self._buffer + chunk
        if b"\r" in text:
            held = text.endswith(b"\r")
            text = (text[:-1] if held else text).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            text += b"\r" if held else b""
        *lines, self._buffer = text.split(b"\n")
        if len(self._buffer) + self._size > self.limit:
            raise ValueError(f"an event is longer than {self.limit:,} bytes")
        for line in lines:
            if line:
                self._take(line)
            elif self._touched:
                yield self._finish()

    def _take(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._size += len(value)
            if self._size > self.limit:
                raise ValueError(f"an event is longer than {self.limit:,} bytes")
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit():
            self._retry = int(value)
        else:
            return
        self._touched = True

    def _finish(self) -> ServerEvent:
        event = ServerEvent(b"\n".join(self._data), self._event, self._id, self._retry)
        self._data, self._size = [], 0
        self._event, self._retry, self._touched = "message", None, False
        return event


def render_event(data: bytes, *, event_id: str | None = None, retry: int | None = None) -> bytes:
    """Return one event as it goes on the wire; `data` has no line breaks (JSON never does)."""
    head = f"id: {event_id}\n".encode() if event_id is not None else b""
    if retry is not None:
        head += b"retry: %d\n" % retry
    return b"event: message\n" + head + b"data: " + data + b"\n\n"
