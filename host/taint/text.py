"""Texts brought to one form, in which the same value is found however it was written."""

import html
import posixpath
import re
import unicodedata
from urllib.parse import unquote

import idna

_MARKS = bytes(point for point in range(128) if not chr(point).isalnum())
_LOWER = bytes(range(128)).lower() + bytes(range(128, 256))
_SPACED = _LOWER.translate(bytes.maketrans(_MARKS, b" " * len(_MARKS)))
_WORD_BREAK = re.compile(r"[\W_]+")
_ESCAPED = re.compile(r"\\|&[#a-zA-Z]")
_ESCAPE = re.compile(r"""\\(?:u([0-9a-fA-F]{4})|([nrtbf])|(["\\/]))""")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def visible(text: str) -> str:
    """Return a text in compatibility form, without characters that nobody sees."""
    if text.isascii():
        return text
    normal = unicodedata.normalize("NFKC", text)
    unseen = dict.fromkeys(ord(one) for one in set(normal) if unicodedata.category(one) == "Cf")
    return normal.translate(unseen) if unseen else normal


def unescape(text: str) -> str:
    """Return a text with the escapes of JSON and HTML resolved, and beside it the text as it is.

    Results are often JSON or HTML in a text, which a model reads as what it means.
    """
    plain = html.unescape(_ESCAPE.sub(_resolve, text)) if _ESCAPED.search(text) else text
    return text if plain == text else f"{text}\n{plain}"


def _resolve(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if match[1] else " " if match[2] else match[3]


def as_words(text: str) -> str:
    """Return the words of a text, each with a space on both sides: case and marks do not count."""
    if text.isascii():
        return f" {b' '.join(text.encode().translate(_SPACED).split()).decode()} "
    return f" {_WORD_BREAK.sub(' ', visible(text).casefold()).strip()} "


def squash(text: str) -> str:
    """Return the letters and digits of a text and nothing between them."""
    if text.isascii():
        return text.encode().translate(_LOWER, _MARKS).decode()
    return _WORD_BREAK.sub("", visible(text).casefold())


def canonical_address(text: str) -> str:
    """Return an e-mail address or a host with what follows it, as it is compared.

    The scheme is left out, the host is in lower case and in ASCII; a user name in front of a host
    stays, so that it never equals the host alone.
    """
    plain = visible(text)
    scheme = _SCHEME.match(plain)
    plain = plain if scheme is None else plain[scheme.end() :]
    authority, mark, rest = plain.partition("/")
    name, at, host = authority.rpartition("@")
    host = _ascii_host(host.casefold().rstrip(".").removesuffix(":443").removesuffix(":80"))
    path = unquote(rest).rstrip("/") if mark else ""
    return f"{name.casefold()}{at}{host}" + (f"/{path}" if path else "")


def _ascii_host(host: str) -> str:
    if host.isascii():
        return host
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except idna.IDNAError:
        return host


def canonical_path(text: str) -> str:
    """Return a path without detours, with one kind of separator."""
    return posixpath.normpath(visible(text).replace("\\", "/"))
