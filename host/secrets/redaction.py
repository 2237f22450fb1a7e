"""Hides secrets in text on its way into a record: key shapes, declared values, field names.

It runs on every call, so two passes of an Aho-Corasick automaton decide whether anything is looked
at closely.
"""

import base64
import copy
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import orjson
from ahocorasick_rs import BytesAhoCorasick

from host.secrets.declared import texts_in
from host.secrets.fields import FIELD_ENDINGS, Span, find_field_values, name_stems, plain_name

MARK = b"[redacted]"
"""What stands where a secret was."""

MIN_SECRET = 4
"""Bytes; a shorter declared value is not searched for, since it would shred ordinary text."""

_LOOKED_AT = 1 << 18
"""Bytes of a value in which secrets are looked for, to be hidden in what belongs to it."""

OVERLAP = 4096
"""Bytes redacted beyond the cut of a long value, so that no half of a secret is kept."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """A kind of key: texts that every such key contains, and what it looks like."""

    markers: tuple[bytes, ...]
    pattern: re.Pattern[bytes]


def _shape(markers: str, pattern: str) -> _Shape:
    words = tuple(word.encode() for word in markers.split(" "))
    return _Shape(words, re.compile(pattern.encode()))


# A key is not preceded by a letter or digit, lest `task-…` is taken for `sk-…`; an escape's letter
# (`\nsk-…`) does not count as one.
_EDGE = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbf]))"

SHAPES = (
    _shape("sk-", _EDGE + r"sk-[A-Za-z0-9_-]{16,}"),
    _shape("sk_ rk_", _EDGE + r"[sr]k_(?:live|test|prod)_[A-Za-z0-9]{8,}"),
    _shape("ghp_ gho_ ghu_ ghs_ ghr_", _EDGE + r"gh[pousr]_[A-Za-z0-9]{16,}"),
    _shape("github_pat_", r"github_pat_[A-Za-z0-9_]{16,}"),
    _shape("glpat-", r"glpat-[A-Za-z0-9_.-]{16,}"),
    _shape("xox xapp-", _EDGE + r"(?:xox[abceoprs]|xapp)-[A-Za-z0-9-]{8,}"),
    _shape("AKIA ASIA", _EDGE + r"A[KS]IA[0-9A-Z]{12,}"),
    _shape("AIza", _EDGE + r"AIza[A-Za-z0-9_-]{24,}"),
    _shape("ya29.", _EDGE + r"ya29\.[A-Za-z0-9_-]{16,}"),
    _shape("eyJ", _EDGE + r"eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)+\.?"),
    _shape(
        "PRIVATE",
        r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----(?:[^\"\\]|\\.)*?"
        r"(?:-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----|(?=\")|\Z)",
    ),
    _shape("hf_ npm_ gsk_", _EDGE + r"(?:hf|npm|gsk)_[A-Za-z0-9]{24,}"),
    _shape("pypi-", _EDGE + r"pypi-[A-Za-z0-9_-]{32,}"),
    _shape("xai- pplx- tvly-", _EDGE + r"(?:xai|pplx|tvly)-[A-Za-z0-9_-]{16,}"),
    _shape("SG.", _EDGE + r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    _shape("hvs. hvb.", _EDGE + r"hv[sb]\.[A-Za-z0-9_-]{16,}"),
    _shape("AGE-SECRET", r"AGE-SECRET-KEY-1[A-Z0-9]{16,}"),
    _shape("AccountKey=", r"AccountKey=[A-Za-z0-9+/=]{16,}"),
    _shape("hooks.slack.com", r"hooks\.slack\.com/services/[A-Za-z0-9/]{8,}"),
)
"""Keys that are known by their look."""

_URL_PASSWORD = re.compile(rb"(://[^\s/\"\\:@]{0,256}:)([^\s/\"\\@]{1,1024})(?=@)")
_SCHEME = re.compile(
    rb"(?i)\b(bearer|basic)((?:\s|%20|\+)+)(?=[A-Z+/=._~-]*[0-9=])[A-Z0-9._~+/=-]{8,}"
)
"""Credentials without a header's name; a digit tells them from words (`bearer securities`)."""

SCHEMES = (b"bearer", b"basic")

_PATTERNS: list[tuple[re.Pattern[bytes], bytes]] = [
    (shape.pattern, MARK) for shape in SHAPES for _ in shape.markers
] + [(_URL_PASSWORD, rb"\1" + MARK)]
_MARKERS = [marker for shape in SHAPES for marker in shape.markers] + [b"://"]


class Redactor:
    """Hides secrets; one for the whole process, told of new secrets as configuration is read.

    Args:
        secrets: Values that must never be recorded, such as every `SecretStr` of the configuration.
        fields: Further names of fields whose values are hidden; case, `-` and `_` do not matter.
        limit: Bytes of one value that are kept; 0 keeps none.
    """

    def __init__(
        self, *, secrets: Iterable[str] = (), fields: Iterable[str] = (), limit: int = 16_384
    ) -> None:
        self.limit = limit
        self._values: frozenset[str] = frozenset()
        self._forms: list[bytes] = []
        self._overlap = OVERLAP
        own = tuple(fields)
        self._endings = (*FIELD_ENDINGS, *(plain_name(name) for name in own))
        self._names = BytesAhoCorasick([*SCHEMES, *name_stems(own)])
        self.add_secrets(secrets)

    def add_secrets(self, values: Iterable[str]) -> None:
        """Hide these values from now on, as they are, in JSON, in URLs and in base64."""
        self._values |= {value for value in values if len(_encoded(value)) >= MIN_SECRET}
        forms = {form for value in self._values for form in _forms_of(value)}
        # Longest first: a secret that contains another one disappears whole.
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        self._overlap = max([OVERLAP, *map(len, self._forms)])
        self._markers = BytesAhoCorasick([*self._forms, *_MARKERS])

    def redact(self, text: bytes) -> bytes:
        """Return JSON or plain text, in UTF-8, without the secrets in it."""
        found = self._markers.find_matches_as_indexes(text, overlapping=True)
        if found:
            text = self._without_keys(text, {match[0] for match in found})
        folded = text.lower()
        names = self._names.find_matches_as_indexes(folded, overlapping=True)
        if not names:
            return text
        if b"bearer" in folded or b"basic" in folded:
            text = _SCHEME.sub(rb"\1\2" + MARK, text)
            folded = text.lower()
            names = self._names.find_matches_as_indexes(folded, overlapping=True)
        spans = find_field_values(
            text, folded, at=[match[1] for match in names], endings=self._endings
        )
        return _replace_spans(text, spans) if spans else text

    def secrets_in(self, value: object) -> frozenset[str]:
        """Return the secrets that a value shows by its fields' names and by their own looks.

        They are searched for where no name tells them: a password that was given as an argument
        may come back in the middle of a result.
        """
        text = dump_json(value)[:_LOOKED_AT]
        folded = text.lower()
        found: set[str] = set()
        for index, _start, _end in self._markers.find_matches_as_indexes(text, overlapping=True):
            if index >= len(self._forms):
                pattern = _PATTERNS[index - len(self._forms)][0]
                found |= {_plain(match[match.lastindex or 0]) for match in pattern.finditer(text)}
        names = self._names.find_matches_as_indexes(folded, overlapping=True)
        at = [match[1] for match in names]
        if at:
            for span in find_field_values(text, folded, at=at, endings=self._endings):
                found |= set(_values_of(text[span.start : span.stop]))
            found |= {_plain(match[0].split()[-1]) for match in _SCHEME.finditer(text)}
        return frozenset(each for each in found if len(_encoded(each)) >= MIN_SECRET)

    def also(self, values: Iterable[str]) -> "Redactor":
        """Return a redactor that hides these values too; this one stays as it is."""
        other = copy.copy(self)
        other.add_secrets(values)
        return other

    def _without_keys(self, text: bytes, found: set[int]) -> bytes:
        """Hide the declared values and the shapes whose markers were found."""
        declared = len(self._forms)
        for index in sorted(found):
            if index < declared:
                text = text.replace(self._forms[index], MARK)
        for pattern, mark in {_PATTERNS[index - declared] for index in found if index >= declared}:
            text = pattern.sub(mark, text)
        return text

    def redact_json(self, text: bytes) -> bytes:
        """Return JSON without the secrets in it; it is JSON again, or nothing of it is kept."""
        hidden = self.redact(text)
        if hidden != text:
            try:
                orjson.loads(hidden)
            except orjson.JSONDecodeError:
                # A secret that begins like the end of an escape (`\\n…`) was cut out of its middle.
                return b'"' + MARK + b'"'
        return hidden

    def redact_text(self, text: str) -> str:
        """Return a text for people, such as an error message, without the secrets in it."""
        hidden = self.redact_json(dump_json(text))
        return str(orjson.loads(hidden))

    def capped(self, value: object) -> orjson.Fragment | dict[str, Any]:
        """Return what is recorded of a value: all of it, or its beginning, its size and its digest.

        A long value is redacted before it is cut, over a margin that no secret is longer than. A
        short one is returned as it is, to be redacted with the line it becomes part of.

        Args:
            value: Anything JSON can say.
        """
        text = dump_json(value)
        if len(text) <= self.limit:
            return orjson.Fragment(text)
        seen = self.redact(text[: self.limit + self._overlap])
        # Redaction shrinks text, so the margin is taken off the end of what is left.
        whole = len(text) <= self.limit + self._overlap
        kept = seen[: self.limit if whole else max(0, min(self.limit, len(seen) - self._overlap))]
        return {
            "cut": kept.decode("utf-8", "ignore"),
            "bytes": len(text),
            "sha256": hashlib.sha256(text).hexdigest(),
        }


def dump_json(value: object) -> bytes:
    """Return a value as JSON in UTF-8, on one line, whatever it is.

    What JSON or UTF-8 cannot say (half a surrogate pair, bytes) is put as near as it can be.
    """
    try:
        return orjson.dumps(value, default=_as_text)
    except TypeError:
        pass
    try:  # with names that are no texts, it takes twice as long for any value
        return orjson.dumps(value, default=_as_text, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:
        pass
    try:
        text = json.dumps(
            value, separators=(",", ":"), default=_as_text, ensure_ascii=False, allow_nan=False
        )
    except (ValueError, TypeError, RecursionError):
        text = json.dumps(repr(value), ensure_ascii=False)
    return text.encode("utf-8", "replace")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _plain(text: bytes) -> str:
    """Return what a piece of JSON text says."""
    try:
        return str(orjson.loads(b'"' + text + b'"'))
    except orjson.JSONDecodeError:
        return text.decode("utf-8", "replace")


def _values_of(text: bytes) -> Iterator[str]:
    """Yield the texts in the value of a secret field: a text's inside, a number, or an object."""
    if text[:1] in (b"{", b"["):
        try:
            yield from texts_in(orjson.loads(text))
        except orjson.JSONDecodeError:
            yield _plain(text)
        return
    plain = _plain(text)
    yield plain
    if "\\" in plain:  # it stood in JSON that is itself a text
        yield _plain(_encoded(plain))
    scheme, _space, credential = plain.partition(" ")
    if scheme.lower() in ("bearer", "basic", "digest", "token") and credential:
        yield credential


def _as_text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else repr(value)


def _forms_of(value: str) -> Iterator[bytes]:
    """Yield the ways in which a secret may appear in JSON text."""
    raw = value.encode("utf-8", "surrogatepass")
    yield json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")[1:-1]
    yield json.dumps(value)[1:-1].encode()
    yield json.dumps(json.dumps(value)[1:-1])[1:-1].encode()
    yield quote(raw, safe="").encode()
    if len(raw) >= 12:
        yield base64.b64encode(raw).rstrip(b"=")


def _replace_spans(text: bytes, spans: list[Span]) -> bytes:
    """Put the mark in place of the given parts, which are in order and do not overlap."""
    parts: list[bytes] = []
    end = 0
    for span in spans:
        parts += (text[end : span.start], span.quotes, MARK, span.quotes)
        end = span.stop
    parts.append(text[end:])
    return b"".join(parts)
