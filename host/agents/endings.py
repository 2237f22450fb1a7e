"""Ends runs before their time, and takes back what runs had asked for."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

from host.agents.active import Active
from host.agents.shelf import Shelf
from host.approvals.inbox import Inbox
from host.domain.errors import RunStateError
from host.domain.principal import Principal
from host.domain.wait import Turns, unbroken
from host.events.run import Event, Run, RunStatus
from host.events.runs import Runs
from host.events.writer import EventWriter
from host.gateway.exchange import QuietExchange, QuietSession
from host.gateway.gate import Gate

log = logging.getLogger(__name__)

CANCELLED = "The run was cancelled."
IDLE = ("parked", "interrupted")
"""States of a run that has not ended and that, unless it is active here, nobody works on."""


class Endings:
    """Ends runs, also such as nobody works on.

    Args:
        runs: Reads runs.
        writer: Takes their last events.
        inbox: The approvals.
        gate: Forgets what they have met.
        active: The runs that go on here.
        shelf: Those that were let go here.
    """

    def __init__(
        self,
        runs: Runs,
        writer: EventWriter,
        inbox: Inbox,
        gate: Gate,
        active: Mapping[str, Active],
        shelf: Shelf,
    ) -> None:
        self._runs, self._writer = runs, writer
        self._inbox, self._gate = inbox, gate
        self._active, self._shelf = active, shelf
        self.turns = Turns()
        """Of those who take up or end a run that nobody works on, by its id."""

    async def cancel(self, principal: Principal, run_id: str) -> Run:
        """End a run, and those inside it; one that nobody works on is not gone on with for that.

        Raises:
            NotFoundError: There is no such run.
            RunStateError: It ended, goes on elsewhere, or is part of one that is to be cancelled.
        """
        run = await self._runs.get(principal, run_id)
        ended_before = run.ended is not None
        while True:
            async with self.turns.of(run.id):  # somebody may just be taking it up
                run = await self._runs.get(principal, run.id)
                active = self._active.get(run.id)
                if active is None and run.parent is None and run.status in IDLE:
                    await unbroken(self._cancel_idle(principal, run))
                    return await self._runs.get(principal, run.id)
            if run.status == "cancelled" and not ended_before:
                return run  # somebody else was faster
            if active is None or active.task is None or active.task.done():
                raise _not_going_on(run)
            if not active.log.leaving:
                active.cancel()
            await asyncio.wait([active.task])
            run = await self._runs.get(principal, run.id)
            if run.status not in IDLE:  # else it was just being let go
                return run

    async def _cancel_idle(self, principal: Principal, run: Run) -> None:
        """Cancel a run that nobody works on, and those inside it; none goes on.

        Where that fails half-way the run counts as interrupted, and can be cancelled again.
        """
        async with self._ending(principal, run, CANCELLED, status="cancelled", force=False):
            self._shelf.forget(run.id)
            await self._end_inside(principal, run)
        self._forget(run)

    def _forget(self, run: Run) -> None:
        """Have its client have met what a run has met that nobody works on, and gets no result."""
        session = QuietSession(Principal(run.user_id, run.client), "agent")
        exchange = QuietExchange(session, None)
        self._gate.end_run(exchange, self._gate.begin_run(exchange, run.id))

    async def _end_inside(self, principal: Principal, run: Run) -> None:
        """End the runs inside one that ends which do not go on here."""
        from host.agents.earlier import runs_inside  # noqa: PLC0415 - pydantic-ai loads slowly

        inside_here = [one for one in self._active.values() if one.is_inside(run.id)]
        left = [one.task for one in inside_here if one.task is not None and one.log.leaving]
        if left:
            await asyncio.wait(left)
        ending = set(self._active)  # by themselves
        inside = runs_inside(await self._runs.family(principal, run.root), run.id)
        for one in inside:
            if one.status in ("running", *IDLE) and one.id not in ending:
                await self.end(principal, one, CANCELLED, status="cancelled")
                self._forget(one)

    async def clear(self, run: Run, events: Sequence[Event], *, cancelled: bool) -> None:
        """Take back what a run that was taken up had asked for before that.

        If it is cancelled, runs inside it end that wait still, because it never came to them again.
        """
        await self.take_back(run, events)
        if not cancelled:
            return
        try:
            await self._end_inside(Principal(run.user_id, run.client), run)
        except Exception as failure:  # noqa: BLE001 - nothing may keep a run from ending
            log.warning("runs inside the run %s are not ended: %s", run.id, failure)

    async def end(
        self, principal: Principal, run: Run, error: str, *, status: RunStatus = "failed"
    ) -> None:
        """End a run inside another that does not go on here, and take back what it asked."""

        async def to_the_end() -> None:
            async with self._ending(principal, run, error, status=status, force=True):
                pass

        await unbroken(to_the_end())

    @asynccontextmanager
    async def _ending(
        self, principal: Principal, run: Run, error: str, *, status: RunStatus, force: bool
    ) -> AsyncGenerator[None]:
        """Claim a run, take back what it asked, and write its end after what else ends with it.

        Raises:
            RunStateError: Somebody works on it.
        """
        holder = await self._writer.hold()
        run = await self._runs.claim(principal, run, holder=holder, force=force)
        run_log = self._writer.open(run, last=0)
        try:
            events = await self._runs.events(principal, run.id)
            run_log.last = events[-1].seq if events else 0
            await self.take_back(run, events)
            yield
        except BaseException:
            await self._writer.leave(run_log)
            raise
        run_log.finish(status, {"text": "", "output": None, "agent": run.name}, error=error)
        try:
            await run_log.settle()
        finally:
            self._writer.release(run_log)

    async def withdraw(self, run: Run, approval: str) -> None:
        """Withdraw an approval, unless a run that is not around or inside this one waits for it."""
        others = [one for one in self._active.values() if one.run.root != run.root]
        waits = any(approval in one.log.waits_for.values() for one in others)
        if not waits and not self._shelf.waits(approval, besides=run.root):
            await self._inbox.withdraw(approval, reason="The run that asked has ended.")

    async def take_back(self, run: Run, events: Sequence[Event]) -> None:
        """Withdraw what a run had asked for before it was taken up, where it never came to it."""
        from host.agents.earlier import asked_by  # noqa: PLC0415 - pydantic-ai loads slowly

        for approval in asked_by(events):
            try:
                await self.withdraw(run, approval)
            except Exception as failure:  # noqa: BLE001 - nothing may keep a run from ending
                log.warning("%s stays asked for until it expires: %s", approval, failure)


def _not_going_on(run: Run) -> RunStateError:
    if run.parent is not None and run.status in IDLE:
        return RunStateError(
            f"The run {run.id} waits as a part of the run {run.root}.",
            next_step=f"`host runs cancel {run.root}` ends both.",
        )
    return RunStateError(
        f"The run {run.id} is not going on here: it is {run.status}.",
        next_step=f"`host runs show {run.id}`.",
    )
