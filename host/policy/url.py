"""URLs in arguments, brought to one form, so that no trick of writing hides where they lead."""

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

import idna

AddressKind = Literal["loopback", "private", "link_local", "reserved", "public"]
"""Kinds of literal IP addresses; `localhost` counts as loopback."""

DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}
"""Ports that need not be written."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_SHAPE = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)([/?#].*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]*)(?::([0-9]{0,5}))?")
_NUMERIC = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_DOTS = re.compile("[.\u3002\uff0e\uff61]")
_COMMON = {"COMMON", "INHERITED"}
_JAPANESE = {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}
_KOREAN = {"CJK", "HANGUL"}


class UrlError(ValueError):
    """A text is not a URL, or one that programs read differently."""


@dataclass(frozen=True, slots=True)
class Url:
    """A URL in canonical form.

    Attributes:
        scheme: In lower case.
        host: In lower case, in ASCII (punycode), without a final dot; addresses in shortest form.
        port: As given, or the scheme's; None where neither is known.
        address: What kind of address the host is; None for a name.
    """

    scheme: str
    host: str
    port: int | None
    address: AddressKind | None


def canonical_url(value: object) -> Url:
    """Return a URL in canonical form.

    Raises:
        UrlError: It is no absolute URL with a host; or it has what browsers, libraries and people
            read differently: a user name, a backslash, spaces, an escaped or mixed-script host.
    """
    if not isinstance(value, str):
        raise UrlError("it is not a text")
    if not value.isprintable() or any(char.isspace() for char in value):
        raise UrlError("it has spaces or invisible characters")
    if "\\" in value:
        raise UrlError("it has a backslash")
    shape = _SHAPE.fullmatch(value)
    if shape is None:
        raise UrlError("it is no absolute URL with '//'")
    scheme, authority = shape[1].lower(), shape[2]
    if "@" in authority:
        raise UrlError("it has a user name")
    if "%" in authority:
        raise UrlError("its host is escaped")
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise UrlError("its host or port is malformed")
    host, address = _host(parts[1])
    return Url(scheme, host, _port(parts[2], scheme), address)


def host_pattern(text: str) -> str:
    """Return a rule's host in the form in which hosts are compared; `*.` in front stays.

    Raises:
        ValueError: It is no host.
    """
    if text == "*":
        return text
    head, name = ("*.", text[2:]) if text.startswith("*.") else ("", text)
    try:
        return head + _host(name)[0]
    except UrlError as error:
        raise ValueError(
            f"{text!r} is no host: {error}; write example.com, *.example.com or an address"
        ) from None


def _port(text: str | None, scheme: str) -> int | None:
    if not text:
        return DEFAULT_PORTS.get(scheme)
    if int(text) > 65_535:
        raise UrlError("its port is over 65535")
    return int(text)


def _host(text: str) -> tuple[str, AddressKind | None]:
    if text.startswith("["):
        return _ipv6(text[1:-1])
    labels = _DOTS.split(unicodedata.normalize("NFKC", text).lower())
    if labels[-1] == "":
        labels.pop()
    if not labels or "" in labels:
        raise UrlError("its host is empty or has an empty part")
    if _NUMERIC.fullmatch(labels[-1]):
        return _ipv4(labels)
    host = ".".join(_ascii_label(label) for label in labels)
    if len(host) > 253:
        raise UrlError("its host is too long")
    local = host == "localhost" or host.endswith(".localhost")
    return host, "loopback" if local else None


def _ascii_label(label: str) -> str:
    try:
        if label.startswith("xn--"):
            _one_script(idna.ulabel(label))
            return label
        if label.isascii():
            if not _LABEL.fullmatch(label):
                raise UrlError(f"its host has the malformed part {label!r}")
            return label
        _one_script(label)
        return idna.alabel(label).decode("ascii")
    except idna.IDNAError as error:
        raise UrlError(f"its host is not a legal name: {error}") from None


def _one_script(label: str) -> None:
    """Refuse a part of a host whose letters come from several scripts, as look-alikes do."""
    scripts = {_script(char) for char in label} - _COMMON
    if len(scripts) > 1 and not scripts <= _JAPANESE and not scripts <= _KOREAN:
        raise UrlError(f"its host mixes scripts in {label!r}")


def _script(char: str) -> str:
    if not char.isalpha():
        return "COMMON"
    return unicodedata.name(char, "UNKNOWN").split(" ", 1)[0]


def _ipv4(labels: list[str]) -> tuple[str, AddressKind]:
    """Read an IPv4 address as C libraries and browsers do: octal, hexadecimal, fewer parts."""
    if len(labels) > 4:
        raise UrlError("its host is a malformed IP address")
    numbers = [_number(label) for label in labels]
    *heads, last = numbers
    if any(number > 255 for number in heads) or last >= 256 ** (5 - len(numbers)):
        raise UrlError("its host is a malformed IP address")
    whole = last + sum(number << 8 * (3 - index) for index, number in enumerate(heads))
    address = ipaddress.IPv4Address(whole)
    return str(address), _kind(address)


def _number(label: str) -> int:
    try:
        if label[:2] in ("0x", "0X"):
            return int(label[2:] or "0", 16)
        return int(label, 8 if label.startswith("0") and len(label) > 1 else 10)
    except ValueError:
        raise UrlError("its host is a malformed IP address") from None


def _ipv6(text: str) -> tuple[str, AddressKind]:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise UrlError("its host is a malformed IPv6 address") from None
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
    if address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return str(inner), _kind(inner)
    return f"[{address.compressed}]", _kind(address)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _kind(address: Address) -> AddressKind:
    if address.is_loopback or address.is_unspecified:  # 0.0.0.0 reaches this machine
        return "loopback"
    if address.is_link_local:
        return "link_local"
    if address.is_multicast or address.is_reserved:
        return "reserved"
    return "public" if address.is_global else "private"
