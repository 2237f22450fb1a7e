"""The channel over Streamable HTTP, towards servers that end connections."""

import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from host.domain.errors import UpstreamUnavailableError
from host.gateway.http1.client import HttpClient
from host.gateway.oauth.authorizer import HeaderAuthorizer
from host.gateway.upstream import http
from host.gateway.upstream.channel import Outgoing
from host.gateway.upstream.http import HttpChannel
from tests.fakes.scripted_http import Script, ScriptedServer, Wire, plain

EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def reply_to(request: bytes) -> bytes:
    number = json.loads(request.partition(b"\r\n\r\n")[2])["id"]
    return json.dumps({"jsonrpc": "2.0", "id": number, "result": {"number": number}}).encode()


async def say_events(wire: Wire, request: bytes) -> None:
    event = b"data: %b\n\n" % reply_to(request)
    await wire.say(EVENTS, b"%x\r\n%b\r\n" % (len(event), event))


def play(act: Callable[[HttpChannel, ScriptedServer], Awaitable[None]], *scripts: Script) -> None:
    async def run() -> None:
        messages: list[Any] = []
        async with ScriptedServer(*scripts).serve() as server:
            client = HttpClient()
            channel = HttpChannel(
                "fake",
                server.url,
                client=client,
                authorizer=HeaderAuthorizer({}),
                on_message=lambda message, _: messages.append(message),
                limit=1 << 20,
            )
            try:
                with anyio.fail_after(20):
                    await act(channel, server)
            finally:
                await channel.close()
                await client.close()

    anyio.run(run)


def test_calls_answered_by_event_streams_share_one_connection():
    ended: list[anyio.Event] = [anyio.Event() for _ in range(3)]

    async def script(wire: Wire) -> None:
        for event in ended:
            await say_events(wire, await wire.request())
            await wire.say(b"0\r\n\r\n")
            event.set()
        await wire.left()

    async def act(channel: HttpChannel, server: ScriptedServer) -> None:
        for number, event in enumerate(ended):
            result = await channel.send(Outgoing(number, "tools/call", {"name": "x"}))
            assert result == {"number": number}
            await event.wait()
            await anyio.wait_all_tasks_blocked()
        assert server.connections == 1

    play(act, script)


def ends_on_second(seen: list[bytes]) -> Script:
    async def script(wire: Wire) -> None:
        seen.append(await wire.request())
        await wire.say(plain(reply_to(seen[-1]), b"Content-Type: application/json"))
        seen.append(await wire.request())

    return script


async def answering(wire: Wire) -> None:
    with contextlib.suppress(ValueError):
        while request := await wire.request():
            await wire.say(plain(reply_to(request), b"Content-Type: application/json"))


def test_tool_call_whose_connection_ended_is_reported_and_not_repeated():
    seen: list[bytes] = []

    async def act(channel: HttpChannel, server: ScriptedServer) -> None:
        await channel.send(Outgoing(1, "tools/call", {"name": "x"}))
        with pytest.raises(UpstreamUnavailableError, match="carried out is unknown"):
            await channel.send(Outgoing(2, "tools/call", {"name": "x"}))
        assert (len(seen), server.connections) == (2, 1)

    play(act, ends_on_second(seen), answering)


def test_list_whose_connection_ended_is_asked_for_again():
    seen: list[bytes] = []

    async def act(channel: HttpChannel, server: ScriptedServer) -> None:
        await channel.send(Outgoing(1, "tools/list", {}))
        assert await channel.send(Outgoing(2, "tools/list", {})) == {"number": 2}
        assert (len(seen), server.connections) == (2, 2)

    play(act, ends_on_second(seen), answering)


def test_cancellation_that_a_server_never_takes_is_given_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "CANCEL_LIMIT", 0.05)
    asked, given_up = anyio.Event(), anyio.Event()

    async def hanging(wire: Wire) -> None:
        await wire.request()
        asked.set()
        await wire.left()

    async def deaf(wire: Wire) -> None:
        assert b"notifications/cancelled" in await wire.request()
        await wire.left()
        given_up.set()

    async def act(channel: HttpChannel, server: ScriptedServer) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(channel.send, Outgoing(1, "tools/call", {"name": "x"}))
            await asked.wait()
            group.cancel_scope.cancel()
        await given_up.wait()

    play(act, hanging, deaf)


def test_stateless_call_that_is_abandoned_closes_its_stream():
    asked, left = anyio.Event(), anyio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.say(EVENTS)
        asked.set()
        await wire.left()
        left.set()

    async def act(channel: HttpChannel, server: ScriptedServer) -> None:
        async with anyio.create_task_group() as group:
            outgoing = Outgoing(1, "tools/call", {"name": "x"}, stateless=True)
            group.start_soon(channel.send, outgoing)
            await asked.wait()
            assert not left.is_set()
            group.cancel_scope.cancel()
        await left.wait()
        assert channel.closed is None

    play(act, script)
