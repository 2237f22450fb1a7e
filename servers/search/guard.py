"""Keeps fetches on the public internet: resolves a name once and connects to that very address."""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

import anyio
import httpcore
from typing_extensions import override

from servers.tool import RefusalError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Awaitable[list[str]]]
SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NEVER = tuple(
    ipaddress.ip_network(n)
    for n in (
        "0.0.0.0/8",  # "this host"; reaches loopback on many systems
        "100.64.0.0/10",  # carrier NAT, and one cloud's metadata service
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
        "64:ff9b:1::/48",  # NAT64 for local use, inside by definition
        "3fff::/20",  # documentation; global to Python 3.11
        "fec0::/10",  # site-local, withdrawn but still routed in places
    )
)
"""Ranges that `ipaddress` calls global in some Python versions, or that lead inside."""


async def resolve_name(host: str, port: int) -> list[str]:
    """Return the addresses of `host`; also of decimal, octal and hexadecimal spellings."""
    try:
        found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise RefusalError(
            f"The name {host!r} cannot be resolved.", "Check the address for a typing mistake."
        ) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class Guard:
    """Decides which addresses may be connected to.

    Args:
        allowed: Private networks that may be reached nevertheless.
        resolve: Looks a name up; tests replace it.
    """

    allowed: Sequence[Network] = ()
    resolve: Resolver = field(default=resolve_name)

    async def addresses(self, host: str, port: int) -> list[str]:
        """Resolve `host` once and return its addresses, all of them permitted.

        One private address among public ones refuses the whole name: an attacker who answers with
        both would otherwise choose which is used.

        Raises:
            RefusalError: The name is unknown or leads to a private network.
        """
        found = await self.resolve(host, port)
        for text in found:
            if not self.permits(ipaddress.ip_address(text.partition("%")[0])):
                raise RefusalError(
                    f"{host!r} is {text}, which is not an address of the public internet.",
                    "Only public pages can be fetched; the server's setting allow_networks makes "
                    "exceptions.",
                )
        if not found:
            raise RefusalError(f"The name {host!r} has no address.")
        return found

    def permits(self, address: Address) -> bool:
        """Tell whether `address`, and any address inside it, is public or allowed."""
        return all(self._permits_one(a) for a in _inner(address))

    def _permits_one(self, address: Address) -> bool:
        if any(address in network for network in self.allowed):
            return True
        return address.is_global and not (
            address.is_multicast
            or address.is_reserved
            or address.is_unspecified
            or any(address in network for network in _NEVER)
        )


def _inner(address: Address) -> list[Address]:
    """Unwrap IPv4 addresses that IPv6 carries: mapped, compatible, 6to4, Teredo, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    mapped = address.ipv4_mapped or address.sixtofour
    if mapped:
        return [mapped]
    if address.teredo:
        return [*address.teredo]
    compatible = int(address) >> 32 == 0 and int(address) > 1  # ::a.b.c.d
    if compatible or address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens connections only to addresses that the guard has just resolved and permitted.

    The connection goes to the checked address itself, so a name that changes between check and use
    (DNS rebinding) gains nothing. Host header and TLS name stay those of the URL.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        refused: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in await self._guard.addresses(host, port):
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                refused = error
        raise refused or httpcore.ConnectError(f"{host} has no address")

    @override
    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.ConnectError("Unix sockets are not fetched")

    @override
    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)
