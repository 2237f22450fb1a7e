"""A server that says exactly what a script tells it to, byte by byte if need be."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable


class Wire:
    """One connection of a client, seen from the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """Read one whole request.

        Raises:
            asyncio.IncompleteReadError: The client left.
        """
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        return head + await self.reader.readexactly(int(length[1]) if length else 0)

    async def say(self, *pieces: bytes) -> None:
        """Send pieces, each in a segment of its own where the kernel lets it be."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def left(self) -> None:
        """Return once the client has gone."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(4096):
                pass


Script = Callable[[Wire], Awaitable[None]]


class ScriptedServer:
    """Plays a script on every connection, the first one on the first, the last one on all others.

    Attributes:
        connections: How many there were.
        url: Where it listens.
    """

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self._scripts = scripts
        self._tls = tls
        self.connections = 0
        self.port = 0
        self.failures: list[Exception] = []

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}/mcp"

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self._scripts[min(self.connections, len(self._scripts) - 1)]
        self.connections += 1
        try:
            await script(Wire(reader, writer))
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the client left, or the test is over
        except Exception as error:  # noqa: BLE001 - told to the test at the end of the block
            self.failures.append(error)
        finally:
            writer.close()

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncGenerator["ScriptedServer"]:
        """Listen for the span of a block."""
        server = await asyncio.start_server(self._play, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
        assert not self.failures


def answers(*bodies: bytes) -> Script:
    """Return a script that answers one request after the other with these pieces, whole."""

    async def script(wire: Wire) -> None:
        for body in bodies:
            await wire.request()
            await wire.say(body)
        await wire.left()

    return script


def plain(body: bytes, *headers: bytes) -> bytes:
    """Return a whole answer with a length."""
    extra = b"".join(header + b"\r\n" for header in headers)
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (extra, len(body), body)
