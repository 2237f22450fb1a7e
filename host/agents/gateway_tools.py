"""Tools of the gateway for a run: each call goes the path that every client's call goes."""

from collections.abc import Callable, Sequence

from typing_extensions import override

from host.agents.toolbox import OWN_PREFIX, Tool, ToolAnswer, answer_of, tools_of
from host.domain.errors import UpstreamError
from host.domain.jsonrpc import Json, RpcError
from host.events.writer import RunLog
from host.gateway.exchange import Exchange, InnerExchange
from host.gateway.gateway import Gateway
from host.taint.session import SessionTaint

HIDDEN = (OWN_PREFIX, "orchestrator__")
"""Tools that only their full name chooses, so that `*` does not make agents call themselves."""


class RunExchange(InnerExchange):
    """A call of a run, which writes down what its outermost client is asked meanwhile."""

    def __init__(
        self, outer: Exchange, log: RunLog, *, agent: str, call_id: str, taint: SessionTaint
    ) -> None:
        super().__init__(
            outer, "agent", agent=agent, parent=log.run.id, on_progress=lambda params: None
        )
        self.taint = taint
        self._log = log
        self._tool_call = call_id

    @override
    async def ask(self, method: str, params: Json | None) -> Json:
        about = params or {}
        shown = {"id": self._tool_call, "method": method, "message": about.get("message")}
        self._log.add("question", shown)
        try:
            answer = await super().ask(method, params)
        except RpcError as error:
            self._log.add("answer", {**shown, "error": error.message})
            raise
        self._log.add("answer", {**shown, "action": answer.get("action")})
        return answer


class GatewayTools:
    """What a run calls.

    Args:
        gateway: The host's gateway.
        outer: The request that the run serves; calls are made for its principal.
        log: Where questions are written.
        agent: Returns the agent that has the conversation.
        taint: What the run has met.
    """

    def __init__(
        self,
        gateway: Gateway,
        outer: Exchange,
        log: RunLog,
        *,
        agent: Callable[[], str],
        taint: SessionTaint,
    ) -> None:
        self._taint = taint
        self._gateway = gateway
        self._outer = outer
        self._log = log
        self._agent = agent

    async def offered(self, wanted: Sequence[str]) -> list[Tool]:
        """Return the tools of the catalog that patterns choose."""
        if not wanted:
            return []
        exchange = self._exchange("")
        offer = await self._gateway.catalog.offer(exchange, "tools/list")
        entries = [
            entry
            for entry in offer.entries
            if not entry.name.startswith(HIDDEN) or entry.name in wanted
        ]
        servers = {entry.name: entry.server.name for entry in entries}
        return tools_of((entry.definition for entry in entries), wanted, servers)

    async def call(self, name: str, arguments: Json, call_id: str) -> ToolAnswer:
        """Call a tool; what went wrong is an answer too, since the model has to deal with it."""
        params: Json = {"name": name, "arguments": arguments}
        try:
            result = await self._gateway.handle(self._exchange(call_id), "tools/call", params)
        except RpcError as error:
            return ToolAnswer(error.message, error=True)
        except UpstreamError as error:
            return ToolAnswer(str(error), error=True)
        return answer_of(result)

    def _exchange(self, call_id: str) -> RunExchange:
        return RunExchange(
            self._outer, self._log, agent=self._agent(), call_id=call_id, taint=self._taint
        )
