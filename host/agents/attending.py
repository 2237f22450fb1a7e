"""Waits for the end of a run with its client, who is told of all that happens meanwhile."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from host.agents.active import EVENT_META, Active, ending_of
from host.agents.runner import Runner
from host.approvals.elicitation import shown_by
from host.domain.jsonrpc import Json
from host.events.run import Event
from host.gateway.exchange import CANCELLED_BY_CLIENT, Exchange
from host.gateway.tasks import TaskExchange

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
        self._approval = next(reversed(self._active.log.waits_for.values()), "")
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


async def attend(
    runner: Runner, active: Active, exchange: Exchange, *, patience: float | None = None
) -> "Outcome":
    """Return how a run ends, telling the client of everything meanwhile.

    A run goes on when its client is lost; it ends when the client cancels it, and a run inside
    another one when that gives it up.

    Args:
        runner: Who runs it.
        active: The run.
        exchange: The client's request.
        patience: Seconds after which a run that waits for an approval is left waiting; None: never.
    """
    tell = _teller(exchange, active.run.id)
    stop = runner.hub.listen(active.run.id, tell)
    if active.begun is not None:
        tell(active.begun)
    wait = ParkedWait(active, patience)
    unheard = runner.hub.listen(active.run.id, wait.hear)
    try:
        with active.awaited():
            return await wait.outcome()
    except asyncio.CancelledError as error:
        if _is_given_up(active) or CANCELLED_BY_CLIENT in error.args:
            active.cancel()
        raise
    finally:
        stop()
        unheard()


def _is_given_up(active: Active) -> bool:
    """Whether a run answers a call of one around it that goes on without it, or ends."""
    outer = active.outer
    return outer is not None and active.run.parent == outer.run.id and not outer.log.leaving


def _teller(exchange: Exchange, run_id: str) -> Callable[[Event], None]:
    count = 0

    def tell(event: Event) -> None:
        nonlocal count
        if event.kind == "delta" and isinstance(exchange, TaskExchange):
            return  # nobody gets a stream; a piece of text is no status
        count += 1
        message = sentence_of(event)
        inside = {} if event.run_id == run_id else {"inside": run_id}
        meta: Json = {EVENT_META: {**_without_files(event), **inside}}
        params: Json = {"progress": count, "_meta": meta}
        exchange.progress({**params, "message": message} if message else params)

    return tell


def _without_files(event: Event) -> Json:
    """Return an event as JSON, with what its files are in the place of their data."""
    files = event.data.get("files")
    if not files:
        return event.fields()
    told = [{"media_type": one["media_type"], "size": len(one["data"]) * 3 // 4} for one in files]
    return {**event.fields(), "data": {**event.data, "files": told}}


def sentence_of(event: Event) -> str:
    """Return what an event says, for people."""
    data = event.data
    match event.kind:
        case "delta" | "note":
            said = str(data["text"])
        case "call":
            said = f"calls {data['tool']}"
        case "result":
            said = f"{data['tool']} {'failed' if data['error'] else 'answered'}"
        case "inside":
            said = f"is answered by the run {data['run']}"
        case "handoff":
            said = f"hands over to {data['to']}"
        case "approval":
            name = data["approval"]
            said = (
                f"waits for the approval {name}: a person reads it with `host approvals show "
                f"{name}` and answers with `host approvals approve {name}` or `host approvals deny "
                f"{name}`"
            )
        case kind:
            said = kind
    return said
