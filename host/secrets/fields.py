r"""Finds the values of fields that are named like secrets, in JSON text that may end anywhere.

`"password": "x"`, the same in a JSON string (`\"password\":\"x\"`), `password=x`, `password: x`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

FIELD_ENDINGS = (
    b"password",
    b"passwd",
    b"passphrase",
    b"pwd",
    b"secret",
    b"secretkey",
    b"token",
    b"apikey",
    b"accesskey",
    b"privatekey",
    b"signingkey",
    b"authorization",
    b"cookie",
    b"credential",
    b"credentials",
)
"""A field whose name ends so, with `-` and `_` left out and in lower case, holds a secret."""

EXEMPT_FIELDS = frozenset(
    {
        b"progresstoken",
        b"nextpagetoken",
        b"pagetoken",
        b"continuationtoken",
        b"synctoken",
        b"cancellationtoken",
        b"nexttoken",
    }
)
"""Names that end so and hold none."""

_STEMS = (
    "passw", "passphrase", "pwd", "secret", "token", "api key", "access key", "private key",
    "signing key", "authorization", "cookie", "credential",
)  # fmt: skip
_NAME = b"abcdefghijklmnopqrstuvwxyz0123456789_.- "
_NAME_END = re.compile(rb"[a-z0-9_.\- ]*")
_QUOTED_DELIMITER = re.compile(rb"(\\*)\"\s*:\s*")
_BARE_DELIMITER = re.compile(rb"\s*[=:]\s*")
_SCALAR = re.compile(rb"(?:(?i:bearer|basic|digest|token)\s+)?[^,}\]\s\"\\&;]+")
_QUOTE = re.compile(rb"(\\*)\"")
_BRACKET = re.compile(rb"(\\*)\"|[\[\]{}]")
_NAME_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text that is to be hidden.

    Attributes:
        start: Where it begins.
        stop: Where it ends.
        quotes: What the mark is put between, so that JSON stays JSON.
    """

    start: int
    stop: int
    quotes: bytes


def plain_name(name: str) -> bytes:
    """Return a field's name in lower case, without what its parts are joined by."""
    return name.lower().encode().translate(None, b"-_ ")


def name_stems(declared: Iterable[str]) -> list[bytes]:
    """Return texts of which every secret field's name, in lower case, contains one.

    Args:
        declared: Further names, as configured.
    """
    stems: set[bytes] = set()
    for name in (*_STEMS, *declared):
        words = re.split("[-_ ]", name.lower())
        stems |= {joint.join(words).encode() for joint in ("", "-", "_", " ")}
    return sorted(stems - {b""})


def find_field_values(
    text: bytes, folded: bytes, *, at: Iterable[int], endings: tuple[bytes, ...]
) -> list[Span]:
    """Return where the values of secret fields are, in order; a string's own quotes stay.

    Args:
        text: JSON text; it may end anywhere.
        folded: The same in lower case.
        at: Where stems of names were found.
        endings: How the names of secret fields end, plain.
    """
    found: dict[int, Span | None] = {}
    for start in at:
        rest = _NAME_END.match(folded, start)
        end = start if rest is None else rest.end()
        if end not in found:
            secret = _is_secret_name(folded[max(0, start - _NAME_LIMIT) : end], endings)
            found[end] = _value_span(text, end) if secret else None
    spans = [span for span in found.values() if span is not None]
    return _merged(spans) if spans else spans


def _is_secret_name(around: bytes, endings: tuple[bytes, ...]) -> bool:
    """Return whether a text ends with the name of a secret field."""
    name = around[len(around.rstrip(_NAME)) :]
    last = name.translate(None, b"-_ ").rpartition(b".")[2]
    return last.endswith(endings) and last not in EXEMPT_FIELDS


def _value_span(text: bytes, name_end: int) -> Span | None:
    """Return where the value after a name is; None if no value follows."""
    quoted = _QUOTED_DELIMITER.match(text, name_end)
    if quoted is not None:
        return _json_span(text, quoted.end(), depth=len(quoted[1]))
    bare = _BARE_DELIMITER.match(text, name_end)
    scalar = None if bare is None else _SCALAR.match(text, bare.end())
    return None if scalar is None else Span(scalar.start(), scalar.end(), b"")


def _json_span(text: bytes, at: int, *, depth: int) -> Span | None:
    """Return where a JSON value is whose quotes are led by `depth` backslashes."""
    opening = _QUOTE.match(text, at)
    if opening is not None:
        start = opening.end()
        return Span(start, _string_end(text, start, depth=depth), b"")
    quotes = b"\\" * depth + b'"'
    if text[at : at + 1] in (b"{", b"["):
        return Span(at, _closing_end(text, at, depth=depth), quotes)
    scalar = _SCALAR.match(text, at)
    if scalar is None or scalar[0] in (b"true", b"false", b"null"):
        return None
    return Span(scalar.start(), scalar.end(), quotes)


def _string_end(text: bytes, at: int, *, depth: int) -> int:
    """Return where a string's inside ends.

    Each nesting doubles backslashes, so a quote closes a string of nesting n if the backslashes
    before it, modulo 2^(n+1), are the 2^n - 1 of its own; with fewer, an enclosing one ended first.
    """
    cycle = 2 * (depth + 1)
    for quote in _QUOTE.finditer(text, at):
        run = len(quote[1])
        if run % cycle == depth or run < depth:
            return quote.end() - 1 - min(run, depth)
    return len(text)


def _closing_end(text: bytes, at: int, *, depth: int) -> int:
    """Return where an array or object ends, its bracket included."""
    level = 0
    skip_to = at
    for found in _BRACKET.finditer(text, at):
        if found.start() < skip_to:
            continue
        if found[0].endswith(b'"'):
            if len(found[1]) < depth:
                return found.start()
            skip_to = _string_end(text, found.end(), depth=depth) + depth + 1
            continue
        level += 1 if found[0] in b"[{" else -1
        if level == 0:
            return found.end()
    return len(text)


def _merged(found: list[Span]) -> list[Span]:
    """Return spans in order, one that begins inside another left out."""
    spans: list[Span] = []
    for span in sorted(
        (each for each in found if each.stop > each.start),
        key=lambda each: (each.start, -each.stop),
    ):
        if not spans or span.start >= spans[-1].stop:
            spans.append(span)
    return spans
