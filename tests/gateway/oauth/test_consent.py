import anyio
import pytest

from host.domain.errors import FetchError
from host.gateway.oauth.consent import (
    PasteConsent,
    Redirect,
    listen_for_redirect,
    parse_redirect,
)


async def ask(port: int, target: str, *, host: str = "", method: str = "GET") -> str:
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        name = host or f"127.0.0.1:{port}"
        await stream.send(f"{method} {target} HTTP/1.1\r\nHost: {name}\r\n\r\n".encode())
        received = b""
        while True:
            try:
                received += await stream.receive()
            except anyio.EndOfStream:
                return received.decode()


def test_right_answer_is_received_and_its_sender_told():
    async def run() -> None:
        async with listen_for_redirect(0, state="right") as listener:
            page = await ask(listener.port, "/callback?state=right&code=c&iss=https%3A%2F%2Fa")
            assert page.startswith("HTTP/1.1 200")
            assert await listener.wait() == Redirect("right", "c", "https://a")

    anyio.run(run)


@pytest.mark.parametrize(
    ("target", "host", "method", "status"),
    [
        ("/callback?state=wrong&code=evil", "", "GET", 400),
        ("/callback?code=evil", "", "GET", 400),
        ("/callback?state=right&state=right&code=evil", "", "GET", 400),
        ("/callback?state=right&code=evil", "evil.example", "GET", 404),
        ("/callback?state=right&code=evil", "", "POST", 404),
        ("/?state=right&code=evil", "", "GET", 404),
        ("http://", "", "GET", 404),
    ],
)
def test_other_answers_neither_count_nor_end_the_wait(
    target: str, host: str, method: str, status: int
):
    async def run() -> None:
        async with listen_for_redirect(0, state="right") as listener:
            page = await ask(listener.port, target, host=host, method=method)
            assert page.startswith(f"HTTP/1.1 {status}")
            await ask(listener.port, "/callback?state=right&code=good")
            assert (await listener.wait()).code == "good"

    anyio.run(run)


def test_answer_is_not_repeated_on_the_page():
    async def run() -> None:
        async with listen_for_redirect(0, state="right") as listener:
            page = await ask(listener.port, "/callback?state=right&code=c0de&error=<b>")
            assert "c0de" not in page
            assert "<b>" not in page

    anyio.run(run)


def test_connection_without_a_request_does_not_disturb():
    async def run() -> None:
        async with listen_for_redirect(0, state="right") as listener:
            await (await anyio.connect_tcp("127.0.0.1", listener.port)).aclose()
            await ask(listener.port, "/callback?state=right&code=c")
            assert (await listener.wait()).code == "c"

    anyio.run(run)


def test_taken_port_is_named():
    async def run() -> None:
        async with listen_for_redirect(0, state="a") as one:
            with pytest.raises(FetchError, match=f"Port {one.port} .* is taken"):
                async with listen_for_redirect(one.port, state="b"):
                    pass

    anyio.run(run)


def test_pasted_answer_is_given_back():
    said: list[str] = []
    consent = PasteConsent(said.append, lambda _: "http://127.0.0.1:1/callback?state=s&code=c")
    told = anyio.run(consent.show, "https://login.example/authorize")
    assert told is not None
    assert parse_redirect(told) == Redirect("s", "c")
    assert "https://login.example/authorize" in said
