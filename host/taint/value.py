"""The decisive parts of an argument: addresses, accounts, paths, dates, names, copied texts."""

import re
from collections.abc import Collection, Iterator
from itertools import chain
from typing import Any, Literal, cast

from host.domain.fixed import fixed
from host.taint.text import as_words, canonical_address, canonical_path, squash, visible

Kind = Literal["address", "account", "path", "identifier", "date", "number", "name", "text"]
"""Kinds of values."""

HARD: frozenset[Kind] = frozenset({"address", "account", "path", "identifier"})
"""Kinds that nobody makes up: one that was never seen is suspicious."""

RUN = 8
"""Words in a row that show that a text was copied."""

FEW = 4
"""Words in a row below which prose, which people word alike, shows nothing."""

PROSE = frozenset(
    {
        *("body", "comment", "content", "description", "message", "note", "notes", "reason"),
        *("subject", "summary", "text", "title"),
    }
)
"""Names of arguments that hold what people read, not where it goes."""

MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august"),
    *("september", "october", "november", "december"),
)

_MONTH = "|".join(f"{name}|{name[:3]}" for name in MONTHS)
_ISO = r"(?<!\d)(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})(?!\d)"
_US = rf"\b(?P<um>{_MONTH})\.?\s+(?P<ud>\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(?P<uy>\d{{4}})\b)?"
_EU = (
    rf"\b(?P<ed>\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+)?(?P<em>{_MONTH})\b"
    r"(?:,?\s+(?P<ey>\d{4})\b)?"
)
_DOTTED = r"(?:[^\W_][\w-]*\.)+[^\W\d_]{2,}"
_TOKEN = re.compile(r"[^\s<>\"'`]+")
_ADDRESS = re.compile(
    r"(?P<url>\b[a-z][a-z0-9+.-]*://.+)"
    r"|(?P<mail>[^@,;:()\[\]{}]+@[^@,;:()\[\]{}]+)"
    rf"|(?P<host>\b{_DOTTED}(?::\d+)?(?:/.*)?)"
    r"|(?P<path>(?<!\w)(?:~|\.{1,2}|[a-z]:)?[/\\].+|(?=.*[^\W\d_])\w+(?:[/\\][\w.-]+){2,})",
    re.IGNORECASE,
)
"""What has no spaces; it is looked for in short tokens, since a search takes quadratic time."""
_VALUE = re.compile(
    f"(?P<date>{_ISO}|{_US}|{_EU})"
    r"|(?P<iban>\b[a-z]{2}\d{2}(?:[ -]?[a-z0-9]{4}){2,7}(?:[ -]?[a-z0-9]{1,3})?\b)"
    r"|(?P<digits>(?<![\w.])\+?\d(?:[ ().-]{0,2}\d){6,}(?!\w))"
    r"|(?P<clock>\b\d{1,2}:\d{2}(?::\d{2})?\b)"
    r"|(?P<number>(?<![\w.,])\d+(?:[.,]\d+)*(?!\w))"
    r"|(?P<ident>(?<![\w-])(?=[\w-]*[^\W\d_])(?=[\w-]*\d[\w-]*\d)[\w-]{6,}(?![\w-]))",
    re.IGNORECASE,
)
"""What may have spaces, or no marks at all; each search takes linear time."""
_MARKS = re.compile(r"[@./\\]")
_DIGIT = re.compile(r"\d")
_NO_DIGIT = re.compile(r"\D")
_NO_PART = re.compile(r"\.0*$")
_TELLING = re.compile(r"[@./\\\d]")
"""What each value has one of: a mark of an address, or a digit."""
_LONG = 128
"""Characters of a token beyond which it is an address as a whole, if it has the marks of one."""
_TRAILING = ".,;:!?)]}'\""
_JOINED = re.compile(r"(?<=[a-z0-9])\.(?=[A-Z][a-z])")


@fixed()
class Piece:
    """A decisive part of an argument.

    Attributes:
        kind: What it is.
        text: As it stands in the argument.
        exact: The form in which it is compared with what the user said, if it is a hard one.
        forms: Words under which it may stand in a text, one form for each way of writing it.
    """

    kind: Kind
    text: str
    exact: str = ""
    forms: tuple[str, ...] = ()


def joined_sentences(text: str) -> str:
    """Return a text with a space after each full stop that a capital follows: `a.example.They`."""
    return _JOINED.sub(". ", text)


def pieces(text: str, *, prose: bool = False) -> list[Piece]:
    """Return the decisive parts of a text; one that has none is decisive as a whole.

    Args:
        text: The text.
        prose: Whether it is there to be read, so that a few words of it decide nothing.
    """
    plain = visible(text)
    if not _TELLING.search(plain):
        return _prose([plain], FEW if prose else 1)
    if len(plain) < 3 and plain.isdecimal():  # a number that is everywhere, see `number_piece`
        return []
    found: list[Piece] = []
    rest: list[str] = []
    end = 0
    for start, stop, piece in _addresses(plain):
        rest += _values(plain[end:start], found)
        found.append(piece)
        end = stop
    rest += _values(plain[end:], found)
    return found + _prose(rest, FEW if prose else 1)


def _addresses(text: str) -> Iterator[tuple[int, int, Piece]]:
    """Yield the addresses and paths of a text and where they stand in it."""
    if not _MARKS.search(text):
        return
    for token in _TOKEN.finditer(text):
        word = token[0]
        if not _MARKS.search(word):
            continue
        if len(word) > _LONG:
            yield token.start(), token.end(), _hard("address", word.rstrip(_TRAILING))
            continue
        for match in _ADDRESS.finditer(word):
            kind = "path" if match["path"] is not None else "address"
            start = token.start()
            piece = _hard(kind, match[0].rstrip(_TRAILING))
            yield start + match.start(), start + match.end(), piece


def _values(text: str, found: list[Piece]) -> list[str]:
    """Add the other values of a text to those found, and return what is left between them."""
    if not _DIGIT.search(text):
        return [text]
    rest: list[str] = []
    end = 0
    for match in _VALUE.finditer(text):
        rest.append(text[end : match.start()])
        end = match.end()
        piece = _piece(match)
        if piece is not None:
            found.append(piece)
    return [*rest, text[end:]]


def hard_values(text: str) -> Iterator[str]:
    """Yield the addresses, accounts, paths and identifiers of a text, as they are compared."""
    for piece in pieces(text) if _TELLING.search(visible(text)) else ():
        if piece.kind in HARD:
            yield piece.exact
            if piece.kind == "account":  # what follows an account number may look like its end
                yield from (squash(part) for part in piece.text.split())


@fixed()
class Leaf:
    """A text or number of an argument; `prose` where its name says that people read it."""

    value: str | int | float
    prose: bool


def leaves(value: object, name: str = "", *, texts: Collection[str] = ()) -> Iterator[Leaf]:
    """Yield the texts and numbers of some JSON; of members' names only what could be an address.

    Args:
        value: The JSON.
        name: What it is called.
        texts: Names of what people read, beside `PROSE`.
    """
    waiting: list[tuple[str, Any]] = [(name, value)]
    while waiting:
        name, one = waiting.pop()
        if isinstance(one, dict):
            members = cast("dict[str, Any]", one)
            for member in members:
                if _TELLING.search(visible(member)):
                    yield from (Leaf(part.text, False) for part in pieces(member) if part.exact)
            waiting.extend(members.items())
        elif isinstance(one, list):
            waiting.extend((name, item) for item in cast("list[Any]", one))
        elif isinstance(one, str) or (isinstance(one, int | float) and not isinstance(one, bool)):
            yield Leaf(one, name in texts or as_words(name).strip() in PROSE)


def number_piece(text: str) -> Piece | None:
    """Return a number as a part, with the ways in which people write it; None for a small one.

    Numbers of one or two digits are everywhere, so that where one was seen says nothing.
    """
    plain = text.replace(",", "")
    if len(_NO_DIGIT.sub("", plain).strip("0")) < 3 and len(_NO_PART.sub("", plain)) < 3:
        return None
    forms = {text, plain}
    if re.fullmatch(r"\d+(\.\d+)?", plain):
        value = float(plain)
        forms |= {f"{value:.1f}", f"{value:.2f}", f"{value:,.2f}", f"{value:.10g}"}
        if value.is_integer() and len(plain) < 16:
            forms |= {f"{int(value)}", f"{int(value):,}"}
    return Piece("number", text, forms=tuple(sorted({as_words(form) for form in forms})))


def _piece(match: re.Match[str]) -> Piece | None:
    text = match[0]
    if match["clock"] is not None:  # the hour of a day is everywhere; the day decides
        return None
    if match["date"] is not None:
        return _date(match)
    if match["number"] is not None:
        return number_piece(text)
    return _hard("identifier" if match["ident"] is not None else "account", text)


def _hard(kind: Kind, text: str) -> Piece:
    exact = {
        "address": canonical_address,
        "path": canonical_path,
        "account": squash,
        "identifier": str.casefold,
    }[kind](text)
    return Piece(kind, text, exact, (as_words(text),))


def _date(match: re.Match[str]) -> Piece:
    name = match["um"] or match["em"]
    day = int(match["d"] or match["ud"] or match["ed"])
    if name is None:
        month = int(match["m"])
    else:
        month = 1 + next(i for i, full in enumerate(MONTHS) if full.startswith(name[:3].lower()))
    year = match["y"] or match["uy"] or match["ey"]
    if not 1 <= month <= 12:
        return Piece("date", match[0], forms=(as_words(match[0]),))
    return Piece("date", match[0], forms=tuple(_dates(month, day, year)))


def _dates(month: int, day: int, year: str | None) -> Iterator[str]:
    """Yield the ways in which people write a date, as `as_words` returns them."""
    if year is not None:
        yield f" {year} {month:02} {day:02} "
        yield f" {month:02} {day:02} {year} "
        yield f" {day:02} {month:02} {year} "
    ending = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    for name in (MONTHS[month - 1], MONTHS[month - 1][:3]):
        for number in (f"{day}", f"{day:02}", f"{day}{ending}"):
            yield f" {name} {number} "
            yield f" {number} {name} "
            yield f" {number} of {name} "


def _prose(parts: list[str], fewest: int) -> list[Piece]:
    """Return what is left of a text beside its values: a name, or runs of words."""
    found = [as_words(part).split() for part in parts if part]
    words = list(chain.from_iterable(found))
    if len("".join(words)) < 3:
        return []
    if len(words) <= RUN:
        forms = {f" {' '.join(part)} " for part in found if len(part) >= fewest}
        kind = "name" if fewest == 1 else "text"
        return [Piece(kind, " ".join(words), forms=tuple(sorted(forms)))]
    runs: dict[str, None] = {}
    for part in found:
        if len(part) >= RUN:
            runs |= dict.fromkeys(
                f" {' '.join(part[i : i + RUN])} " for i in range(len(part) - RUN + 1)
            )
        elif len(part) >= FEW:
            runs[f" {' '.join(part)} "] = None
    return [Piece("text", " ".join(words)[:80], forms=tuple(runs))]
