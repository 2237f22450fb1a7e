"""Starts runs of agents, keeps them going when their client has left, ends and resumes them."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from host.agents.active import EVENT_META, Active, ending_of, leave_all
from host.agents.budget import MAX_DEPTH, RunBudget
from host.agents.endings import CANCELLED, Endings
from host.agents.library import Agent, AgentLibrary
from host.agents.own_servers import OwnServers
from host.agents.recall import Recaller
from host.agents.shelf import Shelf
from host.approvals.inbox import Inbox
from host.domain.errors import HostError, RunLimitError, RunStateError
from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from host.domain.protocol import object_member
from host.domain.wait import unbroken
from host.events.run import Event, Run, RunStatus, new_run_id, utc_now
from host.events.run_log import RunLog
from host.events.runs import Hub, Runs
from host.events.writer import EventWriter
from host.gateway.exchange import Exchange
from host.gateway.gateway import Gateway
from host.taint.session import SessionTaint

if TYPE_CHECKING:
    from host.agents.cast import Answer, Cast
    from host.agents.order import Order, Outcome
    from host.models.models import Models

log = logging.getLogger(__name__)


class Runner:
    """Runs agents.

    Args:
        library: The agents.
        gateway: Where their tools are called.
        models: Returns the models; it is asked only when a run begins.
        writer: Takes the events.
        runs: Reads them.
        hub: Passes events on inside this process.
        recaller: Reads and writes the long-term memory.
        own_servers: Makes the servers that agents bring along.
        inbox: The approvals.
        hold: Returns for how many seconds a run that waits for an approval is kept in memory.
    """

    def __init__(  # noqa: PLR0913 - it is wired once, by name
        self,
        library: AgentLibrary,
        gateway: Gateway,
        *,
        models: "Callable[[], Models]",
        writer: EventWriter,
        runs: Runs,
        hub: Hub,
        recaller: Recaller,
        own_servers: OwnServers,
        inbox: Inbox,
        hold: Callable[[], float],
    ) -> None:
        self.library = library
        self.runs = runs
        self.hub = hub
        self._gateway = gateway
        self._models = models
        self._writer = writer
        self._recaller = recaller
        self._own_servers = own_servers
        self._inbox = inbox
        self.active: dict[str, Active] = {}
        self.shelf = Shelf(self, inbox, hold)
        self.endings = Endings(runs, writer, inbox, gateway.gate, self.active, self.shelf)

    async def start(self, exchange: Exchange, order: "Order") -> Active:
        """Begin a run, which goes on until it ends by itself or is cancelled.

        Raises:
            NotFoundError: There is no such agent, conversation or model.
            ConfigError: The agent's file, or the schema or model that was asked for, is wrong.
            RunLimitError: Too many runs are around it.
        """
        from host.agents.beginning import write_start  # noqa: PLC0415 - see `_run`

        agent = self.library.get(order.agent)
        self._check(order)
        outer = self.active.get(exchange.parent or "")
        depth = outer.run.depth + 1 if outer is not None else exchange.depth
        if depth > MAX_DEPTH:
            raise RunLimitError(
                f"The agent {agent.name} was not started: {depth} runs are around it already, and "
                f"at most {MAX_DEPTH} may be.",
                next_step="Let the agents inside do their work themselves.",
            )
        principal = exchange.session.principal
        history: list[str] = []
        if order.thread:
            earlier = await self.runs.conversation(principal, order.thread)
            order = replace(order, thread=earlier[-1].thread)
            history = [run.id for run in earlier]
        run = self._new_run(agent, exchange, order, outer=outer, depth=depth)
        taint = self._gateway.gate.begin_run(exchange, run.id)
        active = self._activate(
            self._writer.begin(run), exchange, order, agent, outer=outer, taint=taint
        )
        active.history = history
        active.begun = write_start(active)  # stored together with the run, or not at all
        active.task = asyncio.create_task(self._run(active, agent), name=f"run-{run.id}")
        return active

    async def resume(self, exchange: Exchange, run_id: str, *, parked: bool = False) -> Active:
        """Take up a run that was interrupted, failed or cancelled, where its events end.

        Args:
            exchange: Who takes it up.
            run_id: The run.
            parked: Whether it is one that waits for an approval and was let go, or whose host is
                gone; of runs inside others, whether it may be.

        Raises:
            NotFoundError: There is no such run, or its agent is gone.
            RunStateError: It goes on, or ended well, or nothing is known of it.
        """
        run = await self.runs.get(exchange.session.principal, run_id)
        async with self.endings.turns.of(run.id):
            return await self._resume(exchange, run.id, parked=parked)

    async def _resume(self, exchange: Exchange, run_id: str, *, parked: bool) -> Active:
        from host.agents.earlier import (  # noqa: PLC0415 - see `_run`
            agents_of,
            history_of,
            order_again,
            runs_inside,
            spent_by,
        )

        principal = exchange.session.principal
        run = await self.runs.get(principal, run_id)
        outer = self.active.get(exchange.parent or "")
        if run.id in self.active:
            raise RunStateError(f"The run {run.id} is going on.")
        if parked and run.parent is None and run.status != "parked":
            raise RunStateError(f"The run {run.id} does not wait any more: it is {run.status}.")
        if run.parent is not None and (outer is None or outer.run.id != run.parent):
            # On its own it would be free of the policies and limits of those around it.
            raise RunStateError(
                f"The run {run.id} is part of the run {run.parent}.",
                next_step=f"`host runs resume {run.root}`.",
            )
        agent = self.library.get(run.name)
        stored = await self.runs.events(principal, run.id)
        if not stored:
            raise RunStateError(f"Nothing is stored of what the run {run.id} was asked.")
        for name in agents_of(stored):
            self.library.get(name)  # before it is claimed: whose policy holds has to be there
        taint = self._gateway.gate.begin_run(exchange, run.id)
        holder = await self._writer.hold()
        run = await self.runs.claim(principal, run, holder=holder, force=parked)
        events = await self.runs.events(principal, run.id)
        family = await self.runs.family(principal, run.root)
        run_log = self._writer.open(run, last=events[-1].seq if events else 0)
        order = order_again(run, events)
        active = self._activate(run_log, exchange, order, agent, outer=outer, taint=taint)
        active.budget.begin_with(spent_by(events, runs_inside(family, run.id)))
        for name in agents_of(events):
            active.keep_to(self.library.get(name).policy)
        active.history = history_of(events)
        active.task = asyncio.create_task(self._run(active, agent, events), name=f"run-{run.id}")
        return active

    async def cancel(self, principal: Principal, run_id: str) -> Run:
        """End a run, and those that it started.

        Raises:
            NotFoundError: There is no such run.
            RunStateError: It does not go on here.
        """
        return await self.endings.cancel(principal, run_id)

    async def close(self) -> None:
        """Stop every run; each can be resumed later."""
        self.shelf.close()
        await leave_all(list(self.active.values()))

    def _check(self, order: "Order") -> None:
        """Return if what was asked for besides the agent can be had: a wrong order is no run."""
        if order.model:
            self._models().check_name(order.model)
        if order.schema:
            from host.models.output import output_validator  # noqa: PLC0415 - see `_run`

            output_validator(order.schema)

    def _new_run(
        self, agent: Agent, exchange: Exchange, order: "Order", *, outer: Active | None, depth: int
    ) -> Run:
        from host.agents.transcript import title_of  # noqa: PLC0415 - see `_run`

        principal = exchange.session.principal
        run_id = new_run_id()
        now = utc_now()
        return Run(
            id=run_id,
            user_id=principal.user,
            client=principal.client,
            name=agent.name,
            model=order.model or agent.config.model,
            title=title_of(order.content),
            parent=outer.run.id if outer is not None else None,
            root=outer.run.root if outer is not None else run_id,
            thread=order.thread or run_id,
            depth=depth,
            definition=agent.digest,
            started=now,
            heartbeat=now,
        )

    def _activate(
        self,
        run_log: RunLog,
        exchange: Exchange,
        order: "Order",
        agent: Agent,
        *,
        outer: Active | None,
        taint: SessionTaint,
    ) -> Active:
        around = outer.budget.now if outer is not None else None
        budget = RunBudget(agent.name, agent.config.limits, around)
        active = Active(
            run_log.run, run_log, exchange, order, budget, taint, outer, agent=agent.name
        )
        self.active[run_log.run.id] = active
        self.shelf.forget(run_log.run.id)
        return active

    async def _run(
        self, active: Active, agent: Agent, events: Sequence[Event] | None = None
    ) -> "Outcome":
        """Run an agent to its end, whatever that is; nothing that happened stays unwritten."""
        # Messages are pydantic-ai's, which takes a second to import: only who runs agents pays.
        from host.agents.beginning import conversation_of  # noqa: PLC0415
        from host.agents.loop import Loop  # noqa: PLC0415

        active.begun = None
        run_log = active.log
        status: RunStatus = "failed"
        answer: Answer | None = None
        error: str | None = None
        try:
            transcript = await conversation_of(
                active, agent, events, runs=self.runs, recaller=self._recaller, inbox=self._inbox
            )
            tools = self._tools(active)
            loop = Loop(
                run_log,
                transcript,
                tools=tools,
                budget=active.budget,
                cast=lambda name: self._cast(
                    active, agent if name == agent.name else self.library.get(name), tools
                ),
                heard=lambda text: self._heard(active, text),
            )
            answer = await loop.run()
            status = "succeeded"
            await self._recaller.keep(
                active.exchange.session.principal, agent, active.order.content, answer.text
            )
        except asyncio.CancelledError:
            if run_log.leaving:
                return await self._leave(active, parked=run_log.status == "parked")
            status, error = "cancelled", CANCELLED
        except HostError as failure:
            error = str(failure)
        except Exception as failure:  # the worker's boundary: a run's fault must not stay unwritten
            log.exception("the run %s failed", active.run.id)
            error = f"The host failed: {type(failure).__name__}. See its log."
        try:  # before anybody gets the answer, which may pass on what the run has read
            self._gateway.gate.end_run(active.exchange, active.taint)
        except HostError as failure:
            answer, status, error = None, "failed", str(failure)
        if events and not run_log.stale:
            with suppress(asyncio.CancelledError):  # it is ending as it is
                ends = self.endings.clear(active.run, events, cancelled=status == "cancelled")
                await unbroken(ends)
        await self._finish(active, status, error, answer)
        return ending_of(active, status, error, answer)

    async def _leave(self, active: Active, *, parked: bool) -> "Outcome":
        """Leave a run as it is; one that waits for an approval stays parked.

        What it has met is kept under its name until somebody takes it up.
        """
        self.active.pop(active.run.id, None)
        await self._writer.leave(active.log)
        text = f"The run was left; `host runs resume {active.run.id}` takes it up."
        return ending_of(active, "parked" if parked else "interrupted", text, None)

    async def _finish(
        self, active: Active, status: RunStatus, error: str | None, answer: "Answer | None"
    ) -> None:
        data = {
            "text": answer.text if answer else "",
            "output": answer.value if answer else None,
            "agent": active.agent,
        }
        try:
            active.log.finish(status, data, error=error)
            await active.log.settle()
        except (HostError, asyncio.CancelledError) as failure:
            log.warning("the end of the run %s is not stored yet: %s", active.run.id, failure)
            active.log.notes.append(f"The end of this run is not stored yet: {failure}")
        self.active.pop(active.run.id, None)
        self._writer.release(active.log)

    def _tools(self, active: Active) -> Any:  # noqa: ANN401 - see `_run`
        from host.agents.gateway_tools import Actor, GatewayTools  # noqa: PLC0415
        from host.agents.inside import go_on_inside  # noqa: PLC0415 - a circle

        return GatewayTools(
            self._gateway,
            active.exchange,
            active.log,
            actor=lambda: active.actor or Actor(active.agent),
            taint=active.taint,
            go_on=partial(go_on_inside, self),
            withdraw=partial(self.endings.withdraw, active.run),
            on_progress=lambda params: self._hear_inside(active, params),
        )

    async def _cast(self, active: Active, agent: Agent, tools: Any) -> "Cast":  # noqa: ANN401
        from host.agents.casting import cast_agent  # noqa: PLC0415 - see `_run`
        from host.agents.gateway_tools import Actor  # noqa: PLC0415

        active.agent = agent.name
        active.keep_to(agent.policy)  # besides those of whoever handed the conversation over
        active.actor = Actor(agent.name, active.policies, self._own_servers.of(agent))
        return await cast_agent(active, agent, self._models(), tools)

    def _hear_inside(self, active: Active, params: Json) -> None:
        """Pass on what happens in a run inside a run to whoever listens to the outer one."""
        told = object_member(object_member(params, "_meta"), EVENT_META)
        if told:
            event = Event(
                told["run"], told["seq"], told["kind"], utc_now(), object_member(told, "data")
            )
            self.hub.pass_on(active.run.id, event)

    def _heard(self, active: Active, text: str) -> None:
        self.hub.publish(Event(active.run.id, 0, "delta", utc_now(), {"text": text}))
