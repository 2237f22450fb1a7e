"""How often and how much: limits of rules, and the counters that they are held against."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Measure = Literal["calls", "cost", "tokens"]
"""What is counted: calls, money in the models' currency, or tokens."""
Span = Literal["minute", "hour", "day", "session"]
"""Over how long."""
Scope = Literal["everyone", "user", "principal"]
"""For whom together."""

SECONDS: Mapping[Span, float] = {"minute": 60, "hour": 3_600, "day": 86_400}
"""Length of a span; a session has its own."""

STEPS = 60
"""Parts of a span; what is over is forgotten a part at a time, so a count is never too low."""


@dataclass(frozen=True, slots=True)
class CounterKey:
    """One counter.

    Attributes:
        rule: Id of the rule that the limit is in.
        measure: What is counted.
        span: Over how long.
        whose: Whom it counts for: a user, a principal, a session, or everyone.
    """

    rule: str
    measure: Measure
    span: Span
    whose: str


class Counters(Protocol):
    """Keeps what has been used up."""

    def read(self, key: CounterKey) -> float:
        """Return how much was used over the span that ends now."""
        ...

    def add(self, key: CounterKey, amount: float = 1) -> None:
        """Count something that is being done now."""
        ...


class MemoryCounters:
    """Counters of one process, over sliding spans; `entries` and `restore` carry them over.

    Args:
        clock: Seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._parts: dict[CounterKey, dict[int, float]] = {}

    def read(self, key: CounterKey) -> float:
        """Return how much was used over the span that ends now."""
        parts = self._parts.get(key)
        if not parts:
            return 0
        self._forget(key, parts)
        return sum(parts.values())

    def add(self, key: CounterKey, amount: float = 1) -> None:
        """Count something that is being done now."""
        parts = self._parts.setdefault(key, {})
        self._forget(key, parts)
        part = self.part(key)
        parts[part] = parts.get(part, 0) + amount

    def end_session(self, session: str) -> None:
        """Forget what was counted for a session that is over."""
        for key in [key for key in self._parts if key.span == "session" and key.whose == session]:
            del self._parts[key]

    def entries(self) -> list[tuple[CounterKey, int, float]]:
        """Return everything that counts still, to be kept while the process does not run."""
        return [
            (key, part, amount)
            for key, parts in self._parts.items()
            for part, amount in parts.items()
            if part >= self.part(key) - STEPS or key.span == "session"
        ]

    def restore(self, entries: Iterable[tuple[CounterKey, int, float]]) -> None:
        """Take over the entries of an earlier process."""
        for key, part, amount in entries:
            parts = self._parts.setdefault(key, {})
            parts[part] = parts.get(part, 0) + amount

    def part(self, key: CounterKey) -> int:
        """Return the number of the part of a counter's span that it is now."""
        length = SECONDS.get(key.span)
        return 0 if length is None else int(self._clock() * STEPS / length)

    def _forget(self, key: CounterKey, parts: dict[int, float]) -> None:
        if key.span == "session":
            return
        # One part more than the span has, since the oldest is over only in part.
        oldest = self.part(key) - STEPS
        for part in [part for part in parts if part < oldest]:
            del parts[part]


class FixedCounters:
    """Counters that say what they are told, for test cases and explanations.

    Args:
        used: How much was used, by rule; a rule that is absent has used nothing.
    """

    def __init__(self, used: Mapping[str, float] | None = None) -> None:
        self._used = dict(used or {})

    def read(self, key: CounterKey) -> float:
        """Return what was said for the key's rule, by its id or the id's last part."""
        return self._used.get(key.rule, self._used.get(key.rule.rpartition("/")[2], 0))

    def add(self, key: CounterKey, amount: float = 1) -> None:
        """Count for the key's rule."""
        self._used[key.rule] = self.read(key) + amount
