"""A run that goes on in this process, and how it ends."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from host.agents.budget import RunBudget
from host.domain.wait import outcome_of
from host.events.run import Event, Run, RunStatus
from host.events.run_log import RunLog
from host.gateway.exchange import CANCELLED_BY_CLIENT, Exchange
from host.taint.session import SessionTaint

if TYPE_CHECKING:
    from host.agents.cast import Answer
    from host.agents.gateway_tools import Actor
    from host.agents.order import Order, Outcome

EVENT_META = "mcp-agent-host/event"
"""Member of a progress notification's `_meta` that holds the event as it happened; `inside` in it
names the run around it, where it happened in a run inside the one that was asked for."""


@dataclass(slots=True)
class Active:
    """A run that goes on in this process.

    Attributes:
        exchange: The request that it serves, even if that was answered meanwhile.
        order: What was asked.
        taint: What the run has met.
        policies: Those of all agents that have had the conversation; they hold for its next ones.
        waiting: How many wait for its end.
        begun: Its first event, until it begins to work: who listens from its start has missed it.
        given_up: Whether it was cancelled, and ends; it is not left as it stands any more.
    """

    run: Run
    log: RunLog
    exchange: Exchange
    order: "Order"
    budget: RunBudget
    taint: SessionTaint
    outer: "Active | None" = None
    task: "asyncio.Task[Outcome] | None" = None
    agent: str = ""
    actor: "Actor | None" = None
    history: Sequence[str] = field(default_factory=tuple)
    policies: tuple[Path, ...] = ()
    waiting: int = 0
    begun: Event | None = None
    given_up: bool = False

    def cancel(self) -> None:
        """Have it end as cancelled, unless it is being left already."""
        self.given_up = True
        if self.task is not None:
            self.task.cancel(CANCELLED_BY_CLIENT)

    def is_inside(self, run_id: str) -> bool:
        """Whether a run has started it, directly or not."""
        outer = self.outer
        return outer is not None and (outer.run.id == run_id or outer.is_inside(run_id))

    def keep_to(self, policy: Path | None) -> None:
        """Have the rest of the run keep to an agent's policy."""
        if policy is not None and policy not in self.policies:
            self.policies = (*self.policies, policy)

    async def wait(self) -> "Outcome":
        """Return how it ended; the run goes on if whoever waits is cancelled."""
        assert self.task is not None  # noqa: S101 - set before anybody gets to see this
        with self.awaited():
            return await outcome_of(self.task)

    @contextmanager
    def awaited(self) -> Generator[None]:
        """Keep it from being let go meanwhile."""
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1


async def leave_all(runs: Sequence[Active]) -> None:
    """Stop runs, so that they can be taken up later, and wait until they have stopped."""
    tasks: list[asyncio.Task[Outcome]] = []
    for active in runs:
        if active.task is not None:
            active.log.leaving |= not active.given_up
            active.task.cancel()
            tasks.append(active.task)
    if tasks:
        await asyncio.wait(tasks)


def ending_of(
    active: Active, status: RunStatus, error: str | None, answer: "Answer | None"
) -> "Outcome":
    """Return how a run ended, with what it used."""
    from host.agents.order import Outcome  # noqa: PLC0415 - pydantic-ai loads slowly

    run = active.run.ended_with(status, active.log.usage, error=error)
    return Outcome(
        run=run,
        status=status,
        agent=answer.agent if answer else active.agent,
        text=answer.text if answer else "",
        value=answer.value if answer else None,
        files=answer.files if answer else (),
        error=error,
        chosen=active.order.chosen,
        notes=tuple(active.log.notes),
    )
