"""Making connections: all addresses of a name in turn, through a proxy where one is set."""

import asyncio
import base64
import contextlib
import itertools
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import anyio

from host.gateway.http1.error import NotSentError
from host.gateway.http1.url import Origin

HEAD_START = 0.25
"""Seconds that an address has to itself before the next one is tried beside it (RFC 8305)."""
TUNNEL_LIMIT = 1 << 14
"""Bytes that a proxy's answer to CONNECT may have."""

P = TypeVar("P", bound=asyncio.Protocol)


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy, and the value of `Proxy-Authorization` for it."""

    origin: Origin
    login: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Proxy":
        """Return the proxy that a URL such as `http://user:password@proxy:3128` means.

        Raises:
            NotSentError: It is not such a URL.
        """
        parts = urlsplit(text if "://" in text else f"http://{text}")
        if parts.scheme != "http" or not parts.hostname:
            raise NotSentError(
                f"the proxy that the environment names has the scheme {parts.scheme!r}; "
                "only http:// is spoken to a proxy"
            )
        login = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            login = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return cls(Origin("http", parts.hostname, parts.port or 80), login)


@dataclass(slots=True)
class Dialer:
    """Opens connections.

    Attributes:
        timeout: Seconds that one may take.
        tls: How servers prove who they are; the system's authorities by default.
    """

    timeout: float = 15.0
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    async def dial(self, origin: Origin, make: Callable[[], P], *, proxy: Proxy | None = None) -> P:
        """Return a protocol that is connected to an origin.

        Raises:
            NotSentError: It cannot be reached.
        """
        try:
            async with asyncio.timeout(self.timeout):
                return await self._dial(origin, make, proxy)
        except TimeoutError as error:
            text = f"no connection to {origin.authority} within {self.timeout:g} s"
            raise NotSentError(text) from error
        except NotSentError:
            raise
        except OSError as error:
            raise NotSentError(error.strerror or str(error)) from error

    async def _dial(self, origin: Origin, make: Callable[[], P], proxy: Proxy | None) -> P:
        loop = asyncio.get_running_loop()
        secure = origin.scheme == "https"
        sock = await connect(proxy.origin if proxy else origin)
        try:
            if proxy is not None and secure:
                await _open_tunnel(sock, origin, proxy)
            _, protocol = await loop.create_connection(
                make,
                sock=sock,
                ssl=self._context() if secure else None,
                server_hostname=origin.host if secure else None,
            )
        except BaseException:
            sock.close()
            raise
        return protocol

    def _context(self) -> ssl.SSLContext:
        if self.tls is None:
            self.tls = ssl.create_default_context()
            self.tls.set_alpn_protocols(["http/1.1"])
        return self.tls


async def connect(origin: Origin) -> socket.socket:
    """Return a socket connected to the first address that answers.

    A dead address (IPv6 without a route, most often) delays the others by `HEAD_START` only.

    Raises:
        OSError: None does.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    if len(found) == 1:
        return await _connect_one(found[0])
    race = _Race()
    async with anyio.create_task_group() as group:
        for entry in _alternating(found):
            failed = anyio.Event()
            group.start_soon(race.run, entry, group.cancel_scope, failed)
            with anyio.move_on_after(HEAD_START):
                await failed.wait()
    if race.winner is None:
        raise race.errors[0]
    return race.winner


_Address = tuple[int, int, int, str, tuple[Any, ...]]


@dataclass(slots=True)
class _Race:
    """Addresses tried beside each other."""

    winner: socket.socket | None = None
    errors: list[OSError] = field(default_factory=list[OSError])

    async def run(self, entry: _Address, scope: anyio.CancelScope, failed: anyio.Event) -> None:
        try:
            sock = await _connect_one(entry)
        except OSError as error:
            self.errors.append(error)
            failed.set()
            return
        if self.winner is not None:
            sock.close()
            return
        self.winner = sock
        scope.cancel()


async def _connect_one(entry: _Address) -> socket.socket:
    family, kind, protocol, _, address = entry
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _alternating(found: Sequence[_Address]) -> list[_Address]:
    """Return addresses of both families in turn, the preferred family first."""
    first = [entry for entry in found if entry[0] == found[0][0]]
    others = [entry for entry in found if entry[0] != found[0][0]]
    pairs = itertools.zip_longest(first, others)
    return [entry for pair in pairs for entry in pair if entry is not None]


async def _open_tunnel(sock: socket.socket, origin: Origin, proxy: Proxy) -> None:
    """Ask a proxy for a tunnel to an origin.

    Raises:
        NotSentError: It refused.
    """
    loop = asyncio.get_running_loop()
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    head = f"CONNECT {host}:{origin.port} HTTP/1.1\r\nHost: {host}:{origin.port}\r\n"
    if proxy.login is not None:
        head += f"Proxy-Authorization: {proxy.login}\r\n"
    await loop.sock_sendall(sock, f"{head}\r\n".encode("latin-1"))
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = await loop.sock_recv(sock, 4096)
        answer += more
        if not more or len(answer) > TUNNEL_LIMIT:
            raise NotSentError(f"the proxy {proxy.origin} gave no answer to CONNECT")
    status, _, rest = answer.partition(b"\r\n\r\n")
    words = status.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].startswith("2"):
        raise NotSentError(f"the proxy {proxy.origin} refused: {' '.join(words[1:])}")
    if rest:
        raise NotSentError(f"the proxy {proxy.origin} spoke before the server")
