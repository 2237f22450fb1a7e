"""Reads the plain kind of regular expression, and makes texts that it matches.

Schemas' patterns are written for another dialect than Python's or Rust's. Those read here mean the
same in all of them and are bounded; of any other nothing is claimed.
"""

import re
import string
from collections.abc import Callable
from dataclasses import dataclass

_MOST = 256
"""Largest count of a quantifier that is read."""
_LARGEST = 5_000
"""Largest product of all counts: counts in counts multiply what a matcher has to hold."""
_BROAD = 50
"""How much more a class such as `\\w` takes in a matcher than a letter does."""
_SETS = {
    "d": string.digits,
    "w": string.ascii_letters + string.digits + "_",
    "s": " ",
    "D": "x-",
    "W": " -",
    "S": "x0",
}
_VISIBLE = "".join(chr(code) for code in range(0x20, 0x7F))
Maker = Callable[[int], str]
"""Makes a text; the number says how many more repetitions than needed are wanted."""


class _OtherError(Exception):
    """The pattern is of another kind."""


def text_matching(pattern: str, *, least: int = 0, most: int = 1_000) -> str | None:
    """Return a text that a pattern matches, None where none is found or it is not of this kind.

    Args:
        pattern: A regular expression as JSON Schema has it: found anywhere in the text.
        least: Fewest characters.
        most: Most characters.
    """
    reader = _Reader(pattern, size=_BROAD if re.search(r"\\[dDwWsS]|\[\^", pattern) else 1)
    try:
        make = reader.choice()
        if reader.rest:
            return None
        compiled = re.compile(pattern)
    except (_OtherError, re.error, RecursionError, OverflowError):
        return None
    for more in (0, 1, 2, 3, 5, 8, 13, min(least, _MOST)):
        text = make(more)
        if not pattern.endswith("$") and len(text) < least <= _MOST:
            text = text.ljust(least, "x")
        if least <= len(text) <= most and compiled.search(text):
            return text
    return None


@dataclass
class _Reader:
    """Reads a pattern from left to right."""

    pattern: str
    place: int = 0
    groups: int = 0
    size: int = 1
    """At least as many letters as a matcher has to hold."""

    @property
    def rest(self) -> str:
        return self.pattern[self.place :]

    def take(self, text: str) -> bool:
        found = self.rest.startswith(text)
        self.place += len(text) * found
        return found

    def one(self) -> str:
        if not self.rest:
            raise _OtherError
        self.place += 1
        return self.pattern[self.place - 1]

    def choice(self) -> Maker:
        ways = [self.sequence()]
        while self.take("|"):
            ways.append(self.sequence())
        return lambda more: ways[more % len(ways)](more)

    def sequence(self) -> Maker:
        parts: list[Maker] = []
        while self.rest and self.rest[0] not in "|)":
            parts.append(self.repeated())
        return lambda more: "".join(part(more) for part in parts)

    def repeated(self) -> Maker:
        atom = self.atom()
        least, most = self.quantifier()
        if self.rest[:1] in ("*", "+", "{"):
            raise _OtherError
        return lambda more: "".join(atom(more) for _ in range(min(least + more, most)))

    def quantifier(self) -> tuple[int, int]:
        bounds = {"*": (0, _MOST), "+": (1, _MOST), "?": (0, 1)}
        found = bounds.get(self.rest[:1])
        counted = re.match(r"\{(\d{1,4})(,)?(\d{1,4})?\}", self.rest)
        if found:
            self.place += 1
        elif counted:
            self.place += counted.end()
            least = int(counted[1])
            found = (least, int(counted[3]) if counted[3] else _MOST if counted[2] else least)
            self.size *= max(1, found[1] if counted[3] else least)
            if not found[0] <= found[1] <= _MOST or self.size > _LARGEST:
                raise _OtherError
        else:
            return 1, 1
        self.take("?")
        return found

    def atom(self) -> Maker:
        letter = self.one()
        if letter == "(":
            return self.group()
        if letter in "^$":
            return lambda _: ""
        if letter == "[":
            found = self.letters()
        elif letter == ".":
            found = "x"
        elif letter == "\\":
            found = self.escaped()
        elif letter in "*+?{}]" or not letter.isascii():
            raise _OtherError
        else:
            found = letter
        return lambda _: found[0]

    def group(self) -> Maker:
        self.groups += 1
        if self.rest.startswith("?") and not self.take("?:"):
            raise _OtherError
        if self.groups > 30:
            raise _OtherError
        inner = self.choice()
        if not self.take(")"):
            raise _OtherError
        return inner

    def escaped(self) -> str:
        letter = self.one()
        if letter in _SETS:
            return _SETS[letter]
        if letter in "tnr":
            return {"t": "\t", "n": "\n", "r": "\r"}[letter]
        if letter.isalnum() or not letter.isascii():
            raise _OtherError
        return letter

    def letters(self) -> str:
        """Return the letters of a class, the more telling ones first."""
        negated = self.take("^")
        found = ""
        while not self.take("]"):
            first = self.one()
            if first in "[&~|" or (first == "-" and found and self.rest[:1] != "]"):
                raise _OtherError
            low = self.escaped() if first == "\\" else first
            if len(low) == 1 and self.rest[:1] == "-" and self.rest[1:2] not in ("]", ""):
                self.place += 1
                last = self.one()
                last = self.escaped() if last == "\\" else last
                if len(last) != 1 or not low <= last or not last.isascii():
                    raise _OtherError
                low = "".join(chr(code) for code in range(ord(low), ord(last) + 1))
            found += low
        left = "".join(letter for letter in _VISIBLE if letter not in found) if negated else found
        if not left or not left.isascii():
            raise _OtherError
        return "".join(sorted(left, key=lambda letter: not letter.isalnum()))
