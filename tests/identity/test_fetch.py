import contextlib
from collections.abc import Awaitable, Callable

import anyio
import anyio.lowlevel
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from host.domain.errors import FetchError
from host.gateway.oauth.consent import single_failure
from host.identity.address import Reach
from host.identity.fetch import MAX_BODY, Fetcher, Reply
from tests.fakes.web import serve_web

LOCAL = Reach(frozenset({"public", "loopback"}))
Answer = Callable[[Request], Awaitable[Response]]


def get(answer: Answer, *, reach: Reach = LOCAL, seconds: float = 15) -> Reply:
    async def run() -> Reply:
        app = Starlette(routes=[Route("/{rest:path}", answer, methods=["GET", "POST"])])
        async with serve_web(app) as base:
            return await Fetcher(reach, seconds=seconds).get(f"{base}/start?code=secret")

    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(single_failure())
        return anyio.run(run)
    raise AssertionError


def redirect_to(target: str) -> Answer:
    async def answer(request: Request) -> Response:
        return RedirectResponse(target)

    return answer


def test_redirect_within_reach_is_followed():
    async def answer(request: Request) -> Response:
        return RedirectResponse("/end") if request.url.path == "/start" else Response("{}")

    assert get(answer).json() == {}


@pytest.mark.parametrize(
    "target",
    ["http://10.0.0.1/", "http://169.254.169.254/", "http://[::ffff:127.0.0.1]/", "http://0x7f.1/"],
)
def test_redirect_to_an_internal_address_is_refused(target: str):
    with pytest.raises(FetchError, match=r"off limits|disguise"):
        get(redirect_to(target))


def test_redirect_to_something_else_than_the_web_is_refused():
    with pytest.raises(FetchError, match="not a web address"):
        get(redirect_to("file:///etc/passwd"))


def test_redirects_without_end_are_given_back_as_they_are():
    assert get(redirect_to("/start")).status == 307


def test_loopback_is_refused_where_only_the_public_is_allowed():
    async def answer(request: Request) -> Response:
        return Response("{}")

    with pytest.raises(FetchError, match="not encrypted"):
        get(answer, reach=Reach())
    with pytest.raises(FetchError, match="loopback address"):
        anyio.run(Fetcher(Reach()).get, "https://127.0.0.1:1/")


def test_endless_body_is_cut_off():
    async def answer(request: Request) -> Response:
        async def flood():
            while True:
                yield b"x" * 65536
                await anyio.lowlevel.checkpoint()  # or its end is never noticed

        return StreamingResponse(flood())

    with pytest.raises(FetchError, match=str(MAX_BODY)):
        get(answer)


def test_silent_server_is_given_up():
    async def answer(request: Request) -> Response:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        return Response()

    with pytest.raises(FetchError, match="did not answer within"):
        get(answer, seconds=0.2)


@pytest.mark.parametrize("body", ["", "[]", "<html>", "{", "[" * 100_000, "\x00\xff"])
def test_garbage_is_not_json(body: str):
    async def answer(request: Request) -> Response:
        return Response(body)

    with pytest.raises(FetchError, match="JSON object"):
        get(answer).json()


def test_message_does_not_repeat_the_query():
    async def answer(request: Request) -> Response:
        return Response("?")

    with pytest.raises(FetchError) as caught:
        get(answer).json()
    assert "secret" not in str(caught.value)


def test_server_that_is_not_there_is_named():
    with pytest.raises(FetchError, match=r"http://127\.0\.0\.1:1/x cannot be reached"):
        anyio.run(Fetcher(LOCAL).get, "http://127.0.0.1:1/x")


@pytest.mark.parametrize(
    "url",
    ["", "x", "http://", "http://a:b@127.0.0.1/", "http://127.0.0.1:0/", "http://[::1", "ws://x"],
)
def test_what_is_not_a_web_address_is_refused(url: str):
    with pytest.raises(FetchError, match=r"not a web address"):
        anyio.run(Fetcher(LOCAL).get, url)
