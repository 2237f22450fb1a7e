"""Which network addresses a login may lead to; the guard against being sent to internal ones."""

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import anyio

from host.domain.errors import FetchError

AddressClass = Literal["public", "loopback", "private", "forbidden"]
"""`forbidden` is what no configuration opens: link-local, multicast, reserved, disguised IPv4."""

_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# The C library reads `2130706433`, `0x7f.1` and `0177.1` as 127.0.0.1; no honest server does.
_DISGUISED = re.compile(r"(0x[0-9a-f]*|\d+)(\.(0x[0-9a-f]*|\d+))*\.?", re.IGNORECASE)


def classify_address(text: str) -> AddressClass:
    """Return the class of an IP address in text form."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        return _classify_six(address)
    return _classify(address)


def _classify_six(address: ipaddress.IPv6Address) -> AddressClass:
    if address.ipv4_mapped or address.sixtofour or address.teredo:
        return "forbidden"
    if address in _NAT64:
        # What DNS64 gives for a public IPv4 host on an IPv6-only network.
        inner = _classify(ipaddress.IPv4Address(address.packed[12:]))
        return "public" if inner == "public" else "forbidden"
    return "forbidden" if address.is_site_local else _classify(address)


def _classify(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> AddressClass:
    if address.is_loopback:
        return "loopback"
    if address.is_multicast or address.is_link_local or address.is_unspecified:
        return "forbidden"
    if any(address in network for network in _PRIVATE if network.version == address.version):
        return "private"
    return "public" if address.is_global and not address.is_reserved else "forbidden"


def _is_local_name(host: str) -> bool:
    name = host.rstrip(".").casefold()
    return name == "localhost" or name.endswith(".localhost")


def _literal(host: str) -> AddressClass | None:
    try:
        return classify_address(host)
    except ValueError:
        return None


async def lookup(host: str, port: int) -> list[str]:
    """Return the addresses of a host name, each once.

    Raises:
        FetchError: The name is a disguised address, or has none.
    """
    if _literal(host) is None and _DISGUISED.fullmatch(host):
        raise FetchError(f"{host!r} is an IP address in disguise.")
    try:
        with anyio.fail_after(10):
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise FetchError(f"The name {host!r} was not resolved within 10 seconds.") from error
    except (OSError, UnicodeError) as error:
        raise FetchError(f"The name {host!r} cannot be resolved.") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Reach:
    """The classes of addresses that requests on behalf of one upstream may go to."""

    classes: frozenset[AddressClass] = frozenset({"public"})

    @classmethod
    async def of(cls, url: str) -> "Reach":
        """Return the reach of an upstream: public, and its own class where that is closer.

        Loopback opens only for an upstream that is written as `localhost` or a loopback address:
        a public name that resolves to 127.0.0.1 would otherwise open this machine's services.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        literal = _literal(host)
        if _is_local_name(host) or literal == "loopback":
            return cls(frozenset({"public", "loopback"}))
        if literal == "public":
            return cls()
        found = {classify_address(each) for each in await lookup(host, parts.port or 443)}
        return cls(frozenset({"public", "private"})) if found == {"private"} else cls()

    @property
    def unencrypted(self) -> "Reach":
        """What may be reached without TLS: nothing public."""
        return Reach(self.classes - {"public"})

    async def resolve(self, host: str, port: int) -> list[str]:
        """Return addresses of `host` to connect to, all of them within reach.

        Raises:
            FetchError: One of them is not; a mixed answer is how a name server smuggles one in.
        """
        addresses = await lookup(host, port)
        for address in addresses:
            found = classify_address(address)
            if found not in self.classes:
                raise FetchError(
                    f"{host!r} leads to the {found} address {address}, which is off limits here."
                )
        return addresses
