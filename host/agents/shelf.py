"""Lets runs go that wait for a person, and takes them up again once the person has answered."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from host.agents.active import Active, leave_all
from host.approvals.inbox import Inbox
from host.domain.errors import HostError, RunStateError, StoreError
from host.domain.principal import Principal
from host.events.run import Run
from host.events.writer import WRITER
from host.gateway.exchange import QuietExchange, QuietSession

if TYPE_CHECKING:
    from host.agents.runner import Runner

log = logging.getLogger(__name__)

NONE: frozenset[str] = frozenset()
LOOK_AGAIN = 15.0
"""Seconds between two looks at approvals that another process may have answered."""


@dataclass(frozen=True, slots=True)
class Shelved:
    """A run that was let go.

    Attributes:
        principal: For whom it goes on.
        epoch: As it was let go; with another one somebody else has it.
        approvals: What it and the runs inside it wait for; None where it is taken up whatever that
            is, as soon as that can be.
        grants: Those of its user that held when it was let go; a later one may cover its call.
    """

    principal: Principal
    epoch: int
    approvals: frozenset[str] | None
    grants: frozenset[str]

    def waits_for(self, approval: str) -> bool:
        """Whether it is known to wait for an approval."""
        return self.approvals is not None and approval in self.approvals

    def is_due(self, waiting: frozenset[str], grants: frozenset[str]) -> bool:
        """Whether it can go on, as far as approvals that wait and its user's grants tell."""
        return self.approvals is None or not (self.approvals <= waiting and grants <= self.grants)


class Shelf:
    """The runs of one process that wait for approvals and hold nothing but a line here.

    A run that has waited for a while, and whose end nobody waits for, is stopped with the runs
    inside it; its record says that it is parked. It goes on from there, as after a restart of the
    host, when one of its approvals is answered, has expired or is withdrawn, or when its user is
    given a grant, which may cover its call; where it does not, the run waits again.

    Args:
        runner: Runs them.
        inbox: The approvals.
        hold: Returns for how many seconds a run is kept that waits.
    """

    def __init__(self, runner: "Runner", inbox: Inbox, hold: Callable[[], float]) -> None:
        self._runner = runner
        self._inbox = inbox
        self._hold = hold
        self._runs: dict[str, Shelved] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.told: set[str] = set()
        """Runs of which the log has why they cannot go on although they were answered."""
        self._watch: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._runs)

    def waits(self, approval: str, *, besides: str) -> bool:
        """Whether a run waits for an approval, besides one and those inside it."""
        return any(one.waits_for(approval) for run, one in self._runs.items() if run != besides)

    def expect(self, run_id: str) -> None:
        """Take it that a run waits now, so that it is looked at when it has waited for a while."""
        active = self._runner.active.get(run_id)
        if active is not None and active.run.root not in self._timers:
            self._look_later(active.run.root)

    async def put(self, run: Run) -> Active | None:
        """Take up a run that another host left waiting, or keep it here until that can be done."""
        principal = Principal(run.user_id, run.client)
        self._runs[run.id] = Shelved(principal, run.epoch, approvals=None, grants=NONE)
        active = await self._take_up(run.id)
        if self._runs:
            self._see_to_it()
        return active

    def forget(self, run_id: str) -> None:
        """Take it that somebody has taken up a run."""
        self._runs.pop(run_id, None)
        self.told.discard(run_id)

    def close(self) -> None:
        """Let everything be as it is; the next host takes up what waits."""
        for timer in self._timers.values():
            timer.cancel()
        for task in (*self._tasks, self._watch):
            if task is not None:
                task.cancel()

    def _look_later(self, root: str) -> None:
        loop = asyncio.get_running_loop()
        self._timers[root] = loop.call_later(self._hold(), self._look, root)

    def _look(self, root: str) -> None:
        """Let a run go if it still waits and nobody needs it; look again later if it waits."""
        self._timers.pop(root, None)
        family = [one for one in self._runner.active.values() if one.run.root == root]
        if not any(one.log.status == "parked" for one in family):
            return
        task = asyncio.create_task(self._let_go(root, family))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _let_go(self, root: str, family: list[Active]) -> None:
        outermost = next((one for one in family if one.run.id == root), None)
        approvals = frozenset(name for one in family for name in one.log.waits_for.values())
        grants: dict[str, frozenset[str]] = {}
        try:
            grants = await self._grants()
            waits = approvals <= await self._inbox.pending(approvals)
        except HostError as error:
            log.warning("runs that wait are not let go: %s", error)
            waits = False
        still = waits and all(self._may_go(one) for one in family)
        if outermost is None or outermost.waiting or outermost.exchange.depth or not still:
            self._look_later(root)
            return
        principal = outermost.exchange.session.principal
        known = grants.get(principal.user, NONE)
        self._runs[root] = Shelved(principal, outermost.run.epoch, approvals, known)
        await leave_all(family)
        log.info("the run %s waits for an approval and was let go until it is answered", root)
        self._see_to_it()

    def _may_go(self, active: Active) -> bool:
        """Whether a run only waits; one whose time is limited is kept, so that its time ends it."""
        waits = active.log.status == "parked" and self._runner.active.get(active.run.id) is active
        return waits and not active.given_up and active.budget.now.seconds_left() is None

    def _see_to_it(self) -> None:
        if self._watch is None:
            self._watch = asyncio.create_task(self._watch_answers())

    async def _watch_answers(self) -> None:
        """Take up what was answered, until nothing is left."""
        while self._runs:
            seen = self._inbox.version
            looked_at = dict(self._runs)  # those that come meanwhile are looked at next time
            known = frozenset(name for one in looked_at.values() for name in one.approvals or ())
            grants: dict[str, frozenset[str]] = {}
            try:
                waiting = await self._inbox.pending(known)
                grants = await self._grants()
            except HostError as error:
                log.warning("answers to runs that wait are looked for again: %s", error)
                waiting = known
            for run_id, one in looked_at.items():
                due = one.is_due(waiting, grants.get(one.principal.user, NONE))
                if due and self._runs.get(run_id) is one:
                    await self._take_up(run_id)
            if self._runs:
                await self._inbox.changed(seen, limit=LOOK_AGAIN)
        self._watch = None

    async def _grants(self) -> dict[str, frozenset[str]]:
        """Return the grants that hold, by user."""
        found: dict[str, frozenset[str]] = {}
        for grant in await self._inbox.grants():
            found[grant.user] = found.get(grant.user, NONE) | {grant.id}
        return found

    async def _take_up(self, run_id: str) -> Active | None:
        one = self._runs.pop(run_id, None)
        if one is None:
            return None
        try:
            known = await self._runner.runs.get(WRITER, run_id)
            if known.status != "parked" or known.epoch != one.epoch:
                return None  # another host has it
            exchange = QuietExchange(QuietSession(one.principal, "agent"), None)
            return await self._runner.resume(exchange, run_id, parked=True)
        except StoreError as error:
            log.warning("the run %s is taken up later: %s", run_id, error)
            self._runs[run_id] = one
        except RunStateError as error:  # somebody else has it, or has ended it
            log.info("the run %s is not taken up: %s", run_id, error)
        except HostError as error:  # its agent's file is wrong, and may be mended
            if run_id not in self.told:
                log.warning("the run %s stays parked until it can go on: %s", run_id, error)
            self.told.add(run_id)
            self._runs[run_id] = one
        return None
