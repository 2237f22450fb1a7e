"""What a run may use, together with all the runs that it starts."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from host.agents.config import AgentLimits
from host.domain.errors import RunLimitError

MAX_DEPTH = 5
"""Runs inside runs; a deeper one is refused."""


@dataclass(slots=True)
class Spent:
    """What was used before a run was taken up."""

    steps: int = 0
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    def add(self, other: "Spent") -> None:
        """Add what somebody else used."""
        self.steps += other.steps
        self.tokens += other.tokens
        self.cost += other.cost
        self.seconds += other.seconds


@dataclass(slots=True)
class Budget:
    """The limits of one run and what it has used; what it uses counts for the runs around it too.

    Attributes:
        outer: The budget of the run that started this one.
        steps: Requests that were answered or are under way, here and in the runs inside.
        kept: US dollars that requests under way may cost, here and in the runs inside.
        sent: Tokens that requests under way have sent, about.
    """

    limits: AgentLimits
    outer: "Budget | None" = None
    steps: int = 0
    tokens: int = 0
    cost: float = 0.0
    kept: float = 0.0
    sent: int = 0
    clock: Callable[[], float] = time.monotonic
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.clock()

    def begin_with(self, spent: Spent) -> None:
        """Count what was used before; the budgets around have counted it themselves."""
        self.steps, self.tokens, self.cost = spent.steps, spent.tokens, spent.cost
        self.started = self.clock() - spent.seconds

    def check(self) -> None:
        """Return if another step may be made.

        Raises:
            RunLimitError: A limit of this run, or of one around it, is reached.
        """
        limits = self.limits
        if self.steps >= limits.steps:
            raise _reached("steps", f"{limits.steps} steps")
        if limits.tokens and self.tokens + self.sent >= limits.tokens:
            under_way = f" and {self.sent:,} in requests under way" if self.sent else ""
            used = f"{self.tokens:,} used{under_way}"
            raise _reached("tokens", f"{limits.tokens:,} tokens, {used}")
        if limits.cost and self.cost >= limits.cost:
            raise _reached("cost", f"${limits.cost:g}, ${self.cost:.4f} used")
        if limits.seconds and self.clock() - self.started >= limits.seconds:
            raise _reached("seconds", f"{limits.seconds:g} seconds")
        if self.outer is not None:
            self.outer.check()

    def use(self, tokens: int, cost: float) -> None:
        """Count what a step has used, here and in all runs around."""
        self.tokens += tokens
        self.cost += cost
        if self.outer is not None:
            self.outer.use(tokens, cost)

    def and_around(self) -> "Iterator[Budget]":
        """Yield this one and those of the runs around it."""
        yield self
        if self.outer is not None:
            yield from self.outer.and_around()

    def check_cost(self, cost: float) -> None:
        """Return if a request that may cost so many dollars fits into this one.

        Raises:
            RunLimitError: It does not.
        """
        limit, kept = self.limits.cost, self.kept
        if limit and self.cost + kept + cost > limit:
            under_way = f" ${kept:.4f} is kept for requests under way," if kept else ""
            raise _reached(
                "cost",
                f"${limit:g}: ${self.cost:.4f} is used,{under_way} and the next request may cost "
                f"${cost:.4f}",
                instead="set a smaller `max_tokens`",
            )

    def seconds_left(self) -> float | None:
        """Return how long the run may still take; None without a limit."""
        own = self.limits.seconds
        left = max(0.0, own - (self.clock() - self.started)) if own else None
        around = self.outer.seconds_left() if self.outer is not None else None
        known = [one for one in (left, around) if one is not None]
        return min(known, default=None)

    def out_of_time(self) -> RunLimitError:
        """Return the error of a run that took too long, by the limit that was the first to end."""
        around, own = self.outer, self.seconds_left()
        if around is not None and around.seconds_left() == own:
            return around.out_of_time()
        return _reached("seconds", f"{self.limits.seconds:g} seconds")


class RunBudget:
    """The budgets of one run: the whole one, and one inside it for each agent that takes over.

    The limits of the agent that was asked hold to the end; those of an agent that the conversation
    is handed over to hold for its part.

    Args:
        agent: Who was asked.
        limits: Its limits.
        outer: The budget of the run that started this one.
    """

    def __init__(self, agent: str, limits: AgentLimits, outer: Budget | None = None) -> None:
        self.now = self._whole = Budget(limits, outer)
        self._parts = {agent: self.now}
        self._spent: dict[str, Spent] = {}

    def begin_with(self, spent: Mapping[str, Spent]) -> None:
        """Count what each agent had used before the run was taken up."""
        self._spent = dict(spent)
        total = Spent()
        for one in spent.values():
            total.add(one)
        self._whole.begin_with(total)

    def hand_over(self, agent: str, limits: AgentLimits) -> None:
        """Let an agent have the conversation, within its own limits besides."""
        if agent not in self._parts:
            part = self._parts[agent] = Budget(limits, self._whole)
            part.begin_with(self._spent.get(agent, Spent()))
        self.now = self._parts[agent]

    @property
    def counted(self) -> bool:
        """Whether this run, or one around it, may use only so many tokens."""
        return any(one.limits.tokens for one in self.now.and_around())

    @contextmanager
    def step(self, tokens: int = 0) -> Generator[None]:
        """Take a step while a request is made; one that is not answered is given back.

        Args:
            tokens: About how many the request sends.

        Raises:
            RunLimitError: A limit of this run, or of one around it, is reached.
        """
        budgets = list(self.now.and_around())
        self.now.check()
        for one in budgets:
            one.steps += 1
            one.sent += tokens
        try:
            yield
        except BaseException:
            for one in budgets:
                one.steps -= 1
            raise
        finally:
            for one in budgets:
                one.sent -= tokens

    @property
    def limited(self) -> bool:
        """Whether this run, or one around it, may cost only so much."""
        return any(one.limits.cost for one in self.now.and_around())

    @contextmanager
    def setting_aside(self, cost: float) -> Generator[None]:
        """Keep what a request may cost, in US dollars, while it is made.

        Raises:
            RunLimitError: A limit of this run, or of one around it, leaves less than that.
        """
        budgets = list(self.now.and_around())
        for one in budgets:
            one.check_cost(cost)
        for one in budgets:
            one.kept += cost
        try:
            yield
        finally:
            for one in budgets:
                one.kept = max(0.0, one.kept - cost)


def _reached(name: str, text: str, *, instead: str = "") -> RunLimitError:
    others = f", {instead}," if instead else ","
    return RunLimitError(
        f"The run reached its limit of {text}.",
        next_step=f"Raise `limits.{name}` in the agent's file{others} or ask for less.",
    )
