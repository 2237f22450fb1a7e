"""Sending a person to a login page, and receiving them back on a port of this machine."""

import contextlib
import secrets
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.abc
import anyio.from_thread
import anyio.to_thread
from anyio.lowlevel import current_token
from typing_extensions import override

from host.domain.errors import FetchError

CALLBACK = "/callback"
LOGIN_SECONDS = 300.0
"""How long a person may take to log in."""
_MAX_HEAD = 16 * 1024

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<body style="font-family:system-ui;margin:15vh auto;max-width:30em"><h1>{title}</h1><p>{text}</p>"""


class Consent(Protocol):
    """Brings a login page before a person: a browser, a terminal, a client's URL elicitation."""

    async def show(self, url: str) -> str | None:
        """Show the page.

        Returns:
            The address that the person was sent back to, where they told it; None leaves it to
            the listener on this machine.
        """
        ...


@dataclass(frozen=True, slots=True)
class Redirect:
    """The parameters with which an authorization server sends a person back (RFC 6749, 9207)."""

    state: str = field(default="", repr=False)
    code: str = field(default="", repr=False)
    issuer: str | None = None
    error: str | None = None


def parse_redirect(url: str) -> Redirect:
    """Return the parameters of a redirect; one given twice counts as not given."""
    query = parse_qs(urlsplit(url.strip()).query, keep_blank_values=True, max_num_fields=50)
    found = {name: values[0] for name, values in query.items() if len(values) == 1}
    return Redirect(
        state=found.get("state", ""),
        code=found.get("code", ""),
        issuer=found.get("iss"),
        error=found.get("error"),
    )


@contextlib.contextmanager
def single_failure() -> Generator[None]:
    """Raise what one task of a group failed with, without the group around it."""
    try:
        yield
    except ExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        raise next(iter(group.exceptions)) from None


class RedirectListener:
    """Waits on 127.0.0.1 for the redirect that carries the right `state`; others change nothing.

    Any page in the browser can send requests to this port, so a wrong `state` must neither be
    believed nor end the wait.
    """

    def __init__(self, port: int, *, state: str) -> None:
        self._state = state
        self._arrived = anyio.Event()
        self._found: Redirect | None = None
        self.port = port
        self.redirect_uri = f"http://127.0.0.1:{port}{CALLBACK}"

    async def wait(self) -> Redirect:
        """Return the redirect once it has arrived."""
        await self._arrived.wait()
        return self._found or Redirect()

    def accept(self, redirect: Redirect) -> bool:
        """Take the first redirect whose state is the right one; `wait` then returns it."""
        taken = self._take(redirect)
        if taken:
            self._arrived.set()
        return taken

    def _take(self, redirect: Redirect) -> bool:
        if not secrets.compare_digest(redirect.state.encode(), self._state.encode()):
            return False
        self._found = self._found or redirect
        return True

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        """Answer one connection of the browser."""
        async with stream:
            with contextlib.suppress(
                anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError
            ):
                with anyio.move_on_after(10):
                    status, page = self._answer(await _read_head(stream))
                    await stream.send(_response(status, page))
        if self._found:
            self._arrived.set()  # not before: what waits closes this port

    def _answer(self, head: str) -> tuple[str, str]:
        lines = head.split("\r\n")
        method, _, rest = lines[0].partition(" ")
        target = rest.rpartition(" ")[0]
        hosts = [line.partition(":")[2].strip() for line in lines if line[:5].lower() == "host:"]
        # A name that an attacker points at 127.0.0.1 must not make this port a web site of theirs.
        ours = hosts in ([f"127.0.0.1:{self.port}"], [f"localhost:{self.port}"])
        if method != "GET" or not ours or urlsplit(target).path != CALLBACK:
            return "404 Not Found", _page("Not found", "This address is for logins only.")
        redirect = parse_redirect(target)
        if not self._take(redirect):
            text = "This answer does not belong to the login that is waiting."
            return "400 Bad Request", _page("Not this login", text)
        if redirect.error:
            return "200 OK", _page("Not logged in", "The login was refused. You can close this.")
        return "200 OK", _page("Almost done", "You can close this window and go back.")


@contextlib.asynccontextmanager
async def listen_for_redirect(port: int, *, state: str) -> AsyncGenerator[RedirectListener]:
    """Listen on a port of 127.0.0.1; 0 takes any free one.

    Raises:
        FetchError: The port is taken.
    """
    try:
        made = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    except OSError as error:
        raise FetchError(
            f"Port {port} of 127.0.0.1, where the login comes back to, is taken.",
            next_step="Set another `redirect_port`, or 0 for any free one.",
        ) from error
    bound: int = made.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django
    listener = RedirectListener(bound, state=state)
    with single_failure():
        async with made, anyio.create_task_group() as tasks:
            tasks.start_soon(made.serve, listener.serve)
            try:
                yield listener
            finally:
                tasks.cancel_scope.cancel()


async def _read_head(stream: anyio.abc.SocketStream) -> str:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _MAX_HEAD:
        head += await stream.receive(4096)
    return head.decode("latin-1").partition("\r\n\r\n")[0]


def _page(title: str, text: str) -> str:
    return _PAGE.format(title=title, text=text)


def _response(status: str, page: str) -> bytes:
    body = page.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\n"
        "Referrer-Policy: no-referrer\r\n"
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


class BrowserConsent(Consent):
    """Opens the system's browser, and says the address for when there is none.

    Args:
        say: Prints one line for the person.
        browse: Opens a browser; returns whether one was found.
    """

    def __init__(self, say: Callable[[str], None], browse: Callable[[str], bool]) -> None:
        self._say = say
        self._browse = browse

    @override
    async def show(self, url: str) -> str | None:
        """Open the browser at the login page."""
        opened = await anyio.to_thread.run_sync(self._browse, url, abandon_on_cancel=True)
        self._say("Your browser opens the login page; if not, open:" if opened else "Open:")
        self._say(url)
        return None


class PasteConsent(Consent):
    """For a machine without a browser: the address is printed, the answer pasted.

    Args:
        say: Prints one line for the person.
        ask: Reads one line from the person.
    """

    def __init__(self, say: Callable[[str], None], ask: Callable[[str], str]) -> None:
        self._say = say
        self._ask = ask

    @override
    async def show(self, url: str) -> str | None:
        """Print the address and take back the one that the browser ended at."""
        self._say("Open this address in a browser on any machine:")
        self._say(url)
        self._say("After the login the browser goes to an address that may not load; paste it.")
        return await self._read("Address: ")

    async def _read(self, prompt: str) -> str | None:
        # A daemon thread of its own: nothing can end a blocked read from the terminal, and the
        # command must end when the browser was on this machine after all.
        loop, lines, done = current_token(), list[str](), anyio.Event()

        def read() -> None:
            with contextlib.suppress(EOFError):
                lines.append(self._ask(prompt))
            with contextlib.suppress(RuntimeError):  # the login ended meanwhile
                anyio.from_thread.run_sync(done.set, token=loop)

        threading.Thread(target=read, daemon=True).start()
        await done.wait()
        return lines[0] if lines else None
