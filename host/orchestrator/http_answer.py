"""How a request over HTTP is answered: in plain JSON while the answer is all, else in a stream."""

import asyncio
from types import TracebackType
from typing import Self

from host.domain.jsonrpc import Json
from host.orchestrator.http_message import PING, PING_INTERVAL, HttpMessage
from host.orchestrator.http_streams import EventStream


class Answering:
    """Sends what is said about a request, while the request is served in the task that waits here.

    Nothing is begun for a request that is answered at once: most are, and a task more for each is
    a tenth of what they cost.

    Args:
        http: The request.
        stream: What is said about it.
        silence: Seconds after which the answer becomes a stream, so that its client sees life.
    """

    def __init__(
        self, http: HttpMessage, stream: EventStream, *, silence: float = PING_INTERVAL
    ) -> None:
        self._http = http
        self._stream = stream
        self._silence = silence
        self._talk: asyncio.Task[None] | None = None

    @property
    def streams(self) -> bool:
        """Whether an event stream was begun."""
        return self._talk is not None

    def __enter__(self) -> Self:
        """Begin the stream as soon as something is said before the answer, or for too long not."""
        self._timer = asyncio.get_running_loop().call_later(self._silence, self._begin)
        self._stream.on_news = self._begin
        if not self._http.accepts()[0]:
            self._begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the rest to `finish`."""
        self._timer.cancel()
        self._stream.on_news = None

    def _begin(self) -> None:
        if self._talk is None and not self._stream.ended:
            self._talk = asyncio.create_task(self._send_stream())

    async def finish(self, message: Json | None = None) -> None:
        """Send the rest of a stream to its end, beginning it if need be.

        Args:
            message: The answer, where it is not in the stream already.
        """
        if message is not None:
            self._stream.finish(message)
        if self._talk is None:
            await self._send_stream()
            return
        try:
            await self._talk
        finally:
            self._talk.cancel()

    async def _send_stream(self) -> None:
        await self._http.start_stream()
        if self._stream.resumable:
            await self._http.stream(self._stream.primer())
        await pump(self._http, self._stream)


async def pump(http: HttpMessage, stream: EventStream) -> None:
    """Send a stream's events until it ends, its client leaves, or another one reads it."""
    stream.reader += 1
    mine = stream.reader
    with http.telling(stream.wake):
        try:
            while not http.lost and stream.reader == mine:
                data = stream.take()
                if stream.ended and not stream.waiting:
                    await http.stream(data, more=False)
                    return
                await http.stream(data or PING)
                await stream.wait(PING_INTERVAL)
        finally:
            if stream.reader == mine:
                stream.reader = 0
