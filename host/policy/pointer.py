"""JSON pointers into a call's arguments, with `*` for every child and `**` for any depth."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from host.policy.fold import fold

Json = Any
"""A JSON value."""

EACH = "*"
DEEP = "**"


@dataclass(frozen=True, slots=True)
class Located:
    """A value of the arguments, and where it is."""

    place: str
    value: Json


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a pointer finds in some arguments.

    Attributes:
        values: The values, in order.
        lookalike: A name on the way that is not the pointer's but looks like it; None if none.
    """

    values: tuple[Located, ...]
    lookalike: str | None = None


@dataclass(frozen=True, slots=True)
class Pointer:
    """A parsed pointer; `text` is as written."""

    text: str
    parts: tuple[str, ...]

    def resolve(self, arguments: Json) -> Resolved:
        """Return all values that it points to.

        A name that only looks like the one asked for is reported, because a tool may take it for
        that one where the rule did not.
        """
        found = [Located("", arguments)]
        lookalike: str | None = None
        for part in self.parts:
            following: list[Located] = []
            for one in found:
                following.extend(_step(one, part))
                lookalike = lookalike or _lookalike(one.value, part)
            found = following
        return Resolved(tuple(found), lookalike)


def parse_pointer(text: str) -> Pointer:
    """Parse a pointer such as `/path` or `/files/*/name`.

    Raises:
        ValueError: It is none; the message says why.
    """
    if text and not text.startswith("/"):
        raise ValueError(f"The argument {text!r} has to begin with '/', such as '/{text}'")
    parts = text.split("/")[1:]
    for part in parts:
        rest = part.replace("~0", "").replace("~1", "")
        if "~" in rest:
            raise ValueError(f"In {text!r}, '~' is written '~0', and '/' inside a name '~1'")
    return Pointer(text, tuple(part.replace("~1", "/").replace("~0", "~") for part in parts))


def escape(part: str) -> str:
    """Return a name as it is written inside a pointer."""
    return part.replace("~", "~0").replace("/", "~1")


def _step(one: Located, part: str) -> Iterator[Located]:
    if part == EACH:
        yield from children(one)
    elif part == DEEP:
        yield from descend(one)
    else:
        place = f"{one.place}/{escape(part)}"
        yield from (child for child in children(one) if child.place == place)


def children(one: Located) -> Iterator[Located]:
    """Yield the members of an object or the items of a list."""
    inside = one.value
    if isinstance(inside, dict):
        for name, value in cast("dict[str, Json]", inside).items():
            yield Located(f"{one.place}/{escape(name)}", value)
    elif isinstance(inside, list):
        for index, value in enumerate(cast("list[Json]", inside)):
            yield Located(f"{one.place}/{index}", value)


def descend(one: Located) -> Iterator[Located]:
    """Yield a value and everything inside it."""
    waiting = [one]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(reversed(list(children(current))))


def elements(one: Located) -> Iterator[Located]:
    """Yield a value, or, where it is a list, what is in it, at any depth of lists."""
    waiting = [one]
    while waiting:
        current = waiting.pop()
        if isinstance(current.value, list):
            waiting.extend(reversed(list(children(current))))
        else:
            yield current


def _lookalike(value: Json, part: str) -> str | None:
    if part in (EACH, DEEP) or not isinstance(value, dict):
        return None
    wanted = fold(part)
    names = cast("dict[str, Json]", value)
    return next((name for name in names if name != part and fold(name) == wanted), None)
