"""Regular expressions of rules, matched by RE2 in time linear in the text, whatever they say."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import re2

from host.policy.answer import Answer
from host.policy.fold import plain

MEMORY = 1 << 20
"""Bytes that one compiled expression may take."""

_re2: Any = re2


@dataclass(frozen=True, slots=True)
class Regex:
    """A compiled expression.

    Attributes:
        look: Looks for it in a text, the whole text or any part.
    """

    look: Callable[[bytes], object | None]

    def match(self, text: str) -> Answer:
        """Return whether a text matches.

        Unknown is the answer where it matters that the text has invisible characters or letters in
        another width, because a tool may drop them.
        """
        try:
            # Given bytes, the binding need not count characters, which takes longer than the match.
            found = self.look(text.encode()) is not None
            if not text.isascii():
                simple = plain(text)
                if (self.look(simple.encode()) is not None) is not found:
                    return Answer.UNKNOWN
        except UnicodeEncodeError:  # half a surrogate pair, which is not text
            return Answer.UNKNOWN
        return _YES if found else _NO


_YES, _NO = Answer.YES, Answer.NO


def parse_regex(text: str, *, whole: bool) -> Regex:
    """Compile an expression in RE2's syntax, in which `.` matches a line's end too.

    Raises:
        ValueError: It is not one; look-arounds and back references are not in RE2.
    """
    options = _re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    options.dot_nl = True
    try:
        compiled = _re2.compile(text, options)
    except _re2.error as error:
        reason = error.args[0] if error.args else error
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
        raise ValueError(f"{text!r} is not an RE2 expression: {said}") from None
    return Regex(compiled.fullmatch if whole else compiled.search)
