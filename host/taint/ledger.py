"""Where the values in a session's arguments came from: what was said and read, bounded in size."""

import math
import re
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ahocorasick_rs import AhoCorasick

from host.domain.fixed import fixed
from host.taint.directory import Directory
from host.taint.text import as_words, squash, unescape
from host.taint.value import (
    FEW,
    HARD,
    RUN,
    Piece,
    hard_values,
    joined_sentences,
    leaves,
    pieces,
)

Origin = Literal[
    "user", "trusted", "private", "untrusted", "listed", "referred", "unknown", "composed"
]
"""Where a value was seen. `listed`: a name in a directory of the server that is called, which
nothing that strangers wrote speaks of. `referred`: in what the user's own records say of what the
user named. `unknown`: it should have been seen somewhere, and was not, or may have been forgotten.
`composed`: nobody wrote it before, so the model made it up, as it does with prose."""

MOST_READ = 1 << 20
"""Characters of results that a session keeps; the oldest are forgotten."""
MOST_SAID = 1 << 18
"""Characters of the user's own words that a session keeps."""
LONGEST = 1 << 15
"""Characters of an argument beyond which it is not traced, so that its origin is unknown."""

_MANY = 16
_MUCH = 10_000
"""Characters read from which on one search for many forms is quicker, building it included."""
_MOSTLY = 0.8
"""Part of a text that has to be the user's, in one piece, for it to be theirs reworded."""
_STRANGE: tuple[Origin, ...] = ("untrusted", "private")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
_SMALL = frozenset({"a", "an", "and", "by", "for", "from", "in", "of", "on", "the", "to", "with"})


@fixed()
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


@fixed()
class _Read:
    """A result that reached the session.

    Attributes:
        names: Of those whom it lists, if it is a server's directory.
        open: Letters and digits of what anybody may have written into it.
        hard: Addresses and the like that the user referred to by a name.
    """

    origins: frozenset[Origin]
    words: str
    solid: str = field(repr=False)
    server: str | None = None
    names: frozenset[str] = frozenset()
    open: str = field(default="", repr=False)
    hard: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Said:
    """Something that the user said."""

    words: str
    hard: frozenset[str]
    stems: frozenset[str]


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
        apart = joined_sentences(text)
        hard = frozenset(hard_values(text))
        hard = hard if apart == text else hard.union(hard_values(apart))
        self._said.append(_Said(words, hard, frozenset(map(_stem, words.split()))))
        self._said_size += len(words)
        while self._said_size > self._most_said:
            self._said_size -= len(self._said.popleft().words)

    def read(
        self,
        text: str,
        labels: Iterable[str],
        *,
        server: str | None = None,
        directory: Directory | None = None,
        referred: bool = False,
    ) -> None:
        """Keep what reached the session.

        Args:
            text: A result.
            labels: Its labels; without `untrusted` and `private` it is trusted.
            server: Whose it is.
            directory: The names that it enumerates, and the rest of it.
            referred: Whether it is what the user's own records say of what the user named.
        """
        given = frozenset(labels)
        known: list[Origin] = [one for one in _STRANGE if one in given]
        kept = unescape(text[-self._most_read :])
        self._forgotten = self._forgotten or len(kept) < len(text)
        solid = squash(kept)
        free = solid if directory is None else squash(unescape("\n".join(directory.rest)))
        entry = _Read(
            frozenset(known or ["trusted"]),
            as_words(kept),
            solid,
            server,
            frozenset() if directory is None else directory.names,
            free if "untrusted" in known else "",
            frozenset(hard_values(kept[:LONGEST])) if referred else frozenset(),
        )
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

    def asks_for(self, action: str) -> bool:
        """Return whether the user spoke of an action: every word of a tool's name, in one breath.

        One word alone is too common to tell.
        """
        words = {_stem(word) for word in as_words(_CAMEL.sub(" ", action)).split()} - _SMALL
        return len(words) > 1 and any(words <= said.stems for said in self._said)

    def trace(
        self,
        value: object,
        name: str = "",
        *,
        server: str | None = None,
        texts: Collection[str] = (),
    ) -> tuple[Traced, ...]:
        """Return the decisive parts of an argument and where each was seen.

        Args:
            value: The argument; of an object or a list, everything inside.
            name: What it is called.
            server: Who is called, whose own directories count.
            texts: Names of arguments that people read, beside those that everybody calls so.
        """
        found: dict[Traced, None] = {}
        size = 0
        for leaf in leaves(value, name, texts=texts):
            text = leaf.value if isinstance(leaf.value, str) else f"{leaf.value}"
            size += len(text)
            if size > LONGEST:
                found[Traced("text", text[:80], frozenset({"unknown"}))] = None
                break
            parts = pieces(text, prose=leaf.prose)
            if not any(part.exact for part in parts) and self._says(as_words(text)):
                parts = [Piece("name", text, forms=(as_words(text),))]
            if not parts:
                continue
            if leaf.prose and self._rewords(parts, text):
                found[Traced("text", text[:80], frozenset({"user"}))] = None
                continue
            traced = [self._trace(part, server) for part in parts]
            found |= dict.fromkeys(map(_as_prose, traced) if leaf.prose else traced)
        return tuple(found)

    def _says(self, words: str) -> bool:
        return len(words) > 3 and any(words in said.words for said in self._said)

    def _says_one(self, forms: Sequence[str]) -> bool:
        """Whether the user said one of many forms, such as those of a date."""
        long = [form for form in forms if len(form) > 3]
        return any(form in said.words for said in self._said for form in long)

    def _rewords(self, parts: Sequence[Piece], text: str) -> bool:
        """Whether prose is what the user said but for a few words, as in `you` for `I`.

        Nothing in it may be more than a word: a number or an address decides by itself.
        """
        words = as_words(text).split()
        run = max(FEW, math.ceil(len(words) * _MOSTLY))
        if len(words) > RUN * RUN or any(part.kind != "text" for part in parts):
            return False
        return any(
            self._says(f" {' '.join(words[i : i + run])} ") for i in range(len(words) - run + 1)
        )

    def _trace(self, piece: Piece, server: str | None) -> Traced:
        text = piece.text[:80]
        if piece.kind in HARD:
            return Traced(piece.kind, text, self._origins_hard(piece))
        if piece.kind == "text":
            return Traced(piece.kind, text, self._origins_text(piece))
        found: set[Origin] = set()
        if all(self._says(form) for form in piece.forms) or (
            piece.kind != "name" and self._says_one(piece.forms)
        ):
            found.add("user")
        if piece.kind == "name" and self._lists(piece.forms, server):
            found.add("listed")
        return Traced(piece.kind, text, self._or_unseen(found | self._seen(piece.forms)))

    def _lists(self, forms: Sequence[str], server: str | None) -> bool:
        """Whether a name is in a server's own directory and in nothing that strangers wrote.

        Who can add to a directory can choose a name there, but an order to use it has to say it.
        """
        if server is None or not any(
            one.server == server and any(form in one.names for form in forms) for one in self._read
        ):
            return False
        return not any(squash(form) in one.open for one in self._read for form in forms)

    def _origins_hard(self, piece: Piece) -> frozenset[Origin]:
        found: set[Origin] = set()
        if any(piece.exact in said.hard for said in self._said):
            found.add("user")
        solid = squash(piece.exact)
        for one in self._read:
            if piece.exact in one.hard:
                found.add("referred")
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
        finder = None
        if len(forms) > _MANY and self._read_size > _MUCH:
            finder = AhoCorasick(forms)
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


def _as_prose(traced: Traced) -> Traced:
    """Return a value in what people read: a number there is a part of the text."""
    return replace(traced, kind="text") if traced.kind == "number" else traced


def _stem(word: str) -> str:
    """Return a word without the ending of its plural."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
