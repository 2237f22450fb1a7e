"""Waits for the end of a run, but not for ever where it waits for somebody who is not there."""

import asyncio
from typing import TYPE_CHECKING

from host.agents.active import Active, ending_of
from host.approvals.elicitation import shown_by
from host.events.run import Event
from host.gateway.exchange import Exchange

if TYPE_CHECKING:
    from host.agents.order import Outcome


def cannot_answer(exchange: Exchange) -> bool:
    """Whether nobody at a client can answer an approval, so that waiting there may be in vain.

    A call inside a run waits with the run; a terminal is told on the spot.
    """
    if exchange.depth or exchange.face == "cli":
        return False
    shows = shown_by(exchange.capabilities, exchange.session.principal)
    return not (shows.forms or shows.pages)


class ParkedWait:
    """The wait of one client for one run.

    Args:
        active: The run.
        patience: Seconds that it may be parked before the client is told so; None: as long as it
            takes.
    """

    def __init__(self, active: Active, patience: float | None) -> None:
        self._active = active
        self._patience = patience
        self._approval = ""
        self._parked = asyncio.Event()

    def hear(self, event: Event) -> None:
        """Take an event of the run or of one inside it."""
        if event.run_id != self._active.run.id or event.kind == "delta":
            return
        self._approval = str(event.data["approval"]) if event.kind == "approval" else ""
        if self._approval:
            self._parked.set()
        else:
            self._parked.clear()

    async def outcome(self) -> "Outcome":
        """Return how the run ended, or that it waits and goes on without its client."""
        if self._patience is None:
            return await self._active.wait()
        run = self._active.task
        assert run is not None  # noqa: S101 - set before anybody gets to see the run
        while not run.done():
            parked = asyncio.create_task(self._parked.wait())
            try:
                await asyncio.wait([run, parked], return_when=asyncio.FIRST_COMPLETED)
            finally:
                parked.cancel()
            approval = self._approval
            if approval and not run.done():
                await asyncio.wait([run], timeout=self._patience)
                if self._approval == approval and not run.done():
                    return self._waiting(approval)
        return run.result()

    def _waiting(self, approval: str) -> "Outcome":
        run = self._active.run.id
        text = (
            f"The run {run} waits for an approval, {approval}, which nobody can give here. A "
            f"person has to answer it in a terminal, with `host approvals approve {approval}` or "
            f"`host approvals deny {approval}`; the run then goes on by itself, and "
            f"orchestrator__follow_run with run={run!r} tells how it ends. Do not ask again."
        )
        return ending_of(self._active, "parked", text, None)
