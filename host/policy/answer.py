"""The three answers of a condition, and which way a rule leans when it cannot be sure."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Literal

Action = Literal["allow", "ask", "deny"]
"""What a rule says."""

STRICTNESS: dict[Action, int] = {"allow": 0, "ask": 1, "deny": 2}
"""The greater number wins."""


class Answer(IntEnum):
    """Whether a condition holds; `UNKNOWN` counts as whichever is the stricter for its rule."""

    NO = 0
    UNKNOWN = 1
    YES = 2


class Lean(IntEnum):
    """What a condition's holding leads to.

    A condition that loosens has to hold for every value that it is about, one that tightens for
    any.
    """

    LOOSEN = 0
    TIGHTEN = 1

    @property
    def opposite(self) -> "Lean":
        """The lean of an exception inside a rule of this lean."""
        return Lean(1 - self)


def strictest(actions: Iterable[Action], fallback: Action) -> Action:
    """Return the strictest of some actions; the fallback if there is none."""
    found = list(actions)
    return max(found, key=lambda action: STRICTNESS[action]) if found else fallback


def combine(answers: Iterable[Answer], lean: Lean) -> Answer:
    """Return one answer for several values: of all of them to loosen, of any to tighten."""
    found = list(answers)
    if not found:
        return Answer.NO
    return max(found) if lean is Lean.TIGHTEN else min(found)
