"""One HTTP request over a connection of its own, to an address that was checked before."""

import ssl
from collections.abc import Iterable
from functools import cache
from typing import Any, cast

import httpcore2
from typing_extensions import override

from host.domain.errors import FetchError
from host.identity.address import Reach
from host.identity.fetch import Reply, Request, show_address


@cache
def _tls() -> ssl.SSLContext:
    return httpcore2.default_ssl_context()


class _PinnedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to an address that was checked; a second look-up could give another one."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner = cast("httpcore2.AsyncNetworkBackend", httpcore2.AnyIOBackend())

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        failure: Exception | None = None
        for address in await self._reach.resolve(host, port):
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure or httpcore2.ConnectError("no address")


async def send(request: Request, *, reach: Reach, limit: int) -> Reply:
    """Return the answer to a request; redirects are answers.

    Args:
        request: What to send.
        reach: Where its host's addresses may be.
        limit: Most bytes of the body to take; 0 leaves the body unread.

    Raises:
        FetchError: There is no connection within reach, or no proper answer.
    """
    url = request.url
    pool = httpcore2.AsyncConnectionPool(
        ssl_context=_tls(), network_backend=_PinnedBackend(reach), retries=0
    )
    try:
        async with (
            pool,
            pool.stream(
                request.method, url, headers=list(request.headers.items()), content=request.content
            ) as response,
        ):
            found = {
                key.decode("latin-1").lower(): text.decode("latin-1")
                for key, text in response.headers
            }
            body = await _read(response, url, limit=limit) if limit else b""
            return Reply(url, response.status, found, body)
    except (httpcore2.NetworkError, httpcore2.TimeoutException) as error:
        raise FetchError(f"{show_address(url)} cannot be reached.") from error
    except (httpcore2.ProtocolError, ssl.SSLError, ValueError, UnicodeError) as error:
        raise FetchError(f"{show_address(url)} did not answer in proper HTTP.") from error


async def _read(response: httpcore2.Response, url: str, *, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_stream():
        body += chunk
        if len(body) > limit:
            raise FetchError(f"{show_address(url)} answered with more than {limit} bytes.")
    return bytes(body)
