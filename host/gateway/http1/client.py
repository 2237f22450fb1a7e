"""Requests over kept connections.

A request is carried out at most once. It is written to a connection that was looked at just before:
one that ended, was idle for long or has unread bytes is thrown away. Where the server ends a kept
connection in the very moment a request is written to it, nobody can know whether it read the
request: the request then fails with `NoAnswerError`, and only one that its caller calls
`repeatable` is written again, once, to a new connection.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from host.gateway.http1.coding import ACCEPTED
from host.gateway.http1.connection import HttpConnection
from host.gateway.http1.dial import Dialer, Proxy
from host.gateway.http1.error import NoAnswerError, NotSentError
from host.gateway.http1.reply import HttpReply
from host.gateway.http1.url import HttpUrl, Origin

IDLE_LIMIT = 100
"""Idle connections to one origin that are kept."""
USER_AGENT = "mcp-agent-host"
_LOCAL = ("localhost", "127.0.0.1", "::1")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection"})
"""Headers that are the client's own: another value could make two requests of one."""


@dataclass(slots=True)
class _Site:
    """What is kept for one origin."""

    proxy: Proxy | None
    head: dict[str, str]
    idle: list[HttpConnection] = field(default_factory=list[HttpConnection])


class HttpClient:
    """A pool of connections.

    Args:
        find_proxy: Returns the URL of the proxy for a URL; None where there is none.
        dialer: Opens connections.
    """

    def __init__(
        self,
        find_proxy: Callable[[str], str | None] = lambda _: None,
        dialer: Dialer | None = None,
    ) -> None:
        self._find_proxy = find_proxy
        self._dialer = dialer or Dialer()
        self._sites: dict[Origin, _Site] = {}
        self._open: set[HttpConnection] = set()
        self._sweep: asyncio.TimerHandle | None = None

    async def request(
        self,
        method: str,
        url: HttpUrl,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        repeatable: bool = False,
    ) -> HttpReply:
        """Send a request and return its answer once it begins; redirects are answers.

        Args:
            method: In capitals.
            url: Where to.
            headers: By name in lower case; those of the connection and the body are added.
            body: The whole body.
            repeatable: Whether being carried out twice does no harm.

        Raises:
            HttpError: There is no answer.
        """
        site = self._site(url)
        data = _render(method, url, site, headers=headers, body=body)
        connection = self._take_idle(site)
        if connection is not None:
            try:
                return await connection.exchange(data)
            except NotSentError:
                pass  # certainly not delivered
            except NoAnswerError:
                if not repeatable:
                    raise
        connection = await self._dialer.dial(
            url.origin, lambda: HttpConnection(lambda own: self._keep(site, own)), proxy=site.proxy
        )
        self._open.add(connection)
        return await connection.exchange(data)

    async def close(self) -> None:
        """End every connection."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self._open:
            connection.abort()
        self._open.clear()
        self._sites.clear()
        # Transports tell their protocols of the end in the loop's next turn.
        await asyncio.sleep(0)

    @property
    def idle(self) -> int:
        """How many connections wait for a request."""
        return sum(len(site.idle) for site in self._sites.values())

    def _site(self, url: HttpUrl) -> _Site:
        site = self._sites.get(url.origin)
        if site is None:
            proxy = self._find_proxy(str(url.origin))
            found = Proxy.parse(proxy) if proxy else None
            site = self._sites[url.origin] = _Site(found, _fixed_head(url.origin, found))
        return site

    def _take_idle(self, site: _Site) -> HttpConnection | None:
        now = asyncio.get_running_loop().time()
        while site.idle:
            connection = site.idle.pop()
            if not connection.is_stale(now):
                return connection
            self._discard(connection)
        return None

    def _keep(self, site: _Site, connection: HttpConnection) -> None:
        if len(site.idle) >= IDLE_LIMIT:
            self._discard(connection)
            return
        site.idle.append(connection)
        if self._sweep is None:
            loop = asyncio.get_running_loop()
            self._sweep = loop.call_later(5.0, self._clean)

    def _clean(self) -> None:
        """Close what was idle for long."""
        self._sweep = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for site in self._sites.values():
            for connection in [c for c in site.idle if c.is_stale(now)]:
                site.idle.remove(connection)
                self._discard(connection)
        self._open = {connection for connection in self._open if not connection.closed}
        if self._open:
            self._sweep = loop.call_later(5.0, self._clean)

    def _discard(self, connection: HttpConnection) -> None:
        self._open.discard(connection)
        connection.abort()


def _fixed_head(origin: Origin, proxy: Proxy | None) -> dict[str, str]:
    """Return the headers that every request to an origin has, unless its caller sets them."""
    head = {"host": origin.authority, "user-agent": USER_AGENT}
    if origin.host not in _LOCAL:
        head["accept-encoding"] = ACCEPTED
    if proxy is not None and proxy.login is not None and origin.scheme == "http":
        head["proxy-authorization"] = proxy.login
    return head


def _render(
    method: str, url: HttpUrl, site: _Site, *, headers: Mapping[str, str], body: bytes
) -> bytes:
    """Return a request as it goes on the wire.

    Raises:
        NotSentError: A header holds a line break, by which it could become two, or a character
            that headers cannot carry, or says how long the body is.
    """
    through = site.proxy is not None and url.origin.scheme == "http"
    target = f"{url.origin}{url.target}" if through else url.target
    all_headers = {**site.head, **{name.lower(): value for name, value in headers.items()}}
    if not _FRAMING.isdisjoint(all_headers):
        raise NotSentError(f"a request cannot set {', '.join(sorted(_FRAMING))}")
    if url.login is not None:
        all_headers.setdefault("authorization", url.login)
    if body or method == "POST":
        all_headers["content-length"] = str(len(body))
    lines = [f"{name}: {value}" for name, value in all_headers.items()]
    text = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, "", ""])
    breaks = len(lines) + 2
    if text.count("\n") != breaks or text.count("\r") != breaks or "\0" in text:
        raise NotSentError("a header of the request holds a line break or NUL")
    try:
        return text.encode("latin-1") + body
    except UnicodeEncodeError as error:
        raise NotSentError("a header of the request is not written in Latin-1") from error
