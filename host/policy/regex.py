"""Regular expressions of rules, matched by RE2 in time linear in the text, whatever they say."""

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
        whole: Whether it has to match the whole text; else it may match anywhere.
    """

    compiled: Any
    whole: bool

    def match(self, text: str) -> Answer:
        """Return whether a text matches.

        Unknown is the answer where it matters that the text has invisible characters or letters in
        another width, because a tool may drop them.
        """
        simple = plain(text)
        try:
            found = self._find(text)
            if simple == text:
                return found
            return found if self._find(simple) is found else Answer.UNKNOWN
        except UnicodeEncodeError:  # half a surrogate pair, which is not text
            return Answer.UNKNOWN

    def _find(self, text: str) -> Answer:
        look = self.compiled.fullmatch if self.whole else self.compiled.search
        # Given bytes, the binding need not count characters, which takes longer than the match.
        return Answer.NO if look(text.encode()) is None else Answer.YES


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
        return Regex(_re2.compile(text, options), whole)
    except _re2.error as error:
        reason = error.args[0] if error.args else error
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
        raise ValueError(f"{text!r} is not an RE2 expression: {said}") from None
