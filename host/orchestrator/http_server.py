"""The web server of the endpoint: it accepts connections, ends idle ones, and stops gracefully."""

import asyncio
import socket

from host.orchestrator.http_protocol import HttpProtocol, Serve

KEEP_ALIVE = 120.0
"""Seconds that a connection may be open without a request being served on it."""
CLOSE_GRACE = 5.0
"""Seconds that answers have to be sent when the server closes."""


class HttpServer:
    """Listens, and hands each request to whoever serves it.

    Args:
        serve: Serves each request.
        keep_alive: Seconds without a request after which a connection is closed.
    """

    def __init__(self, serve: Serve, *, keep_alive: float = KEEP_ALIVE) -> None:
        self._serve = serve
        self._keep_alive = keep_alive
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._lost = asyncio.Event()
        self.connections: set[HttpProtocol] = set()

    async def listen(self, listener: socket.socket) -> None:
        """Accept connections on a socket that listens."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, sock=listener, backlog=2048)
        self._sweep = loop.call_later(self._keep_alive / 4, self._clean)

    def _connection(self) -> HttpProtocol:
        connection = HttpProtocol(self._serve, self._forget)
        self.connections.add(connection)
        return connection

    def _forget(self, connection: HttpProtocol) -> None:
        self.connections.discard(connection)
        self._lost.set()

    def _clean(self) -> None:
        """Close what was idle for long; a timer of its own would be moved by each request."""
        loop = asyncio.get_running_loop()
        edge = loop.time() - self._keep_alive
        for connection in list(self.connections):
            if not connection.busy and connection.idle_since < edge:
                connection.close()
        self._sweep = loop.call_later(self._keep_alive / 4, self._clean)

    async def close(self, grace: float = CLOSE_GRACE) -> None:
        """Accept nothing more, and end each connection after the answer that is on its way."""
        if self._server is not None:
            self._server.close()
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self.connections):
            connection.end()
        try:
            async with asyncio.timeout(grace):
                while self.connections:
                    self._lost.clear()
                    await self._lost.wait()
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
            # Transports tell their protocols of the end in the loop's next turn.
            await asyncio.sleep(0)
