"""Streams and bodies that the HTTP client reads: whole, made plain, and bounded."""

import gzip
import zlib

import anyio
import pytest

from host.gateway.http1 import connection
from host.gateway.http1 import reply as reply_module
from host.gateway.http1.client import HttpClient
from host.gateway.http1.error import HttpError, NotSentError
from host.gateway.http1.reply import BodyTooLongError
from tests.fakes.scripted_http import ScriptedServer, Wire, answers, plain
from tests.gateway.http1.exchanges import CHUNKED, EVENTS, ask, play, post, until


def test_trailers_do_not_become_headers():
    async def act(client: HttpClient, server: ScriptedServer) -> None:
        reply = await post(client, server)
        assert await reply.read(100) == b"hello world"
        assert reply.headers == {"transfer-encoding": "chunked"}

    play(act, answers(CHUNKED))


def test_body_without_a_length_ends_with_its_connection_which_is_not_kept():
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.say(b"HTTP/1.0 200 OK\r\nContent-Type: Text/Plain; a\r\n\r\n", b"all", b" of it")

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        reply = await post(client, server)
        assert reply.content_type == "text/plain"
        assert await reply.read(100) == b"all of it"
        assert client.idle == 0
        assert await ask(client, server) == b"all of it"
        assert server.connections == 2

    play(act, script)


def test_stream_that_ends_after_its_last_event_leaves_its_connection_to_the_next_request():
    released = anyio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.say(EVENTS, b"6\r\nevent!\r\n")
        await released.wait()
        await wire.say(b"4\r\nmore\r\n0\r\n\r\n")
        await wire.request()
        await wire.say(plain(b"second"))

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        nonlocal released
        released = anyio.Event()
        reply = await post(client, server)
        assert await reply.chunk() == b"event!"
        reply.release()
        released.set()
        await until(lambda: client.idle)
        assert await ask(client, server) == b"second"
        assert server.connections == 1

    play(act, script)


def test_stream_that_goes_on_after_release_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connection, "DRAIN_SECONDS", 3600.0)

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.say(EVENTS)
        while True:
            await wire.say(b"1000\r\n%b\r\n" % (b"x" * 4096))

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        reply = await post(client, server)
        reply.release()
        await until(lambda: all(each.closed for each in client._open))
        assert client.idle == 0

    play(act, script)


def test_server_waits_for_a_slow_reader_and_nothing_is_lost():
    body = bytes(range(256)) * 4096 * 8

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        reply = await post(client, server)
        await until(lambda: reply._paused)
        assert reply.size < len(body)
        assert await reply.read(len(body)) == body
        reply.release()
        assert client.idle == 1

    play(act, answers(plain(body)))


def test_connection_of_an_answer_that_nobody_had_read_yet_serves_the_next_request(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(reply_module, "BUFFER", 10)

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        first = await post(client, server)
        await until(lambda: client.idle)
        assert await ask(client, server) == b"second"
        assert await first.read(100) == b"x" * 20
        assert server.connections == 1

    play(act, answers(plain(b"x" * 20), plain(b"second")))


def test_body_longer_than_its_limit_is_refused():
    async def act(client: HttpClient, server: ScriptedServer) -> None:
        reply = await post(client, server)
        with pytest.raises(BodyTooLongError):
            await reply.read(10)
        reply.abort()

    play(act, answers(plain(b"x" * 11)))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw"])
def test_compressed_body_is_made_plain(coding: str):
    text = b"hello " * 50_000
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(text),
        "deflate": zlib.compress(text),
        "raw": raw.compress(text) + raw.flush(),
    }[coding]
    name = b"gzip" if coding == "gzip" else b"deflate"

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        reply = await post(client, server)
        assert await reply.read(len(text)) == text

    play(act, answers(plain(packed, b"Content-Encoding: " + name)))


@pytest.mark.parametrize("coding", [b"br", b"gzip", b"deflate"])
def test_body_that_cannot_be_unpacked_is_an_error(coding: bytes):
    async def act(client: HttpClient, server: ScriptedServer) -> None:
        with pytest.raises(HttpError):
            await ask(client, server)

    play(act, answers(plain(b"xyz", b"Content-Encoding: " + coding)))


def test_small_body_that_unpacks_to_a_huge_one_stops_at_the_limit():
    packed = gzip.compress(bytes(300_000_000), 1)

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        reply = await post(client, server)
        with pytest.raises(BodyTooLongError):
            await reply.read(1 << 20)
        reply.abort()

    play(act, answers(plain(packed, b"Content-Encoding: gzip")))


def test_nobody_listening_is_certainly_not_delivered():
    async def run() -> None:
        async with ScriptedServer(answers()).serve() as server:
            pass
        client = HttpClient()
        with pytest.raises(NotSentError):
            await ask(client, server)
        await client.close()

    anyio.run(run)
