"""Gets public web pages: guarded, polite, following redirects one checked step at a time."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import anyio
import httpx

from servers.cache import Cache
from servers.search.body import ACCEPT_ENCODING, read_body
from servers.search.pace import Pace
from servers.search.robots import ALLOW_ALL, DENY_ALL, MAX_BYTES, Robots, parse_robots
from servers.tool import RefusalError

MOST_REDIRECTS = 10
_ROBOTS_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_ACCEPT = "text/html,application/xhtml+xml,application/pdf,text/*;q=0.9,application/json;q=0.8"


@dataclass(frozen=True)
class Resource:
    """What a site answered, unparsed.

    Args:
        url: Where it was found, after redirects.
        content_type: The media type in lower case, without parameters; empty when not said.
        charset: The charset that the header names, or None.
    """

    url: str
    content_type: str
    charset: str | None
    body: bytes


@dataclass(frozen=True)
class _Hop:
    status: int
    headers: httpx.Headers
    body: bytes


@dataclass(frozen=True)
class Web:
    """The public web, as one polite visitor sees it.

    Args:
        client: Over a guarded transport, following no redirects by itself.
        pace: Spaces out requests to a site.
        robots: Rules of sites already visited, by origin; None when robots.txt is ignored.
        timeout: Seconds for a page with all its redirects.
        max_bytes: Largest page.
    """

    client: httpx.AsyncClient
    pace: Pace
    robots: Cache[Robots] | None
    user_agent: str
    timeout: float
    max_bytes: int

    async def get(self, url: str, accepts: Callable[[str], bool]) -> Resource:
        """Get the resource at `url`.

        Args:
            url: http or https.
            accepts: Whether a media type is worth reading; asked before the body is read.

        Raises:
            RefusalError: It is private, forbidden by robots.txt, too slow, too large or absent.
        """
        try:
            with anyio.fail_after(self.timeout):
                return await self._follow(url, accepts)
        except TimeoutError as error:
            raise RefusalError(
                f"{urlsplit(url).hostname} did not send the page within {self.timeout:g} s.",
                "Try again later, or another source.",
            ) from error

    async def _follow(self, url: str, accepts: Callable[[str], bool]) -> Resource:
        asked = url
        for _ in range(MOST_REDIRECTS + 1):
            url = check_url(url)
            await self._check_robots(url)
            await self.pace.turn(urlsplit(url).netloc)
            hop = await self._hop(url, self.max_bytes, accepts)
            target = _redirect(url, hop)
            if target is None:
                return _resource(url, hop)
            url = target
        raise RefusalError(f"{asked} redirects more than {MOST_REDIRECTS} times.")

    async def _hop(self, url: str, max_bytes: int, accepts: Callable[[str], bool]) -> _Hop:
        headers = {
            "User-Agent": self.user_agent,
            "Accept": _ACCEPT,
            "Accept-Encoding": ACCEPT_ENCODING,
        }
        try:
            request = self.client.build_request("GET", url, headers=headers)
            response = await self.client.send(request, stream=True)
            try:
                return await self._read(response, max_bytes, accepts)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise RefusalError(
                f"{urlsplit(url).hostname} could not be read ({type(error).__name__}: {error}).",
                "Check the address, or try another source.",
            ) from error

    @staticmethod
    async def _read(
        response: httpx.Response, max_bytes: int, accepts: Callable[[str], bool]
    ) -> _Hop:
        if response.status_code != 200:
            return _Hop(response.status_code, response.headers, b"")
        kind, _ = _content_type(response.headers)
        if not accepts(kind):
            raise RefusalError(
                f"{response.request.url} is {kind or 'of no stated type'}, which has no text.",
                "Fetch a page, a text, JSON, a feed or a PDF.",
            )
        return _Hop(200, response.headers, await read_body(response, max_bytes))

    async def _check_robots(self, url: str) -> None:
        if self.robots is None:
            return
        origin = urlsplit(url)._replace(path="", query="", fragment="").geturl()
        rules = self.robots.get(origin)
        if rules is None:
            rules = await self._load_robots(f"{origin}/robots.txt")
            self.robots.put(origin, rules, size=1000)
        if not rules.allows(self.user_agent, url):
            raise RefusalError(
                f"The site's robots.txt asks programs to leave {url} alone.",
                "Use another source, or ask the user to open it; the server's setting robots "
                "decides whether it is obeyed.",
            )

    async def _load_robots(self, url: str) -> Robots:
        for _ in range(_ROBOTS_REDIRECTS + 1):
            try:
                hop = await self._hop(check_url(url), MAX_BYTES, lambda _: True)
            except RefusalError as error:
                if isinstance(error.__cause__, httpx.HTTPError):
                    raise  # the site itself cannot be reached, and the error says so
                return ALLOW_ALL if "more than" in error.message else _reraise(error)
            target = _redirect(url, hop)
            if target is None:
                break
            url = target
        else:
            return ALLOW_ALL  # RFC 9309: too many redirects count as no robots.txt
        if hop.status == 200:
            return parse_robots(hop.body.decode("utf-8", "replace"))
        # RFC 9309: a server error means everything is disallowed, any other that nothing is.
        return DENY_ALL if hop.status >= 500 or hop.status == 429 else ALLOW_ALL


def _reraise(error: RefusalError) -> Robots:
    raise error


def check_url(url: str) -> str:
    """Return `url` in the form that is fetched, without its fragment.

    Raises:
        RefusalError: It is not http or https, has no host, or carries credentials.
    """
    try:
        parsed = httpx.URL(url.strip())
        scheme, host, secret = parsed.scheme, parsed.host, parsed.userinfo
    except (httpx.InvalidURL, ValueError) as error:
        raise RefusalError(f"{url!r} is not a web address ({error}).") from error
    if scheme not in {"http", "https"} or not host:
        raise RefusalError(
            f"{url!r} is not a web address.", "Give one that starts with https:// or http://."
        )
    if secret:
        raise RefusalError(
            f"The address for {host} carries a user name or password.", "Leave it out."
        )
    return str(parsed.copy_with(fragment=None))


def _redirect(url: str, hop: _Hop) -> str | None:
    target = hop.headers.get("Location")
    return urljoin(url, target) if hop.status in _REDIRECTS and target else None


def _resource(url: str, hop: _Hop) -> Resource:
    host = urlsplit(url).hostname
    if hop.status == 429:
        wait = hop.headers.get("Retry-After", "")
        when = f"in {wait} s" if wait.isdigit() else "later"
        raise RefusalError(f"{host} limits how often it is asked (HTTP 429).", f"Try {when}.")
    if hop.status != 200:
        step = "Check the address." if hop.status in {404, 410} else "Try another source."
        raise RefusalError(f"{url} answered HTTP {hop.status}.", step)
    kind, charset = _content_type(hop.headers)
    return Resource(url, kind, charset, hop.body)


def _content_type(headers: httpx.Headers) -> tuple[str, str | None]:
    kind, *parameters = headers.get("Content-Type", "").split(";")
    named = (p.partition("=") for p in parameters)
    charset = next((v.strip(" \"'") for n, _, v in named if n.strip().lower() == "charset"), None)
    return kind.strip().lower(), charset
