"""Tools of the gateway for a run: each call goes the path that every client's call goes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from typing_extensions import override

from host.agents.offered import WILD, Missed, await_servers, chosen_from, not_there
from host.agents.tool_result import answer_of
from host.agents.toolbox import Tool, ToolAnswer
from host.domain.errors import (
    ApprovalPendingError,
    NotFoundError,
    RunError,
    RunStateError,
    StoreError,
    UpstreamError,
    UpstreamUnavailableError,
)
from host.domain.jsonrpc import Json, RpcError
from host.domain.wait import unbroken
from host.events.run import EventKind
from host.events.run_log import RunLog
from host.gateway.exchange import Exchange, InnerExchange
from host.gateway.gateway import Gateway
from host.gateway.provider import ToolProvider
from host.taint.session import SessionTaint


@dataclass(frozen=True, slots=True)
class Actor:
    """The agent that makes a call, and what its file brings along.

    Attributes:
        policies: Policies that its calls have to keep to besides: its own, and those of the agents
            that had the conversation before it.
        servers: Its own tool servers.
    """

    name: str
    policies: tuple[Path, ...] = ()
    servers: Mapping[str, ToolProvider] = field(default_factory=dict[str, ToolProvider])


class RunExchange(InnerExchange):
    """A call of a run, which writes down what its outermost client is asked meanwhile."""

    def __init__(  # noqa: PLR0913 - it is made in one place, by name
        self,
        outer: Exchange,
        log: RunLog,
        *,
        actor: Actor,
        call_id: str,
        tool: str,
        seconds: float | None,
        taint: SessionTaint,
        on_progress: Callable[[Json], None],
    ) -> None:
        super().__init__(
            outer, "agent", agent=actor.name, parent=log.run.id, on_progress=on_progress
        )
        self.taint = taint
        self.servers = actor.servers
        self.policies = (*outer.policies, *actor.policies)
        self._log = log
        self._tool_call, self._tool = call_id, tool
        self._seconds = seconds
        self.waits_for = log.waits_for.get(call_id, "")
        """The approval that it waits for now; a call made again may have waited for it before."""
        self._waited = False
        self.over = False
        """Whether the run waits for it no more: it was answered or given up."""
        self.given_up = False
        """Whether what was begun for it may do nothing more."""
        self.clock = asyncio.timeout(None)
        """Ends the call; it stands still while somebody thinks about an approval."""

    @override
    def waits(self, approval: str, *, inside: str | None = None) -> None:
        """Write down that the run is parked: the intent of its call is stored, and nothing done."""
        if self.over:  # what was begun inside it has not ended yet
            return
        if not self.clock.expired():
            self.clock.reschedule(None)
        if approval != self.waits_for:
            self.waits_for = approval
            self._log.park(self._tool_call, approval)
            told = (
                f"{self._tool} waits for an approval: `host approvals approve {approval}` or "
                f"`host approvals deny {approval}`."
            )
            about = {"id": self._tool_call, "approval": approval, "inside": inside, "text": told}
            self._log.add("approval", about)
        self._outer.waits(approval, inside=self._log.run.id)

    @override
    def will_wait(self, error: BaseException) -> bool:
        # A run that is left while it waits is taken up by the next host, or once it is answered.
        return isinstance(error, ApprovalPendingError) or bool(self._log.leaving and self.waits_for)

    @override
    def goes_on(self) -> None:
        if self.over:
            return
        if self.waits_for:
            about = {"id": self._tool_call, "approval": self.waits_for}
            self.waits_for, self._waited = "", True
            self._log.go_on(self._tool_call)
            self._log.add("answer", about)
            self.start_clock()
        self._outer.goes_on()

    @override
    def begins(self, run: str) -> None:
        """Write down which run answers the call, so that it is taken up with this one."""
        self._log.add("inside", {"id": self._tool_call, "run": run})

    def start_clock(self) -> None:
        """Give the call as long as one may take, from now on."""
        if self._seconds is not None:
            self.clock.reschedule(asyncio.get_running_loop().time() + self._seconds)

    @override
    async def confirm(self) -> None:
        """Return if the run is still this process's: while it waited, another may have taken it up.

        Raises:
            StaleRunError: It is not.
            RunStateError: The run has given it up.
            StoreError: That is not known.
        """
        if self.given_up:
            raise RunStateError(f"The run {self._log.run.id} waits for {self._tool} no more.")
        if self._waited:
            await self._log.settle()
            await super().confirm()

    @override
    async def ask(self, method: str, params: Json | None) -> Json:
        about = params or {}
        shown = {"id": self._tool_call, "method": method, "message": about.get("message")}
        self._write("question", shown)
        try:
            answer = await super().ask(method, params)
        except RpcError as error:
            self._write("answer", {**shown, "error": error.message})
            raise
        self._write("answer", {**shown, "action": answer.get("action")})
        return answer

    def _write(self, kind: EventKind, data: Json) -> None:
        """Write down what happens while the run waits for the call."""
        if not self.over:
            self._log.add(kind, data)


class GatewayTools:
    """What a run calls.

    Args:
        gateway: The host's gateway.
        outer: The request that the run serves; calls are made for its principal.
        log: Where questions are written.
        actor: Returns the agent that has the conversation.
        taint: What the run has met.
        go_on: Takes up a run that a call had begun, and returns its result.
        withdraw: Takes back an approval that nobody should be asked for any more.
        on_progress: Takes the progress of calls.
    """

    def __init__(  # noqa: PLR0913 - it is made in one place, by name
        self,
        gateway: Gateway,
        outer: Exchange,
        log: RunLog,
        *,
        actor: Callable[[], Actor],
        taint: SessionTaint,
        go_on: Callable[[Exchange, str], Awaitable[Json | None]],
        withdraw: Callable[[str], Awaitable[object]],
        on_progress: Callable[[Json], None],
    ) -> None:
        self._on_progress = on_progress
        self._withdraw = withdraw
        self._taint = taint
        self._go_on = go_on
        self._gateway = gateway
        self._outer = outer
        self._log = log
        self._actor = actor

    async def offered(self, wanted: Sequence[str]) -> list[Tool]:
        """Return the tools of the catalog that patterns choose."""
        if not wanted:
            return []
        exchange = self._exchange("")
        missed = await self._await_servers(exchange, wanted)
        offer = await self._gateway.catalog.offer(exchange, "tools/list")
        if any(pattern.startswith(WILD) for pattern in wanted):
            for reason in offer.missing.values():
                self._log.note(reason)
        for told in not_there(offer, wanted, missed):
            self._log.note(told)
        return chosen_from(offer, wanted)

    async def _await_servers(self, exchange: RunExchange, wanted: Sequence[str]) -> Missed:
        """Return once the servers that patterns name have listed their tools; those that cannot.

        A list for clients does not wait for long; but a run that begins without the tools it was
        made for gives wrong answers. It waits as long as each server may take to start.

        Raises:
            UpstreamUnavailableError: A server of the agent's own cannot be reached.
        """
        missed = await await_servers(self._gateway, exchange, wanted)
        for server, error in missed.items():
            self._miss(exchange, server, error)
        return missed

    def _miss(
        self, exchange: RunExchange, server: ToolProvider, error: UpstreamError | RpcError
    ) -> None:
        """Go on without a server of the host's; an agent cannot do without its own."""
        if exchange.servers.get(server.name) is not server:
            self._log.note(f"The tools of {server.name} are not there. {error.message}")
            return
        raise UpstreamUnavailableError(
            f"The agent {exchange.agent} needs its server {server.name!r}. {error.message}",
            upstream=server.name,
            next_step=error.next_step if isinstance(error, UpstreamError) else None,
        ) from error

    async def take_up(self, run_id: str, call_id: str) -> ToolAnswer | None:
        """Go on with a run that a call had begun, and return the call's answer."""
        exchange = self._exchange(call_id, "A run inside")
        try:
            async with exchange.clock:  # it waits for approvals as any call does, without an end
                result = await self._go_on(exchange, run_id)
                return None if result is None else answer_of(result)
        except (RunError, NotFoundError) as error:
            return ToolAnswer(str(error), error=True)
        except asyncio.CancelledError:
            exchange.given_up = not self._log.leaving
            raise
        finally:
            exchange.over = True
            self._log.go_on(call_id)

    async def call(
        self, name: str, arguments: Json, call_id: str, *, seconds: float | None = None
    ) -> ToolAnswer:
        """Call a tool; what went wrong is an answer too, since the model has to deal with it."""
        params: Json = {"name": name, "arguments": arguments}
        exchange = self._exchange(call_id, name, seconds)
        try:
            async with exchange.clock:
                exchange.start_clock()
                result = await self._gateway.handle(exchange, "tools/call", params)
        except RpcError as error:
            return ToolAnswer(error.message, error=True)
        except UpstreamError as error:
            return ToolAnswer(str(error), error=True)
        except TimeoutError:
            if not exchange.clock.expired():
                raise
            exchange.given_up = True
            await self._take_back(exchange)
            return _given_up(name, seconds)
        except asyncio.CancelledError:
            if not self._log.leaving:
                exchange.given_up = True
                await self._take_back(exchange)
            raise
        finally:
            exchange.over = True
            waits = isinstance(exchange.refused, ApprovalPendingError)
            if not waits:  # the same call is made again, and the run stays parked until it was
                self._log.go_on(call_id)
        answer = answer_of(result)
        return replace(answer, waits=True) if waits else answer

    async def _take_back(self, exchange: RunExchange) -> None:
        """Withdraw what a call waits for that the run will not make: nobody is to be asked."""
        if exchange.waits_for and not self._log.stale:  # else it is somebody else's question
            await unbroken(self._withdrawn(exchange.waits_for))

    async def _withdrawn(self, approval_id: str) -> None:
        with suppress(StoreError):
            await self._withdraw(approval_id)

    def _exchange(self, call_id: str, tool: str = "", seconds: float | None = None) -> RunExchange:
        return RunExchange(
            self._outer,
            self._log,
            actor=self._actor(),
            call_id=call_id,
            tool=tool,
            seconds=seconds,
            taint=self._taint,
            on_progress=self._on_progress,
        )


def _given_up(name: str, seconds: float | None) -> ToolAnswer:
    return ToolAnswer(
        f"{name} did not answer within {seconds:g} s and was given up; whether it took effect is "
        "not known.",
        error=True,
    )
