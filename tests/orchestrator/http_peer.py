"""A raw client of the host's own HTTP server, and a server to talk to."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from typing_extensions import override

from host.orchestrator.http_message import BodyTooLargeError, HttpMessage
from host.orchestrator.http_protocol import HttpProtocol, Serve
from host.orchestrator.http_server import HttpServer

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
WISH = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"
LIMIT = 1 << 20


async def echo(http: HttpMessage) -> None:
    """Answers with what was posted."""
    try:
        body = await http.body(LIMIT) if http.method == "POST" else http.path.encode()
        await http.answer(200, body)
    except BodyTooLargeError:
        await http.answer(413)


@dataclass
class Peer:
    """A raw client of a server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: HttpServer

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> tuple[bytes, bytes]:
        """Return the status line and the body of an answer whose length is told."""
        status, *lines = (await self.head()).split(b"\r\n")
        length = next(line for line in lines if line.startswith(b"content-length: "))
        return status, await self.reader.readexactly(int(length.partition(b": ")[2]))


@asynccontextmanager
async def connected(serve: Serve = echo, *, keep_alive: float = 120.0) -> AsyncGenerator[Peer]:
    server = HttpServer(serve, keep_alive=keep_alive)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        await server.listen(bound)
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        try:
            async with asyncio.timeout(60):
                yield Peer(reader, writer, server)
        finally:
            writer.close()
            await server.close(grace=0.1)


async def until_lost(server: HttpServer) -> None:
    while server.connections:
        server._lost.clear()
        await server._lost.wait()


class Recording(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = 0

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    @override
    def is_closing(self) -> bool:
        return self.closed > 0

    @override
    def close(self) -> None:
        self.closed += 1

    @override
    def write_eof(self) -> None:
        pass

    @override
    def pause_reading(self) -> None:
        pass


def recorded(serve: Serve = echo) -> tuple[HttpProtocol, Recording]:
    transport = Recording()
    protocol = HttpProtocol(serve, lambda _: None)
    protocol.connection_made(transport)
    return protocol, transport


async def refuse(http: HttpMessage) -> None:
    """Answers without a look at the body."""
    await http.answer(401)


ENDLESS = [b"0\r\nX: ", b"0\r\n", b"5;a=", b"5;a=b\r\nhello\r\n5;c="]
