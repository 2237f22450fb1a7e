"""An answer leaves the web server in one write, whatever shape it has."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from typing_extensions import override

from host.orchestrator.http_message import Receive, Scope, Send
from host.orchestrator.http_protocol import HeldHead, HttpProtocol

pytestmark = pytest.mark.anyio


class Recording(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    @override
    def close(self) -> None:
        self.closed = True


def test_head_and_body_are_one_write():
    inner = Recording()
    held = HeldHead(inner)
    held.write(b"HTTP/1.1 200 OK\r\n\r\n")
    assert inner.writes == []
    held.write(b"{}")
    held.write(b"more")
    assert inner.writes == [b"HTTP/1.1 200 OK\r\n\r\n{}", b"more"]


def test_an_interim_answer_is_not_held_back():
    inner = Recording()
    HeldHead(inner).write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert inner.writes == [b"HTTP/1.1 100 Continue\r\n\r\n"]


def test_a_head_whose_body_never_comes_is_written_before_the_end():
    inner = Recording()
    held = HeldHead(inner)
    held.write(b"HTTP/1.1 204 No Content\r\n\r\n")
    held.close()
    assert inner.writes == [b"HTTP/1.1 204 No Content\r\n\r\n"]
    assert inner.closed


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what was posted."""
    body = (await receive())["body"] if scope["method"] == "POST" else b"gotten"
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    config = uvicorn.Config(application, http=HttpProtocol, lifespan="off", log_config=None)
    config.load()
    state = uvicorn.Server(config).server_state
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: HttpProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        try:
            async with asyncio.timeout(30):
                yield reader, writer
        finally:
            writer.close()
            await writer.wait_closed()


async def test_a_client_that_waits_for_leave_to_send_its_body_gets_it_and_its_answer():
    async with connected() as (reader, writer):
        writer.write(
            b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        assert await reader.readexactly(2) == b"{}"


async def test_answers_without_a_body_arrive_and_the_connection_goes_on():
    async with connected() as (reader, writer):
        for method, body in ((b"HEAD", b""), (b"GET", b"gotten"), (b"HEAD", b"")):
            writer.write(method + b" / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
            assert await reader.readexactly(len(body)) == body
