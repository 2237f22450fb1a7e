"""Requests of the HTTP client to a server that plays a script."""

import asyncio
from collections.abc import Awaitable, Callable

import anyio

from host.gateway.http1.client import HttpClient
from host.gateway.http1.reply import HttpReply
from host.gateway.http1.url import HttpUrl
from tests.fakes.scripted_http import Script, ScriptedServer, Wire, plain

Act = Callable[[HttpClient, ScriptedServer], Awaitable[None]]
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'5;ext="a;b"\r\nhello\r\n6;x\r\n world\r\n0\r\nX-Trailer: 1\r\nContent-Type: x\r\n\r\n'
)


def play(act: Act, *scripts: Script) -> None:
    async def run() -> None:
        async with ScriptedServer(*scripts).serve() as server:
            client = HttpClient()
            try:
                with anyio.fail_after(20):
                    await act(client, server)
            finally:
                await client.close()

    for uvloop in (False, True):
        anyio.run(run, backend_options={"use_uvloop": uvloop})


async def post(client: HttpClient, server: ScriptedServer, **options: bool) -> HttpReply:
    url = HttpUrl.parse(server.url)
    return await client.request("POST", url, headers={"x-a": "1"}, body=b"question", **options)


async def ask(client: HttpClient, server: ScriptedServer, **options: bool) -> bytes:
    reply = await post(client, server, **options)
    body = await reply.read(1 << 20)
    reply.release()
    return body


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until something has happened; `play` sets the deadline."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event
        await asyncio.sleep(0)


def ends_on_second(seen: list[bytes]) -> Script:
    """A server that ends the connection in the moment that the second request arrives."""

    async def script(wire: Wire) -> None:
        seen.append(await wire.request())
        await wire.say(plain(b"first"))
        seen.append(await wire.request())

    return script


EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
