"""Names in a server's own directories, told apart from what people write into its results."""

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import list_member
from host.taint.text import as_words, visible
from host.taint.value import PROSE, pieces

MOST_NAMES = 10_000
"""Names of one result beyond which it is no directory."""
_LONGEST = 32
_DEEPEST = 20
_PLAIN = re.compile(r"[^\W\d_][\w-]*(?: [\w-]+){0,2}")


@dataclass(frozen=True, slots=True)
class Directory:
    """The names that a result enumerates, and everything else in it.

    Attributes:
        names: In the form in which they are compared.
        rest: The other texts: what anybody may have written.
    """

    names: frozenset[str] = frozenset()
    rest: tuple[str, ...] = ()


@dataclass(slots=True)
class _Found:
    names: dict[str, None] = field(default_factory=dict[str, None])
    rest: list[str] = field(default_factory=list[str])


def is_plain(text: str) -> bool:
    """Whether a text is a short name and nothing else: no address, number, path or sentence.

    Letters of several scripts, or such as nobody sees, make it none.
    """
    if len(text) > _LONGEST or visible(text) != text or not _PLAIN.fullmatch(text):
        return False
    if any(part.kind != "name" for part in pieces(text)):
        return False
    return len({_script(letter) for letter in text if letter.isalpha()}) == 1


def find_directory(result: object) -> Directory | None:
    """Return the names that a result enumerates; None where it enumerates none.

    Only what the server itself structured counts: a text that looks like a list may be a page or
    a message. A list is of names if each of its entries is one; so is a member of records, unless
    people read it (`body`, `title`). One entry that is no plain name makes all of them text.
    """
    whole = as_object(result)
    structured = None if whole is None else as_object(whole.get("structuredContent"))
    if whole is None or structured is None:
        return None
    found = _Found()
    _sort(structured, found, depth=0)
    if not found.names or len(found.names) > MOST_NAMES:
        return None
    copies = _copies(structured)
    for block in list_member(whole, "content"):
        text = (as_object(block) or {}).get("text")
        if not (isinstance(text, str) and _is_copy(text, copies)):
            found.rest += _leaves(block)
    return Directory(frozenset(as_words(name) for name in found.names), tuple(found.rest))


def _sort(value: object, found: _Found, *, depth: int) -> None:
    """Sort the texts of some JSON into names and the rest."""
    if depth > _DEEPEST:
        found.rest += _leaves(value)
    elif isinstance(value, list):
        items = cast("list[Any]", value)
        if items and all(isinstance(item, str) and is_plain(item) for item in items):
            found.names |= dict.fromkeys(items)
        elif items and all(isinstance(item, dict) for item in items):
            _sort_records(cast("list[Json]", items), found, depth=depth + 1)
        else:
            for item in items:
                _sort(item, found, depth=depth + 1)
    elif isinstance(value, dict):
        for member, item in cast("Json", value).items():
            found.rest.append(member)
            _sort(item, found, depth=depth + 1)
    elif value is not None and not isinstance(value, bool):
        found.rest.append(str(value))


def _sort_records(records: list[Json], found: _Found, *, depth: int) -> None:
    for member in dict.fromkeys(name for record in records for name in record):
        values = [record[member] for record in records if record.get(member) is not None]
        found.rest.append(member)
        if as_words(member).strip() not in PROSE and all(
            isinstance(value, str) and is_plain(value) for value in values
        ):
            found.names |= dict.fromkeys(cast("list[str]", values))
        else:
            for value in values:
                _sort(value, found, depth=depth)


def _copies(structured: Json) -> list[object]:
    """Return what of a structured result servers repeat as text, for clients that need text."""
    found: list[object] = [structured]
    for value in structured.values():
        found.append(value)
        if isinstance(value, list):
            found += cast("list[Any]", value)
    return found


def _is_copy(text: str, copies: list[object]) -> bool:
    if text in copies:
        return True
    try:
        return json.loads(text) in copies
    except (ValueError, RecursionError):
        return False


def _leaves(value: object) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting.extend(cast("Json", one))
            waiting.extend(cast("Json", one).values())
        elif isinstance(one, list):
            waiting.extend(cast("list[Any]", one))
        elif isinstance(one, str):
            yield one


def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").partition(" ")[0]
