"""Where the values in a session's arguments came from: what was said and read, bounded in size."""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ahocorasick_rs import AhoCorasick

from host.taint.text import as_words, squash, unescape
from host.taint.value import HARD, Piece, hard_values, leaves, pieces

Origin = Literal["user", "trusted", "private", "untrusted", "unknown", "composed"]
"""Where a value was seen. `unknown`: it should have been seen somewhere, and was not, or may have
been forgotten. `composed`: nobody wrote it before, so the model made it up, as it does with prose.
"""

MOST_READ = 1 << 20
"""Characters of results that a session keeps; the oldest are forgotten."""
MOST_SAID = 1 << 18
"""Characters of the user's own words that a session keeps."""
LONGEST = 1 << 15
"""Characters of an argument beyond which it is not traced, so that its origin is unknown."""

_MANY = 16


@dataclass(frozen=True, slots=True)
class Traced:
    """A part of an argument and where it was seen.

    Attributes:
        kind: What it is: address, account, path, identifier, date, number, name or text.
        text: As it stands in the argument.
        origins: Where it was seen, or why nobody knows.
    """

    kind: str
    text: str
    origins: frozenset[Origin]


@dataclass(frozen=True, slots=True)
class _Read:
    """A result that reached the session."""

    origins: frozenset[Origin]
    words: str
    solid: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Said:
    """Something that the user said."""

    words: str
    hard: frozenset[str]


class Ledger:
    """What one session heard and read.

    What is read from strangers is looked for broadly, with any marks and spaces in between; what
    the user said only exactly. So a doubt never makes a stranger's value the user's.

    Args:
        most_read: Characters of results that are kept.
        most_said: Characters of the user's words that are kept.
    """

    def __init__(self, *, most_read: int = MOST_READ, most_said: int = MOST_SAID) -> None:
        self._most_read = most_read
        self._most_said = most_said
        self._said: deque[_Said] = deque()
        self._read: deque[_Read] = deque()
        self._said_size = 0
        self._read_size = 0
        self._forgotten = False

    @property
    def forgotten(self) -> bool:
        """Whether results were read that are no longer known."""
        return self._forgotten

    def say(self, text: str) -> None:
        """Keep what the user said."""
        words = as_words(text)
        self._said.append(_Said(words, frozenset(hard_values(text))))
        self._said_size += len(words)
        while self._said_size > self._most_said:
            self._said_size -= len(self._said.popleft().words)

    def read(self, text: str, labels: Iterable[str]) -> None:
        """Keep what reached the session.

        Args:
            text: A result.
            labels: Its labels; without `untrusted` and `private` it is trusted.
        """
        known: list[Origin] = [one for one in ("untrusted", "private") if one in set(labels)]
        kept = unescape(text[-self._most_read :])
        self._forgotten = self._forgotten or len(kept) < len(text)
        entry = _Read(frozenset(known or ["trusted"]), as_words(kept), squash(kept))
        self._read.append(entry)
        self._read_size += len(entry.words)
        while self._read_size > self._most_read and len(self._read) > 1:
            self._read_size -= len(self._read.popleft().words)
            self._forgotten = True

    def doubt(self) -> None:
        """Take it that results were read which are not known here, as in an earlier run."""
        self._forgotten = True

    def clear(self) -> None:
        """Forget what was read, as when a person declares the session clean."""
        self._read.clear()
        self._read_size, self._forgotten = 0, False

    def trace(self, value: object, name: str = "") -> tuple[Traced, ...]:
        """Return the decisive parts of an argument and where each was seen."""
        found: dict[Traced, None] = {}
        size = 0
        for leaf in leaves(value, name):
            text = leaf.value if isinstance(leaf.value, str) else f"{leaf.value}"
            size += len(text)
            if size > LONGEST:
                found[Traced("text", text[:80], frozenset({"unknown"}))] = None
                break
            parts = pieces(text, prose=leaf.prose)
            if not any(part.exact for part in parts) and self._says(as_words(text)):
                parts = [Piece("name", text, forms=(as_words(text),))]
            found |= dict.fromkeys(self._trace(part) for part in parts)
        return tuple(found)

    def _says(self, words: str) -> bool:
        return len(words) > 3 and any(words in said.words for said in self._said)

    def _trace(self, piece: Piece) -> Traced:
        text = piece.text[:80]
        if piece.kind in HARD:
            return Traced(piece.kind, text, self._origins_hard(piece))
        if piece.kind == "text":
            return Traced(piece.kind, text, self._origins_text(piece))
        found: set[Origin] = set()
        if all(self._says(form) for form in piece.forms) or (
            piece.kind != "name" and any(self._says(form) for form in piece.forms)
        ):
            found.add("user")
        return Traced(piece.kind, text, self._or_unseen(found | self._seen(piece.forms)))

    def _origins_hard(self, piece: Piece) -> frozenset[Origin]:
        found: set[Origin] = set()
        if any(piece.exact in said.hard for said in self._said):
            found.add("user")
        solid = squash(piece.exact)
        for one in self._read:
            if "trusted" in one.origins:
                if any(form in one.words for form in piece.forms):
                    found |= one.origins
            elif solid in one.solid:
                found |= one.origins
        return frozenset(found or {"unknown"})

    def _origins_text(self, piece: Piece) -> frozenset[Origin]:
        """Return where runs of words were seen that the user did not say."""
        foreign = [run for run in piece.forms if not self._says(run)]
        if piece.forms and not foreign:
            return frozenset({"user"})
        return self._or_unseen(self._seen(foreign) - {"trusted"})

    def _seen(self, forms: Sequence[str]) -> set[Origin]:
        found: set[Origin] = set()
        finder = AhoCorasick(forms) if len(forms) > _MANY else None
        for one in self._read:
            if one.origins <= found:
                continue
            if finder is None:
                seen = any(form in one.words for form in forms)
            else:
                seen = bool(finder.find_matches_as_indexes(one.words))
            if seen:
                found |= one.origins
        return found

    def _or_unseen(self, found: set[Origin]) -> frozenset[Origin]:
        if found:
            return frozenset(found)
        return frozenset({"unknown" if self._forgotten else "composed"})
