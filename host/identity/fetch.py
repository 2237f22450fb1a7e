"""Small web requests to addresses that somebody else named: guarded, bounded, never cached."""

import contextlib
import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlencode, urljoin, urlsplit

import anyio

from host.domain.errors import FetchError
from host.identity.address import Reach

MAX_BODY = 256 * 1024
"""Bytes of a reply that are read; a metadata document has a few thousand."""
MAX_SECONDS = 15.0
"""Time for one request, redirects included."""
MAX_REDIRECTS = 3


@dataclass(frozen=True, slots=True)
class Request:
    """A request; its headers and body may hold secrets and stay out of the repr."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; its body may hold tokens and stays out of the repr."""

    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> dict[str, Any]:
        """Return the body as a JSON object.

        Raises:
            FetchError: It is not one.
        """
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise FetchError(f"{show_address(self.url)} did not answer with a JSON object.")
        return cast("dict[str, Any]", document)


def show_address(url: str) -> str:
    """Return a URL for a message: without query and user, which can hold secrets."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    text = f"{parts.scheme}://{host}{port}{parts.path}"
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:200]


@contextlib.contextmanager
def _deadline(url: str, seconds: float) -> Generator[None]:
    with anyio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise FetchError(f"{show_address(url)} did not answer within {seconds:g} seconds.")


class Fetcher:
    """Sends requests within a reach, each over a connection of its own.

    Args:
        reach: Where requests may go.
        seconds: Time for one request, redirects included.
    """

    def __init__(self, reach: Reach, *, seconds: float = MAX_SECONDS) -> None:
        self.reach = reach
        self._seconds = seconds

    def check(self, url: str) -> Reach:
        """Return the reach that holds for a URL.

        Raises:
            FetchError: It is not a web address, or unencrypted where that is not allowed.
        """
        try:
            parts = urlsplit(url)
            ok = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            parts, ok = urlsplit(""), False
        if not ok or "@" in parts.netloc or not url.isprintable() or " " in url:
            raise FetchError(f"{show_address(url) if ok else 'An address'} is not a web address.")
        reach = self.reach if parts.scheme == "https" else self.reach.unencrypted
        if not reach.classes:
            raise FetchError(f"{show_address(url)} is not encrypted (https).")
        return reach

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Reply:
        """Fetch a document; each redirect is checked like the first address.

        Raises:
            FetchError: The address is off limits, or did not answer in time and size.
        """
        with _deadline(url, self._seconds):
            reply = await self._send("GET", url, headers=headers or {})
            for _ in range(MAX_REDIRECTS):
                if reply.status not in {301, 302, 303, 307, 308} or "location" not in reply.headers:
                    break
                target = urljoin(reply.url, reply.headers["location"])
                if reply.url.startswith("https:") and not target.startswith("https:"):
                    raise FetchError(f"{show_address(url)} redirects to an unencrypted address.")
                reply = await self._send("GET", target, headers=headers or {})
            return reply

    async def post_form(
        self, url: str, form: Mapping[str, str], *, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a form; redirects are not followed, they would carry its secrets elsewhere."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        with _deadline(url, self._seconds):
            return await self._send(
                "POST", url, headers={**(headers or {}), **kind}, content=urlencode(form).encode()
            )

    async def post_json(
        self, url: str, document: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a JSON object; redirects are not followed."""
        kind = {"Content-Type": "application/json"}
        with _deadline(url, self._seconds):
            return await self._send(
                "POST",
                url,
                headers={**kind, **(headers or {})},
                content=json.dumps(document).encode(),
            )

    async def probe(
        self, url: str, document: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send a JSON object for the answer's status and headers; an open stream is left."""
        kind = {"Content-Type": "application/json"}
        content = json.dumps(document).encode()
        with _deadline(url, self._seconds):
            return await self._send(
                "POST", url, headers={**kind, **(headers or {})}, content=content, limit=0
            )

    async def _send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes = b"",
        limit: int = MAX_BODY,
    ) -> Reply:
        # Late: most servers need no login, and the HTTP client takes a while to load.
        from host.identity.pinned import send  # noqa: PLC0415

        reach = self.check(url)
        base = {"Accept": "application/json", "Accept-Encoding": "identity"}
        request = Request(method, url, {**base, **headers}, content)
        return await send(request, reach=reach, limit=limit)
