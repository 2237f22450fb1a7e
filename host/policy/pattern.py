"""Patterns of names in rules: the whole name, exactly as written, with `*` and `?` and no more."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_WILD = re.compile(r"[*?]")


@dataclass(frozen=True, slots=True)
class Names:
    """Some names or patterns of names.

    Attributes:
        exact: Names without wildcards.
        prefixes: Patterns whose only wildcard is a final `*`, without it.
        rest: The other patterns, compiled.
        texts: All of them as written.
    """

    exact: frozenset[str]
    prefixes: tuple[str, ...]
    rest: re.Pattern[str] | None
    texts: tuple[str, ...]

    def match(self, name: str | None) -> bool:
        """Return whether a name is one of these; an absent name never is."""
        if name is None:
            return False
        if name in self.exact or (self.prefixes and name.startswith(self.prefixes)):
            return True
        return self.rest is not None and self.rest.fullmatch(name) is not None

    def heads(self) -> list[str] | None:
        """Return literal beginnings of all names that can match; None if some have none."""
        found = [*self.exact, *(_WILD.split(text)[0] for text in self.texts if _WILD.search(text))]
        return found if all(found) else None


def parse_names(texts: Iterable[str]) -> Names:
    """Compile patterns: `*` is any characters, `?` any one; nothing else is special."""
    given = tuple(texts)
    exact = frozenset(text for text in given if not _WILD.search(text))
    wild = [text for text in given if _WILD.search(text)]
    prefixes = tuple(text[:-1] for text in wild if not _WILD.search(text[:-1]) and text[-1] == "*")
    rest = [_expression(text) for text in wild if text[:-1] not in prefixes or text[-1] != "*"]
    return Names(
        exact=exact,
        prefixes=prefixes,
        rest=re.compile("|".join(rest), re.DOTALL) if rest else None,
        texts=given,
    )


def _expression(text: str) -> str:
    """Return the regular expression of a pattern.

    A run of `*` is one, and each but the last is atomic with what follows it, so that a hostile
    name cannot make the search try again and again.
    """
    pieces = [
        "".join("." if char == "?" else re.escape(char) for char in piece)
        for piece in re.split(r"\*+", text)
    ]
    if len(pieces) == 1:
        return pieces[0]
    middle = "".join(f"(?>.*?{piece})" for piece in pieces[1:-1])
    return f"{pieces[0]}{middle}.*{pieces[-1]}"
