"""Ends runs that nobody works on, and takes back what runs had asked for."""

import logging
from collections.abc import Mapping, Sequence

from host.agents.active import Active
from host.agents.shelf import Shelf
from host.approvals.inbox import Inbox
from host.domain.principal import Principal
from host.events.run import Event, Run, RunStatus
from host.events.runs import Runs
from host.events.writer import EventWriter
from host.gateway.exchange import QuietExchange, QuietSession
from host.gateway.gate import Gate

log = logging.getLogger(__name__)

CANCELLED = "The run was cancelled."


class Endings:
    """Ends runs without going on with them.

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

    async def cancel_parked(self, principal: Principal, run: Run) -> None:
        """Cancel a run that nobody works on while it waits, and those inside it; none goes on.

        Raises:
            RunStateError: Somebody works on it.
        """
        await self.end(principal, run, CANCELLED, status="cancelled", force=False)
        self._shelf.forget(run.id)
        for one in await self._runs.family(principal, run.id):
            if one.status in ("running", "parked", "interrupted"):
                await self.end(principal, one, CANCELLED, status="cancelled")
        session = QuietSession(Principal(run.user_id, run.client), "agent")
        exchange, gate = QuietExchange(session, None), self._gate
        gate.end_run(exchange, gate.begin_run(exchange, run.id))  # nobody gets what it has met

    async def end(
        self,
        principal: Principal,
        run: Run,
        error: str,
        *,
        status: RunStatus = "failed",
        force: bool = True,
    ) -> None:
        """End a run that does not go on here, and take back what it asked.

        Raises:
            RunStateError: Somebody works on it.
        """
        holder = await self._writer.hold()
        run = await self._runs.claim(principal, run, holder=holder, force=force)
        events = await self._runs.events(principal, run.id)
        await self.take_back(run, events)
        run_log = self._writer.open(run, last=events[-1].seq if events else 0)
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
