"""The web server: whatever a client writes is answered, in order and within bounds."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from typing_extensions import override

from host.orchestrator.http_message import UNREAD_LIMIT, BodyTooLargeError, HttpMessage
from host.orchestrator.http_protocol import HEAD_LIMIT, HttpProtocol, Serve
from host.orchestrator.http_server import HttpServer

pytestmark = pytest.mark.anyio

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


async def refuse(http: HttpMessage) -> None:
    """Answers without a look at the body."""
    await http.answer(401)


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


ENDLESS = [b"0\r\nX: ", b"0\r\n", b"5;a=", b"5;a=b\r\nhello\r\n5;c="]


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


async def test_half_an_answer_is_not_taken_for_a_whole_one():
    async def serve(http: HttpMessage) -> None:
        await http.start_stream()
        await http.stream(b"data: 1\n\n")

    async with connected(serve) as peer:
        peer.writer.write(GET)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await peer.reader.readuntil(b"0\r\n\r\n")


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
