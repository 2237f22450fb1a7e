"""A client that can be asked: sessions of the handshake era, whatever carries them."""

import asyncio
import itertools
import logging
from abc import abstractmethod
from collections.abc import Awaitable, Callable

from typing_extensions import override

from host.domain.jsonrpc import (
    CONNECTION_CLOSED,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Json,
    RequestId,
    RpcError,
    as_object,
    find_by_id,
    notification,
    request,
)
from host.domain.protocol import CLIENT_METHODS, object_member
from host.gateway.exchange import CANCELLED_BY_CLIENT, Exchange, Session

log = logging.getLogger(__name__)

Serve = Callable[[Exchange, str, Json], Awaitable[Json]]

IN_FLIGHT_LIMIT = 1024
"""Requests of one session that are served at the same time; more are refused."""

GRACE = 10.0
"""Seconds that calls in flight have to finish when the host stops."""


class ClientSession(Session):
    """A session whose client answers requests of the host."""

    def __post_init__(self) -> None:
        self._asked: dict[RequestId, asyncio.Future[Json]] = {}
        self._ids = itertools.count(1)
        self.in_flight: dict[RequestId, asyncio.Task[None]] = {}
        self.initialized = False

    @abstractmethod
    def post(self, message: Json, *, related: RequestId | None) -> bool:
        """Queue a message to the client.

        Args:
            message: A JSON-RPC message.
            related: The client's request that it belongs to.

        Returns:
            Whether there is a stream that may carry it.
        """

    @override
    def notify(self, method: str, params: Json | None) -> None:
        self.post(notification(method, params), related=None)

    @override
    async def ask(self, method: str, params: Json | None) -> Json:
        return await self.ask_about(method, params, related=None)

    async def ask_about(
        self, method: str, params: Json | None, *, related: RequestId | None
    ) -> Json:
        """Ask the client something that belongs to one of its requests.

        Raises:
            RpcError: It refused, cannot be reached, or left.
        """
        needed = CLIENT_METHODS.get(method)
        if needed is not None and needed not in self.capabilities:
            raise RpcError(METHOD_NOT_FOUND, f"The client did not declare {needed}.")
        request_id = f"host-{next(self._ids)}"
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._asked[request_id] = future
        try:
            if not self.post(request(request_id, method, params), related=related):
                raise RpcError(INTERNAL_ERROR, f"The client holds no stream open to hear {method}.")
            return await future
        except asyncio.CancelledError:
            gone = {"requestId": request_id, "reason": "No longer needed."}
            self.post(notification("notifications/cancelled", gone), related=related)
            raise
        finally:
            self._asked.pop(request_id, None)

    def settle(self, message: Json) -> None:
        """Take the client's answer to a request of the host."""
        future = find_by_id(self._asked, message.get("id"))
        if future is None or future.done():
            log.debug("an answer that nobody waits for was dropped: %.100r", message.get("id"))
        elif (result := as_object(message.get("result"))) is not None:
            future.set_result(result)
        else:
            future.set_exception(RpcError.from_wire(message.get("error")))

    def cancel(self, request_id: object) -> None:
        """Cancel a request of the client that is being served; anything else is not one."""
        task = find_by_id(self.in_flight, request_id)
        if task is not None:
            task.cancel(CANCELLED_BY_CLIENT)

    def check_capacity(self, request_id: RequestId) -> None:
        """Refuse a request that is one too many, or whose id is in use.

        Raises:
            RpcError: It cannot be served.
        """
        if request_id in self.in_flight:
            raise RpcError(INVALID_REQUEST, f"The request id {request_id!r} is in use.")
        if len(self.in_flight) >= IN_FLIGHT_LIMIT:
            raise RpcError(
                INVALID_REQUEST,
                f"{IN_FLIGHT_LIMIT} requests of this session are being served; wait for some.",
            )

    def abandon(self) -> None:
        """Give up everything: the client is gone."""
        for task in list(self.in_flight.values()):
            task.cancel()
        self.give_up_questions()

    def give_up_questions(self) -> None:
        """Answer every open question with an error: the client says nothing more."""
        gone = RpcError(CONNECTION_CLOSED, "The client left before it answered.")
        for future in self._asked.values():
            if not future.done():
                future.set_exception(gone)


class SessionExchange(Exchange):
    """One request in a session of the handshake era."""

    session: ClientSession

    @override
    def notify(self, method: str, params: Json | None) -> None:
        self.session.post(notification(method, params), related=self.id)

    @override
    async def ask(self, method: str, params: Json | None) -> Json:
        return await self.session.ask_about(method, params, related=self.id)


def check_message(message: object) -> Json:
    """Return a JSON-RPC message that has the shape of one.

    Raises:
        RpcError: It has not.
    """
    body = as_object(message)
    if body is None:
        raise RpcError(INVALID_REQUEST, "A message is one JSON object; batches are not served.")
    if body.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, 'A message carries "jsonrpc": "2.0".')
    if "method" in body:
        if not isinstance(body["method"], str):
            raise RpcError(INVALID_REQUEST, "method is a text.")
        if "id" in body and (not isinstance(body["id"], str | int) or isinstance(body["id"], bool)):
            raise RpcError(INVALID_REQUEST, "id is a text or a whole number.")
        if body.get("params") is not None and not isinstance(body["params"], dict):
            raise RpcError(INVALID_PARAMS, "params is an object.")
        if not isinstance(params_of(body).get("_meta", {}), dict):
            raise RpcError(INVALID_PARAMS, "params._meta is an object.")
    elif "id" not in body or ("result" not in body and "error" not in body):
        raise RpcError(INVALID_REQUEST, "A message is a request, a notification or a response.")
    return body


def params_of(message: Json) -> Json:
    """Return a message's params; absent ones are empty."""
    return object_member(message, "params")


def stopped() -> RpcError:
    """Return the answer to a request that the host cannot serve to its end, since it stops."""
    return RpcError(
        CONNECTION_CLOSED,
        "The host was stopped before this was answered; whether it took effect is not known.",
    )
