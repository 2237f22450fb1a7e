"""The web server: whatever a client writes is answered, in order and within bounds."""

import asyncio

import pytest

from host.orchestrator.http_message import HttpMessage
from host.orchestrator.http_protocol import HEAD_LIMIT
from tests.orchestrator.http_peer import (
    GET,
    WISH,
    connected,
    recorded,
)

pytestmark = pytest.mark.anyio


async def test_requests_sent_before_the_first_answer_are_answered_in_their_order():
    async with connected() as peer:
        paths = [b"/%d" % number for number in range(20)]
        peer.writer.write(b"".join(b"GET " + path + b" HTTP/1.1\r\n\r\n" for path in paths))
        assert [(await peer.answer())[1] for _ in paths] == paths


async def test_a_flood_of_unanswered_requests_ends_its_connection():
    served: list[str] = []

    async def hang(http: HttpMessage) -> None:
        served.append(http.path)
        await asyncio.Event().wait()

    async with connected(hang) as peer:
        peer.writer.write(GET * 1000)
        await peer.reader.read()
        assert set(served) <= {"/"}


@pytest.mark.parametrize("target", [b"/a%20b?q=1", b"http://h:1/a%20b?q=1"])
async def test_path_of_a_target_is_unquoted_and_without_its_query(target: bytes):
    async with connected() as peer:
        peer.writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: h\r\n\r\n")
        assert (await peer.answer())[1] == b"/a b"


@pytest.mark.parametrize("sent", [GET, b"GET / HTTP/1.1\r\n" + WISH + b"\r\n"])
async def test_a_flood_in_one_piece_is_refused_once_and_nothing_of_it_is_served(sent: bytes):
    served: list[str] = []

    async def note(http: HttpMessage) -> None:
        served.append(http.path)

    protocol, transport = recorded(note)
    protocol.data_received(sent * 3000)
    protocol.data_received(sent * 3000)
    await asyncio.sleep(0)
    assert [write[:12] for write in transport.writes] == [b"HTTP/1.1 429"]
    assert transport.closed == 1
    assert served == []


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"CONNECT h:1 HTTP/1.1\r\n\r\n", b"400"),
        (b"CONNECT http:1 HTTP/1.1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * (HEAD_LIMIT + 1) + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * (HEAD_LIMIT * 8), b"431"),
        (b"GET / HTTP/1.1\r\n" + WISH + b"A: " + b"a" * HEAD_LIMIT + b"\r\n\r\n", b"431"),
        (b"GET /" + b"a" * (HEAD_LIMIT + 1) + b" HTTP/1.1\r\n\r\n", b"431"),
    ],
)
async def test_what_is_no_bounded_http_is_refused_and_its_connection_ended(
    head: bytes, status: bytes
):
    async with connected() as peer:
        peer.writer.write(head)
        assert (await peer.head()).startswith(b"HTTP/1.1 " + status)


async def test_a_wish_for_another_protocol_is_not_heard_and_the_request_is_answered():
    async with connected() as peer:
        peer.writer.write(b"POST / HTTP/1.1\r\n" + WISH + b"Content-Length: 2\r\n\r\n{}")
        assert await peer.answer() == (b"HTTP/1.1 200 OK", b"{}")
        peer.writer.write(b"GET / HTTP/1.1\r\n" + WISH + b"\r\n" + GET)
        assert [(await peer.answer())[1] for _ in range(2)] == [b"/", b"/"]


async def test_a_stream_to_an_old_client_ends_with_its_connection():
    async def serve(http: HttpMessage) -> None:
        await http.start_stream()
        await http.stream(b"data: 1\n\n")
        await http.stream(b"data: 2\n\n", more=False)

    async with connected(serve) as peer:
        peer.writer.write(b"GET / HTTP/1.0\r\n\r\n")
        head, _, body = (await peer.reader.read()).partition(b"\r\n\r\n")
        assert b"connection: close" in head
        assert b"transfer-encoding" not in head
        assert body == b"data: 1\n\ndata: 2\n\n"


async def test_a_header_cannot_carry_another_one():
    seen: list[str] = []

    async def serve(http: HttpMessage) -> None:
        http.session_id = "a\r\nset-cookie: b"
        try:
            await http.answer(200)
        except ValueError as error:
            seen.append(str(error))
        http.session_id = None
        await http.answer(500)

    async with connected(serve) as peer:
        peer.writer.write(GET)
        assert (await peer.answer())[0] == b"HTTP/1.1 500 Internal Server Error"
        assert seen == ["a header of an answer holds a line break"]


async def test_a_request_is_told_that_its_client_has_left():
    begun, gone = asyncio.Event(), asyncio.Event()

    async def serve(http: HttpMessage) -> None:
        with http.telling(gone.set):
            begun.set()
            await gone.wait()

    async with connected(serve) as peer:
        peer.writer.write(GET)
        await begun.wait()
        peer.writer.close()
        await gone.wait()


async def test_an_idle_connection_is_closed():
    async with connected(keep_alive=0.02) as peer:
        assert await peer.reader.read() == b""


async def test_closing_server_finishes_the_answer_in_service_and_ends_idle_connections():
    begun, go = asyncio.Event(), asyncio.Event()

    async def serve(http: HttpMessage) -> None:
        begun.set()
        await go.wait()
        await http.answer(200, b"late")

    async with connected(serve) as peer:
        peer.writer.write(GET)
        await begun.wait()
        closing = asyncio.ensure_future(peer.server.close(grace=60))
        await asyncio.sleep(0)
        go.set()
        assert (await peer.answer())[1] == b"late"
        assert await peer.reader.read() == b""
        await closing
        assert not peer.server.connections
