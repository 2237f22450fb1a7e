"""Questions across the eras: how a server's question reaches a client that speaks the other era.

A server of the handshake era asks by a request while the call is in flight; one of the stateless
era answers `input_required` and is called again. A client knows only its own era's way.
"""

import asyncio
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from typing_extensions import override

from host.domain.errors import AccessError
from host.domain.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_CLIENT_CAPABILITY,
    Json,
    RpcError,
    as_object,
)
from host.domain.protocol import CLIENT_METHODS, object_member
from host.gateway.exchange import Exchange
from host.secrets.seal import Sealer

ROUND_LIMIT = 32
"""How often one call may be answered by `input_required` before it is given up."""
GATHERING = 0.02
"""Seconds after a first question in which further ones join the same answer to the client."""
OVER = (
    "The call that waited for this answer is over: it expired, was answered before, or the host "
    "was restarted. Call again without requestState."
)
PARKED_LIFE = 600.0
"""Seconds that a parked call waits for its client."""
GONE = "The client did not answer in time, or gave the call up."
PARKED_LIMIT = 1000
"""Parked calls in the daemon."""
PARKED_PER_PRINCIPAL = 200
"""Parked calls of one principal."""


def binding(exchange: Exchange, method: str, params: Json) -> str:
    """Return a digest of who calls what with which arguments: what a request state is good for."""
    own = {k: v for k, v in params.items() if k not in ("_meta", "requestState", "inputResponses")}
    text = json.dumps([exchange.session.principal.id, method, own], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


async def answer_rounds(
    put: Callable[[str, Json], Awaitable[Json]],
    params: Json,
    send: Callable[[Json], Awaitable[Json]],
) -> Json:
    """Serve a client of the handshake era from a server of the stateless era.

    Args:
        put: Puts a question to the client and returns its answer.
        params: The request's parameters.
        send: Sends the request with some parameters to the server.

    Raises:
        RpcError: The server keeps asking, or the client refused to answer.
    """
    result = await send(params)
    for _ in range(ROUND_LIMIT):
        if result.get("resultType") != "input_required":
            return result
        answers: Json = {}
        for key, question in object_member(result, "inputRequests").items():
            asked = as_object(question) or {}
            method = asked.get("method")
            if method not in CLIENT_METHODS:
                raise RpcError(INTERNAL_ERROR, f"The server asks for {method!r}, which is unknown.")
            answers[key] = await put(str(method), as_object(asked.get("params")) or {})
        again = {**params, "inputResponses": answers}
        if "requestState" in result:
            again["requestState"] = result["requestState"]
        result = await send(again)
    raise RpcError(INTERNAL_ERROR, f"The server asked more than {ROUND_LIMIT} times for input.")


def wrap_state(sealer: Sealer, exchange: Exchange, method: str, params: Json, result: Json) -> Json:
    """Return a server's `input_required` with its state inside a sealed one of ours."""
    if result.get("resultType") != "input_required" or "requestState" not in result:
        return result
    state = {"bound": binding(exchange, method, params), "state": result["requestState"]}
    return {**result, "requestState": sealer.seal(state, life=PARKED_LIFE)}


def unwrap_state(sealer: Sealer, exchange: Exchange, method: str, params: Json) -> Json:
    """Return the params with the server's own state, from a retry that carries ours.

    Raises:
        RpcError: The state is not ours, has expired, or belongs to another call.
    """
    if "requestState" not in params:
        return params
    state = open_state(sealer, exchange, method, params)
    if "state" not in state:
        raise RpcError(INVALID_PARAMS, OVER)
    return {**params, "requestState": state["state"]}


def open_state(sealer: Sealer, exchange: Exchange, method: str, params: Json) -> Json:
    """Return what a retry's request state holds.

    Raises:
        RpcError: It is not ours, has expired, or belongs to another call.
    """
    try:
        state = sealer.open(str(params["requestState"]))
    except AccessError as error:
        raise RpcError(INVALID_PARAMS, str(error)) from error
    if state["bound"] != binding(exchange, method, params):
        raise RpcError(INVALID_PARAMS, "The request state belongs to another call.")
    return state


@dataclass(eq=False)
class ParkedCall:
    """A call to a server of the handshake era, held while a stateless client answers its questions.

    Attributes:
        bound: Who calls what, see `binding`.
        open: The questions not answered yet, by the key they are asked under.
    """

    id: str
    principal: str
    bound: str
    task: asyncio.Task[Json] | None = None
    open: dict[str, tuple[Json, asyncio.Future[Json]]] = field(
        default_factory=dict[str, tuple[Json, asyncio.Future[Json]]]
    )
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    expiry: asyncio.TimerHandle | None = None
    current: Exchange | None = None
    refusal: RpcError | None = None
    """The answer to the client once the server asked for what the client cannot do."""

    async def ask(self, method: str, params: Json | None) -> Json:
        """Put a question to the client and wait until a retry answers it.

        Raises:
            RpcError: The client did not declare that it answers such questions.
        """
        needed = CLIENT_METHODS.get(method, method)
        if self.current is not None and needed not in self.current.capabilities:
            data: Json = {"requiredCapabilities": {needed: {}}}
            text = f"This needs a client that declares {needed}."
            self.refusal = RpcError(MISSING_CLIENT_CAPABILITY, text, data)
            raise RpcError(METHOD_NOT_FOUND, "The client does not answer such questions.")
        key = f"question-{secrets.token_hex(6)}"
        question: Json = {"method": method} | ({"params": params} if params is not None else {})
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self.open[key] = (question, future)
        self.changed.set()
        try:
            return await future
        finally:
            self.open.pop(key, None)

    def give_up(self) -> None:
        """Tell who waits for an answer that none will come; a run outlives its client's call."""
        for _, future in self.open.values():
            if not future.done():
                future.set_exception(RpcError(INTERNAL_ERROR, GONE))
                future.exception()  # seen, even when nobody waits for it any more

    def unanswered(self) -> Json:
        """Return the questions that no answer has come for."""
        return {key: question for key, (question, future) in self.open.items() if not future.done()}

    def answer(self, responses: Json) -> None:
        """Take the answers that a retry brings."""
        for key, response in responses.items():
            entry = self.open.get(key)
            if entry is not None and not entry[1].done():
                given = as_object(response)
                if given is not None:
                    entry[1].set_result(given)
                else:
                    entry[1].set_exception(RpcError(INVALID_PARAMS, "An answer is not an object."))


class ParkedExchange(Exchange):
    """The client's side of a parked call; what it says goes to the retry being served now."""

    def __init__(self, parked: ParkedCall, first: Exchange) -> None:
        super().__init__(first.session, first.id, {"_meta": first.meta})
        self._parked = parked
        self.follow(first)

    @override
    def notify(self, method: str, params: Json | None) -> None:
        if self._parked.current is not None:
            self._parked.current.notify(method, params)

    @override
    def progress(self, params: Json) -> None:
        if self._parked.current is not None:
            self._parked.current.progress(params)

    @override
    async def ask(self, method: str, params: Json | None) -> Json:
        return await self._parked.ask(method, params)


class ParkingLot:
    """All parked calls of the daemon: bounded in number, each for a limited time.

    Args:
        sealer: Seals the state by which a client comes back.
    """

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer
        self._parked: dict[str, ParkedCall] = {}

    async def serve(
        self,
        exchange: Exchange,
        method: str,
        params: Json,
        send: Callable[[Json, Exchange], Awaitable[Json]],
    ) -> Json:
        """Serve a stateless client from a server of the handshake era.

        Args:
            exchange: The client's request, first or retried.
            method: Its method.
            params: Its parameters.
            send: Sends the request to the server on behalf of an exchange.

        Returns:
            The server's result, or an `input_required`.
        """
        if "requestState" in params:
            parked = self._find(exchange, method, params)
            parked.answer(object_member(params, "inputResponses"))
        else:
            parked = self._park(exchange, method, params)
            inner = ParkedExchange(parked, exchange)
            parked.task = asyncio.ensure_future(send(params, inner))
        return await self._wait(parked, exchange)

    def close(self) -> None:
        """Give up every parked call."""
        for parked in list(self._parked.values()):
            self._drop(parked)

    def _find(self, exchange: Exchange, method: str, params: Json) -> ParkedCall:
        state = open_state(self._sealer, exchange, method, params)
        parked = self._parked.get(state.get("parked", ""))
        if parked is None:
            raise RpcError(INVALID_PARAMS, OVER)
        return parked

    def _park(self, exchange: Exchange, method: str, params: Json) -> ParkedCall:
        principal = exchange.session.principal.id
        own = sum(parked.principal == principal for parked in self._parked.values())
        if len(self._parked) >= PARKED_LIMIT or own >= PARKED_PER_PRINCIPAL:
            raise RpcError(
                INTERNAL_ERROR,
                "Too many calls wait for an answer of their client. Answer or drop some first.",
            )
        parked = ParkedCall(secrets.token_hex(16), principal, binding(exchange, method, params))
        self._parked[parked.id] = parked
        return parked

    async def _wait(self, parked: ParkedCall, exchange: Exchange) -> Json:
        """Wait until the server answers or asks."""
        assert parked.task is not None  # noqa: S101 - set before the first wait
        if parked.expiry is not None:
            parked.expiry.cancel()
        parked.current = exchange
        try:
            while True:
                if parked.unanswered():
                    # Over stdio nothing says whose question it is, so one may be open although this
                    # call is done: another call waits for its answer.
                    await asyncio.wait({parked.task}, timeout=GATHERING)
                    if questions := parked.unanswered():
                        return self._question(parked, questions)
                if parked.task.done():
                    break
                parked.changed.clear()
                change = asyncio.ensure_future(parked.changed.wait())
                try:
                    await asyncio.wait({parked.task, change}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    change.cancel()
        except asyncio.CancelledError:
            self._drop(parked)
            raise
        finally:
            parked.current = None
        self._parked.pop(parked.id, None)
        result = parked.task.result()
        if parked.refusal is not None:
            raise parked.refusal
        return result

    def _question(self, parked: ParkedCall, questions: Json) -> Json:
        loop = asyncio.get_running_loop()
        parked.expiry = loop.call_later(PARKED_LIFE, self._drop, parked)
        state: dict[str, Any] = {"bound": parked.bound, "parked": parked.id}
        return {
            "resultType": "input_required",
            "inputRequests": questions,
            "requestState": self._sealer.seal(state, life=PARKED_LIFE),
        }

    def _drop(self, parked: ParkedCall) -> None:
        self._parked.pop(parked.id, None)
        if parked.expiry is not None:
            parked.expiry.cancel()
        if parked.task is not None:
            parked.task.cancel()
            parked.task.add_done_callback(lambda _: parked.give_up())  # a server is told before
