"""One thing that a rule asks about a call."""

from collections.abc import Callable
from dataclasses import dataclass

from host.policy.answer import Answer
from host.policy.facts import Facts


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition.

    Attributes:
        what: What it asks, for explanations.
        check: Asks it.
        shown: What was found, for explanations; None where that needs no words.
        lasting: Whether its answer to the same caller about the same tool stays the same, whatever
            the arguments and the time.
    """

    what: str
    check: Callable[[Facts], Answer]
    shown: Callable[[Facts], str] | None = None
    lasting: bool = False


def truth(
    what: str,
    test: Callable[[Facts], bool],
    shown: Callable[[Facts], str],
    *,
    lasting: bool = True,
) -> Condition:
    """Return a condition that always knows its answer."""
    return Condition(what, lambda facts: _YES if test(facts) else _NO, shown, lasting)


_YES, _NO = Answer.YES, Answer.NO  # an attribute of an enumeration takes longer than the test
