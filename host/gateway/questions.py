"""What servers ask of clients (sampling, elicitation, roots), decided on, recorded like calls."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from host.domain.jsonrpc import INVALID_REQUEST, Json, RpcError, as_object
from host.domain.protocol import CLIENT_METHODS, object_member
from host.gateway.exchange import Exchange, InnerExchange, QuietExchange, Session
from host.gateway.gate import REFUSALS, Gate
from host.gateway.provider import ToolProvider
from host.gateway.record import Recorder

Ask = Callable[[str, Json | None], Awaitable[Json]]
"""Puts a question to a client and returns the answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """A server's request to a client, as the gate and the record see it."""

    server: ToolProvider
    name: str
    params: Json
    definition: Json = field(default_factory=dict[str, Any])
    digest: str | None = None

    @property
    def original(self) -> str:
        """What the server calls it: the method."""
        return self.name

    @property
    def upstream(self) -> str:
        """The server's name."""
        return self.server.name

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the server."""
        return self.server.config.labels


class Questions:
    """Passes questions on, if the policy lets them pass.

    Args:
        gate: Decides about them.
        recorder: Writes what happened.
    """

    def __init__(self, gate: Gate, recorder: Recorder) -> None:
        self._gate = gate
        self._recorder = recorder

    async def relay(
        self,
        server: ToolProvider,
        exchange: Exchange,
        method: str,
        *,
        params: Json | None,
        ask: Ask,
    ) -> Json:
        """Put a server's question to a client and return the answer.

        Args:
            server: Who asks.
            exchange: The request it belongs to.
            method: Such as `sampling/createMessage`.
            params: Its parameters.
            ask: Reaches the client.

        Raises:
            RpcError: The policy or the client refused.
        """
        if method not in CLIENT_METHODS:
            return await ask(method, params)
        # Of the handshake era, so that a person can be asked while the question waits.
        inner = InnerExchange(exchange, exchange.face)
        question = Question(server, method, params or {})
        said = await self._gate.consider(inner, method, question)
        try:
            admitted = await self._gate.admit(inner, method, question, said)
        except REFUSALS as error:
            self._recorder.open(inner, method, question, said.judged).refuse(error)
            raise RpcError(INVALID_REQUEST, str(error)) from error
        record = self._recorder.open(inner, method, question, admitted.judged)
        try:
            await record.begin()
            answer = await ask(method, params)
        except BaseException as error:
            await self._gate.fail(admitted, record.fail(error))
            raise
        record.succeed(answer)
        return await self._gate.succeed(admitted, answer)

    async def put(
        self, server: ToolProvider, whom: Exchange | Session, method: str, params: Json
    ) -> Json:
        """Put a server's question to the client of a request, or of a session where it has none.

        Raises:
            RpcError: The policy or the client refused.
        """
        exchange = whom if isinstance(whom, Exchange) else QuietExchange(whom, None)
        return await self.relay(server, exchange, method, params=params, ask=whom.ask)

    async def check(self, server: ToolProvider, exchange: Exchange, result: Json) -> None:
        """Decide on the questions in a server's `input_required` before its client gets them.

        Raises:
            RpcError: The policy refused one of them, so that the call cannot go on.
        """
        for value in object_member(result, "inputRequests").values():
            asked = as_object(value) or {}

            async def passed(method: str, params: Json | None) -> Json:
                return {}

            method = asked.get("method")
            if isinstance(method, str):
                params = as_object(asked.get("params"))
                await self.relay(server, exchange, method, params=params, ask=passed)
