"""Bodies of requests arrive whole and bounded, whatever their framing."""

import asyncio

import pytest

from host.orchestrator.http_message import UNREAD_LIMIT, HttpMessage
from host.orchestrator.http_protocol import HEAD_LIMIT, Serve
from tests.orchestrator.http_peer import (
    CHUNKED,
    ENDLESS,
    GET,
    LIMIT,
    connected,
    echo,
    recorded,
    refuse,
    until_lost,
)

pytestmark = pytest.mark.anyio


async def test_head_and_body_are_one_write():
    done = asyncio.Event()

    async def serve(http: HttpMessage) -> None:
        await echo(http)
        done.set()

    protocol, transport = recorded(serve)
    protocol.data_received(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}")
    await done.wait()
    assert transport.writes == [
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"
    ]


async def test_a_client_that_waits_for_leave_to_send_its_body_gets_it_and_its_answer():
    async with connected() as peer:
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        peer.writer.write(head)
        assert await peer.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.writer.write(b"{}")
        assert await peer.answer() == (b"HTTP/1.1 200 OK", b"{}")


async def test_answers_without_a_body_arrive_and_the_connection_goes_on():
    async with connected() as peer:
        for method, body in ((b"HEAD", b""), (b"GET", b"/"), (b"HEAD", b"")):
            peer.writer.write(method + b" / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert b"content-length: 1\r\n" in await peer.head()
            assert await peer.reader.readexactly(len(body)) == body


@pytest.mark.parametrize("size", [2, 3 * 65_536])
async def test_bodies_arrive_whole_whatever_their_size_and_pieces(size: int):
    body = b"x" * size
    async with connected() as peer:
        peer.writer.write(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, size, 50_000):
            piece = body[start : start + 50_000]
            peer.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await peer.writer.drain()
        peer.writer.write(b"0\r\n\r\n")
        assert await peer.answer() == (b"HTTP/1.1 200 OK", body)


async def test_a_body_over_the_limit_is_refused_and_the_connection_goes_on():
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (LIMIT + 1, b"x" * (LIMIT + 1))
    async with connected() as peer:
        peer.writer.write(CHUNKED + sent + GET)
        assert (await peer.answer())[0] == b"HTTP/1.1 413 Request Entity Too Large"
        assert (await peer.answer())[1] == b"/"


async def test_a_body_said_to_be_long_ends_its_connection_if_it_was_answered_before_it_came():
    async with connected(refuse) as peer:
        peer.writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % LIMIT)
        head = await peer.head()
        assert head.startswith(b"HTTP/1.1 401 ")
        assert b"connection: close\r\n" in head
        assert await peer.reader.read() == b""


@pytest.mark.parametrize("framing", [b"Content-Length: 1048576", b"Transfer-Encoding: chunked"])
async def test_what_comes_of_a_body_after_its_answer_is_not_read_for_ever(framing: bytes):
    async with connected(refuse) as peer:
        peer.writer.write(b"POST / HTTP/1.1\r\n" + framing + b"\r\n\r\n")
        assert (await peer.answer())[0] == b"HTTP/1.1 401 Unauthorized"
        start = b"%x\r\n" % LIMIT if b"chunked" in framing else b""
        peer.writer.write(start + b"x" * (UNREAD_LIMIT + 1))
        await until_lost(peer.server)


async def test_a_short_body_that_was_answered_before_it_came_leaves_its_connection_open():
    async with connected(refuse) as peer:
        peer.writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % UNREAD_LIMIT)
        assert (await peer.answer())[0] == b"HTTP/1.1 401 Unauthorized"
        peer.writer.write(b"x" * UNREAD_LIMIT + GET)
        assert (await peer.answer())[0] == b"HTTP/1.1 401 Unauthorized"


@pytest.mark.parametrize(("wish", "size"), [(b"", LIMIT), (b"Connection: close\r\n", 2)])
async def test_no_request_after_a_body_whose_connection_ends_is_served(wish: bytes, size: int):
    served: list[str] = []
    done = asyncio.Event()

    async def note(http: HttpMessage) -> None:
        served.append(http.method)
        await refuse(http)
        done.set()

    protocol, transport = recorded(note)
    head = b"POST / HTTP/1.1\r\n" + wish + b"Content-Length: %d\r\n\r\n" % size
    protocol.data_received(head)
    await done.wait()
    protocol.data_received(b"x" * size + GET)
    await asyncio.sleep(0)
    assert transport.closed
    assert served == ["POST"]


@pytest.mark.parametrize("serve", [echo, refuse])
@pytest.mark.parametrize("begun", ENDLESS)
async def test_trailers_and_extensions_of_chunks_are_bounded_like_a_head(
    begun: bytes, serve: Serve
):
    done = asyncio.Event()

    async def served(http: HttpMessage) -> None:
        done.set()
        await serve(http)

    protocol, transport = recorded(served)
    protocol.data_received(CHUNKED)
    await done.wait()
    protocol.data_received(begun)
    for _ in range(HEAD_LIMIT // 1024 - 1):
        protocol.data_received(b"a" * 1024)
    assert not transport.closed
    for _ in range(2):
        protocol.data_received(b"a" * 1024)
    assert transport.closed == 1
    assert len(transport.writes) == (1 if serve is refuse else 0)
    protocol.connection_lost(None)


async def test_many_long_extensions_are_bounded_together():
    protocol, transport = recorded()
    protocol.data_received(CHUNKED)
    for _ in range(HEAD_LIMIT // 1024 + 8):
        protocol.data_received(b"1;" + b"a" * 1024 + b"\r\nx\r\n")
    assert transport.closed == 1
    protocol.connection_lost(None)


async def test_a_body_in_many_small_chunks_arrives_whole():
    size = HEAD_LIMIT
    async with connected() as peer:
        peer.writer.write(CHUNKED + b"1\r\nx\r\n" * size + b"0\r\nX: y\r\n\r\n")
        assert await peer.answer() == (b"HTTP/1.1 200 OK", b"x" * size)


async def test_a_body_that_nobody_reads_is_not_taken_without_bound():
    taken = asyncio.Event()
    free = asyncio.Event()
    sizes: list[int] = []

    async def look(http: HttpMessage) -> None:
        taken.set()
        await free.wait()
        sizes.append(http._size)
        await http.answer(200, b"%d" % len(await http.body(LIMIT * 64)))

    async with connected(look) as peer:
        size = 32 * LIMIT
        peer.writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size)
        await taken.wait()
        peer.writer.write(b"x" * size)
        for _ in range(200):
            await asyncio.sleep(0)
        free.set()
        assert (await peer.answer())[1] == b"%d" % size
        assert sizes[0] < LIMIT


async def test_half_an_answer_is_not_taken_for_a_whole_one():
    async def serve(http: HttpMessage) -> None:
        await http.start_stream()
        await http.stream(b"data: 1\n\n")

    async with connected(serve) as peer:
        peer.writer.write(GET)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await peer.reader.readuntil(b"0\r\n\r\n")


async def test_a_body_that_breaks_off_is_an_error_and_not_a_body():
    failed = asyncio.Event()

    async def serve(http: HttpMessage) -> None:
        try:
            await http.body(LIMIT)
        except ConnectionError:
            failed.set()

    async with connected(serve) as peer:
        peer.writer.write(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n{}")
        await peer.writer.drain()
        peer.writer.close()
        await failed.wait()
