"""What a run may use, together with all the runs that it starts."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from host.agents.config import AgentLimits
from host.domain.errors import RunLimitError

MAX_DEPTH = 5
"""Runs inside runs; a deeper one is refused."""


@dataclass(slots=True)
class Budget:
    """The limits of one run and what it has used; what it uses counts for the runs around it too.

    Attributes:
        outer: The budget of the run that started this one.
    """

    limits: AgentLimits
    outer: "Budget | None" = None
    steps: int = 0
    tokens: int = 0
    cost: float = 0.0
    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def check(self) -> None:
        """Return if another step may be made.

        Raises:
            RunLimitError: A limit of this run, or of one around it, is reached.
        """
        limits = self.limits
        if self.steps >= limits.steps:
            raise _reached("steps", f"{limits.steps} steps")
        if limits.tokens and self.tokens >= limits.tokens:
            raise _reached("tokens", f"{limits.tokens:,} tokens, {self.tokens:,} used")
        if limits.cost and self.cost >= limits.cost:
            raise _reached("cost", f"${limits.cost:g}, ${self.cost:.4f} used")
        if limits.seconds and self.clock() - self.started >= limits.seconds:
            raise out_of_time(limits.seconds)
        if self.outer is not None:
            self.outer.check()

    def use(self, tokens: int, cost: float) -> None:
        """Count one step, here and in all runs around."""
        self.steps += 1
        self.tokens += tokens
        self.cost += cost
        if self.outer is not None:
            self.outer.use(tokens, cost)

    def seconds_left(self) -> float | None:
        """Return how long the run may still take; None without a limit."""
        own = self.limits.seconds
        left = max(0.0, own - (self.clock() - self.started)) if own else None
        around = self.outer.seconds_left() if self.outer is not None else None
        known = [one for one in (left, around) if one is not None]
        return min(known, default=None)


def _reached(name: str, text: str) -> RunLimitError:
    return RunLimitError(
        f"The run reached its limit of {text}.",
        next_step=f"Raise `limits.{name}` in the agent's file, or ask for less.",
    )


def out_of_time(seconds: float) -> RunLimitError:
    """Return the error of a run that took too long."""
    return _reached("seconds", f"{seconds:g} seconds")
