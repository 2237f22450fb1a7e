"""Rules with a regular expression about the same argument, ruled out together in one match."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import re2

from host.policy.facts import Facts
from host.policy.fold import plain
from host.policy.rule import Rule

FEWEST = 8
"""Rules below which each is asked by itself."""
MEMORY = 1 << 24
"""Bytes that the expressions of one screen may take together."""

_re2: Any = re2


class Screen:
    """Says which of many rules may be about a call, by one argument that all of them ask about.

    It never rules out a rule whose own answer would be anything but no.

    Args:
        pointer: Where the argument is.
        rules: Rules that ask for a match there.
        matched: The expressions as one set; its last one matches every text, and so shows that the
            set was not given up for lack of memory, which RE2 reports as no match.
    """

    def __init__(self, pointer: str, rules: Sequence[Rule], matched: Any) -> None:  # noqa: ANN401 - no types
        self.pointer = pointer
        self.rules = tuple(rules)
        self._matched = matched

    def possible(self, facts: Facts) -> Sequence[Rule]:
        """Return the rules that may be about a call."""
        found = facts.values[self.pointer]
        if found.lookalike is not None or len(found.values) > 1:
            return self.rules
        if not found.values:
            return ()
        value = found.values[0].value
        if not isinstance(value, str):
            return self.rules
        try:
            indices: set[int] = set(self._matched.Match(value.encode()))
            if not value.isascii():
                indices.update(self._matched.Match(plain(value).encode()))
        except UnicodeEncodeError:  # half a surrogate pair, about which no rule can tell
            return self.rules
        if len(self.rules) not in indices:
            return self.rules
        return [self.rules[index] for index in indices if index < len(self.rules)]


@dataclass(frozen=True, slots=True)
class Screened:
    """Rules, as they are to be asked.

    Attributes:
        plain: Those to be asked each by itself.
        screens: Those that a screen may rule out.
    """

    plain: tuple[Rule, ...]
    screens: tuple[Screen, ...]


def screen_rules(rules: Iterable[Rule]) -> Screened:
    """Put rules behind screens, as far as that pays."""
    left: list[Rule] = []
    groups: defaultdict[tuple[str, bool], list[Rule]] = defaultdict(list)
    for rule in rules:
        demand = rule.demand
        if demand is None:
            left.append(rule)
        else:
            groups[demand.pointer, demand.whole].append(rule)
    screens: list[Screen] = []
    for (pointer, whole), group in groups.items():
        screen = _build(pointer, group, whole=whole) if len(group) >= FEWEST else None
        if screen is None:
            left.extend(group)
        else:
            screens.append(screen)
    return Screened(tuple(left), tuple(screens))


def _build(pointer: str, rules: Sequence[Rule], *, whole: bool) -> Screen | None:
    options = _re2.Options()
    options.max_mem = MEMORY
    options.log_errors = False
    options.dot_nl = True
    matched = _re2.Set.FullMatchSet(options) if whole else _re2.Set.SearchSet(options)
    try:
        for rule in rules:
            assert rule.demand is not None  # noqa: S101 - only such rules are given
            matched.Add(rule.demand.text)
        matched.Add(".*")
        matched.Compile()
    except _re2.error:
        return None
    return Screen(pointer, rules, matched)
