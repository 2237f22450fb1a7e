"""The HTTP client against servers that are slow, wrong, hostile or gone."""

import anyio
import pytest

from host.gateway.http1.client import HttpClient
from host.gateway.http1.error import HttpError, NoAnswerError, NotSentError
from host.gateway.http1.url import HttpUrl
from tests.fakes.scripted_http import ScriptedServer, Wire, answers, plain
from tests.gateway.http1.exchanges import CHUNKED, ask, ends_on_second, play, post, until


@pytest.mark.parametrize("answer", [plain(b"hello world"), CHUNKED], ids=["length", "chunked"])
def test_answer_that_comes_byte_by_byte_is_read_whole(answer: bytes):
    async def script(wire: Wire) -> None:
        for _ in range(2):
            assert (await wire.request()).endswith(b"content-length: 8\r\n\r\nquestion")
            await wire.say(*(answer[i : i + 1] for i in range(len(answer))))
        await wire.left()

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        assert await ask(client, server) == b"hello world"
        assert await ask(client, server) == b"hello world"
        assert server.connections == 1

    play(act, script)


def test_interim_answers_are_passed_over():
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        reply = await post(client, server)
        assert (reply.status, await reply.read(100)) == (200, b"yes")
        assert "link" not in reply.headers
        assert await ask(client, server) == b"again"

    play(act, answers(early + plain(b"yes"), plain(b"again")))


def test_endless_interim_answers_are_given_up():
    async def script(wire: Wire) -> None:
        await wire.request()
        while True:
            await wire.say(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        with pytest.raises(HttpError, match="too long"):
            await post(client, server)

    play(act, script)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
)
def test_wrong_answer_is_an_error_and_the_request_is_not_repeated(answer: bytes):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.say(answer)

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        with pytest.raises(HttpError) as caught:
            await ask(client, server, repeatable=True)
        assert not isinstance(caught.value, NotSentError | NoAnswerError)
        assert (server.connections, client.idle) == (1, 0)

    play(act, script)


def test_endless_head_is_given_up():
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.say(b"HTTP/1.1 200 OK\r\n")
        while True:
            await wire.say(b"X-More: %b\r\n" % (b"a" * 1000))

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        with pytest.raises(HttpError, match="too long"):
            await post(client, server)

    play(act, script)


def test_second_answer_on_the_heels_of_the_first_never_answers_the_next_request():
    async def act(client: HttpClient, server: ScriptedServer) -> None:
        assert await ask(client, server) == b"first"
        assert client.idle == 0
        assert await ask(client, server) == b"right"
        assert server.connections == 2

    play(act, answers(plain(b"first") + plain(b"forged")), answers(plain(b"right")))


@pytest.mark.parametrize("late", [plain(b"forged"), b"H", b"\0\0"])
def test_bytes_on_an_idle_connection_never_answer_the_next_request(late: bytes):
    said = anyio.Event

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        assert await ask(client, server) == b"first"
        go.set()
        await done.wait()
        assert await ask(client, server) == b"right"
        assert server.connections == 2

    async def script(wire: Wire) -> None:
        nonlocal go, done
        await wire.request()
        await wire.say(plain(b"first"))
        await go.wait()
        await wire.say(late)
        done.set()
        go, done = said(), said()
        await wire.left()

    go, done = said(), said()
    play(act, script, answers(plain(b"right")))


def test_connection_that_ended_while_idle_is_not_used():
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.say(plain(b"first"))
        wire.writer.close()
        await wire.writer.wait_closed()
        closed.append(True)

    closed: list[bool] = []

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        closed.clear()
        assert await ask(client, server) == b"first"
        await until(lambda: closed)
        assert await ask(client, server) == b"second"
        assert server.connections == 2

    play(act, script, answers(plain(b"second")))


def test_request_that_may_have_been_carried_out_is_not_sent_again():
    seen: list[bytes] = []

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        seen.clear()
        assert await ask(client, server) == b"first"
        with pytest.raises(NoAnswerError, match="unknown"):
            await ask(client, server)
        assert (len(seen), server.connections) == (2, 1)

    play(act, ends_on_second(seen), answers(plain(b"never")))


def test_repeatable_request_is_sent_once_more_to_a_new_connection():
    seen: list[bytes] = []

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        seen.clear()
        await ask(client, server)
        assert await ask(client, server, repeatable=True) == b"second"
        assert (len(seen), server.connections) == (2, 2)

    play(act, ends_on_second(seen), answers(plain(b"second")))


def test_repeatable_request_is_not_repeated_where_a_new_connection_failed():
    async def script(wire: Wire) -> None:
        await wire.request()

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        with pytest.raises(NoAnswerError):
            await ask(client, server, repeatable=True)
        assert server.connections == 1

    play(act, script)


@pytest.mark.parametrize("header", [b"Connection: close", b"Keep-Alive: timeout=1"])
def test_connection_is_kept_only_as_long_as_the_server_says(header: bytes):
    async def act(client: HttpClient, server: ScriptedServer) -> None:
        for _ in range(2):
            assert await ask(client, server) == b"yes"
        assert server.connections == 2

    play(act, answers(plain(b"yes", header), plain(b"too late")))


def test_requests_at_the_same_time_have_connections_of_their_own_which_are_kept():
    async def act(client: HttpClient, server: ScriptedServer) -> None:
        found: list[bytes] = []

        async def one() -> None:
            found.append(await ask(client, server))

        for _ in range(2):
            async with anyio.create_task_group() as group:
                for _ in range(20):
                    group.start_soon(one)
        assert found == [b"yes"] * 40
        assert (server.connections, client.idle) == (20, 20)

    play(act, answers(plain(b"yes"), plain(b"yes")))


def test_abandoned_request_ends_its_connection():
    left = anyio.Event()
    asked = anyio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        asked.set()
        await wire.left()
        left.set()

    async def act(client: HttpClient, server: ScriptedServer) -> None:
        nonlocal left, asked
        left, asked = anyio.Event(), anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(ask, client, server)
            await asked.wait()
            group.cancel_scope.cancel()
        await left.wait()
        assert (server.connections, client.idle) == (1, 0)

    play(act, script)


@pytest.mark.parametrize(
    "headers",
    [
        {"x-a": "1\r\nX-Forged: 1"},
        {"x-a": "1\nX-Forged: 1"},
        {"x-a\r\nx-forged": "1"},
        {"x-a": "\0"},
        {"x-a": "€"},
        {"Content-Length": "0"},
        {"transfer-encoding": "chunked"},
    ],
)
def test_header_that_would_change_the_request_is_refused_before_anything_is_sent(
    headers: dict[str, str],
):
    async def act(client: HttpClient, server: ScriptedServer) -> None:
        with pytest.raises(NotSentError):
            await client.request("POST", HttpUrl.parse(server.url), headers=headers)
        assert server.connections == 0

    play(act, answers())
