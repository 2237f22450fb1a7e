"""Serves approvals' pages on this machine alone, each under a link of its own."""

import asyncio
import hmac
import logging
import secrets
import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie

from host.approvals.approval import Approval
from host.approvals.inbox import Inbox
from host.approvals.page import (
    HEADERS,
    HTML,
    LARGEST_FORM,
    answer_of,
    parse_form,
    render_message,
    render_page,
)
from host.approvals.passphrase import Passphrase
from host.domain.errors import AccessError, HostError
from host.domain.jsonrpc import Json, as_object
from host.domain.principal import Principal
from host.orchestrator.http_message import BodyTooLargeError, HttpMessage
from host.orchestrator.http_server import HttpServer
from host.secrets.seal import Sealer

log = logging.getLogger(__name__)

PATH = "/approve/"
MOST_OPENED = 1000
"""Links of which it is known which browser opened them; the oldest are forgotten, and end."""
_COOKIE = "approval"


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    text: str
    cookie: str | None = None


@dataclass(frozen=True, slots=True)
class _Opened:
    """The one browser that opened a link: what it keeps as a cookie, and what its form repeats."""

    cookie: str
    token: str


class ApprovalPages:
    """Gives out links to pages, and serves them from the first link on.

    A link is sealed: it names the approval and whose client was given it, cannot be made up, ends
    with the approval, and belongs to the first browser that opens it. A form counts only with that
    browser's cookie and the page's own token, sent to this address by this page.

    Args:
        inbox: Where answers go.
        passphrase: What answers need where it is set.
        sealer: Seals links.
        life: Seconds for which a link is good.
    """

    def __init__(
        self, inbox: Inbox, passphrase: Passphrase, sealer: Sealer, *, life: Callable[[], float]
    ) -> None:
        self._inbox = inbox
        self._passphrase = passphrase
        self._sealer = sealer
        self._life = life
        self._opened: OrderedDict[str, _Opened] = OrderedDict()
        self._starting = asyncio.Lock()
        self._server: HttpServer | None = None
        self._listener: socket.socket | None = None

    async def link(self, approval: Approval, who: Principal) -> str:
        """Return the link to an approval's page, for the person at a client."""
        async with self._starting:
            if self._listener is None:
                await self._start()
        page: Json = {
            "approval": approval.id,
            "digest": approval.digest,
            "nonce": secrets.token_hex(8),
            "who": [who.user, who.client, who.role],
        }
        return f"{self._origin}{PATH}{self._sealer.seal({'page': page}, life=self._life())}"

    async def close(self) -> None:
        """End the server."""
        if self._server is not None:
            await self._server.close(grace=1)
        if self._listener is not None:
            self._listener.close()

    async def __call__(self, http: HttpMessage) -> None:
        """Serve one request."""
        reply = await self._serve(http)
        headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        if reply.cookie is not None:
            cookie = f"{_COOKIE}={reply.cookie}; Path={PATH}; HttpOnly; SameSite=Strict"
            headers.append((b"set-cookie", cookie.encode()))
        await http.answer(reply.status, reply.text.encode(), headers, kind=HTML.encode())

    @property
    def _origin(self) -> str:
        assert self._listener is not None  # noqa: S101 - it was started before
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    async def _start(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        self._server = HttpServer(self)
        await self._server.listen(listener)
        self._listener = listener

    async def _serve(self, http: HttpMessage) -> _Reply:
        headers, method = http.headers, http.method
        # Another name for this address is another site's trick (DNS rebinding).
        if f"http://{headers.get('host')}" != self._origin or method not in ("GET", "POST"):
            return _said(404, "There is no such page.")
        try:
            page = self._page(http.path)
            if method == "GET":
                return await self._show(page, headers)
            return await self._take(page, headers, await http.body(LARGEST_FORM))
        except BodyTooLargeError:
            return _said(413, "The form is too large.")
        except HostError as error:
            return _said(403 if isinstance(error, AccessError) else 503, str(error))

    def _page(self, path: str) -> Json:
        """Return what a link says.

        Raises:
            AccessError: It is none, or has ended.
        """
        sealed = path.removeprefix(PATH)
        found = None if sealed == path else as_object(self._sealer.open(sealed).get("page"))
        if found is None:
            raise AccessError("This link is not one that the host gave out.")
        return found

    async def _show(self, page: Json, headers: Mapping[str, str]) -> _Reply:
        approval, arguments = await self._inbox.show(page["approval"])
        if approval.state != "pending":
            return _said(200, f"{approval.id} is {approval.state}.")
        opened = self._opened.get(page["nonce"])
        if opened is None:
            opened = _Opened(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
            self._opened[page["nonce"]] = opened
            while len(self._opened) > MOST_OPENED:
                self._opened.popitem(last=False)
        elif not _is_same(opened.cookie, _cookie(headers)):
            raise AccessError(
                "This link was opened in another browser, and is good for one.",
                next_step=f"Answer in a terminal: `host approvals approve {approval.id}`.",
            )
        guarded = await self._passphrase.is_set()
        text = render_page(approval, arguments, token=opened.token, guarded=guarded)
        return _Reply(200, text, opened.cookie)

    async def _take(self, page: Json, headers: Mapping[str, str], body: bytes) -> _Reply:
        form = parse_form(body)
        opened = self._opened.get(page["nonce"])
        if (
            opened is None
            or headers.get("origin", self._origin) != self._origin
            or headers.get("sec-fetch-site", "same-origin") != "same-origin"
            or not _is_same(opened.cookie, _cookie(headers))
            or not _is_same(opened.token, form.get("token", ""))
        ):
            raise AccessError("This form did not come from the page. Open the link again.")
        user, client, role = page["who"]
        by = Principal(user, client, role=role, attended=True)
        approval, arguments = await self._inbox.show(page["approval"])
        if approval.state != "pending" or approval.digest != page["digest"]:
            return _said(409, f"{approval.id} is {approval.state} already.")
        try:
            await self._passphrase.check(form.get("passphrase"))
            answered = await self._inbox.answer(approval.id, answer_of(approval, form, by))
        except AccessError as error:
            guarded = await self._passphrase.is_set()
            again = render_page(
                approval, arguments, token=opened.token, guarded=guarded, problem=str(error)
            )
            return _Reply(422, again)
        del self._opened[page["nonce"]]
        return _said(200, f"{answered.id} is {answered.state}. You can close this page.")


def _said(status: int, text: str) -> _Reply:
    return _Reply(status, render_message("Approval", text))


def _is_same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(_COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
