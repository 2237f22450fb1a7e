"""Standard input and output as pipes of the event loop, for every bundled server on stdio.

The SDK reads and writes them in threads, which costs three changes of thread a call. What is no
pipe, such as a terminal or a file, is left to it.
"""

import asyncio
import contextlib
import os
import stat
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import asynccontextmanager
from typing import cast

import anyio
from typing_extensions import override

_LONGEST_LINE = 1 << 30
_LAST_WORDS = 5.0
"""Seconds that a client has to read what was written before the end."""


def are_pipes() -> bool:
    """Tell whether standard input and output are pipes or sockets that an event loop can watch."""
    if sys.platform == "win32":
        return False
    try:
        modes = [os.fstat(descriptor).st_mode for descriptor in (0, 1)]
    except OSError:
        return False
    return all(stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) for mode in modes)


@asynccontextmanager
async def standard_pipes() -> AsyncGenerator[tuple[anyio.AsyncFile[str], anyio.AsyncFile[str]]]:
    """Yield standard input and output for `mcp.server.stdio.stdio_server`, which are this block's.

    As long as it lasts, what else reads standard input finds its end, and what else writes to
    standard output writes to standard error: neither can disturb the protocol.
    """
    loop = asyncio.get_running_loop()
    with _claimed(0) as source, _claimed(1) as sink:  # the transports close copies of these
        reader = asyncio.StreamReader(limit=_LONGEST_LINE)
        reading, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(source), "rb", 0)
        )
        writing, flow = await loop.connect_write_pipe(
            lambda: _Flow(asyncio.StreamReader()), os.fdopen(os.dup(sink), "wb", 0)
        )
        writing.set_write_buffer_limits(high=0)
        writer = asyncio.StreamWriter(writing, flow, None, loop)
        try:
            # Of a file, the SDK uses these three methods alone.
            yield (
                cast("anyio.AsyncFile[str]", _Lines(reader)),
                cast("anyio.AsyncFile[str]", _Sheet(writer)),
            )
        finally:
            reading.close()
            writing.close()
            with anyio.move_on_after(_LAST_WORDS, shield=True), contextlib.suppress(OSError):
                await flow.ended.wait()


class _Flow(asyncio.StreamReaderProtocol):
    """Lets a writer wait for its pipe, as `asyncio.open_connection` does for a socket."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self.ended = anyio.Event()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.ended.set()


class _Lines:
    """The lines of standard input."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while line := await self._reader.readline():
            yield line


class _Sheet:
    """Standard output."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def write(self, text: str) -> None:
        self._writer.write(text.encode())

    async def flush(self) -> None:
        try:
            await self._writer.drain()
        except ConnectionError as error:  # the client has gone: nobody is left to be told
            raise anyio.ClosedResourceError from error


@contextlib.contextmanager
def _claimed(descriptor: int) -> Generator[int]:
    """Take a standard descriptor away from everybody else, and give it back at the end."""
    own = os.dup(descriptor)
    other = os.open(os.devnull, os.O_RDONLY) if descriptor == 0 else os.dup(2)
    os.dup2(other, descriptor)
    os.close(other)
    try:
        yield own
    finally:
        os.set_blocking(own, True)
        os.dup2(own, descriptor)
        os.close(own)
