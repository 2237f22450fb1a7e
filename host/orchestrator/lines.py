"""The stdio face's far end: a client whose messages come as lines over a private socket."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from typing_extensions import override

from host.domain.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    UNSUPPORTED_PROTOCOL_VERSION,
    Json,
    RequestId,
    RpcError,
    as_object,
    decode,
    encode,
    failure,
    response,
)
from host.domain.protocol import STATELESS_VERSIONS, has_envelope
from host.gateway.gateway import Gateway
from host.gateway.upstream.lines import Oversize, read_lines
from host.orchestrator.envelope import ONLY_STATELESS, check_envelope
from host.orchestrator.session import ClientSession, SessionExchange, check_message, params_of
from host.orchestrator.tally import Tally

log = logging.getLogger(__name__)

NOT_ADMITTED = (
    "The token in HOST_TOKEN is not valid (any more). `host install` or `host tokens create` makes "
    "a new one."
)
MESSAGE_LIMIT = 64 * 1024 * 1024
"""Bytes that one message of a client may have."""
BACKLOG_LIMIT = 64 * 1024 * 1024
"""Bytes that may wait for a client that does not read; beyond it the client is dropped."""


@dataclass(eq=False)
class LineSession(ClientSession):
    """A client on one duplex stream."""

    writer: asyncio.StreamWriter | None = None

    @override
    def post(self, message: Json, *, related: RequestId | None) -> bool:
        writer = self.writer
        if writer is None or writer.is_closing():
            return False
        writer.write(encode(message) + b"\n")
        if writer.transport.get_write_buffer_size() > BACKLOG_LIMIT:
            log.warning("a client that does not read was dropped")
            writer.transport.abort()
            return False
        return True


class StatelessLineExchange(SessionExchange):
    """A stateless request on a duplex stream: notifications flow, questions do not."""

    @override
    async def ask(self, method: str, params: Json | None) -> Json:
        raise RpcError(INVALID_REQUEST, f"{method} cannot be asked in the stateless era.")


class LineFace:
    """Serves one client over a pair of streams until it closes its end."""

    def __init__(
        self,
        gateway: Gateway,
        session: LineSession,
        admitted: Callable[[], bool] = lambda: True,
        *,
        tally: Tally,
    ) -> None:
        self._admitted = admitted
        self._tally = tally
        self._gateway = gateway
        self._session = session
        self._era: str | None = None
        self._leaving = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Serve the client."""
        try:
            async for line in read_lines(reader, limit=MESSAGE_LIMIT):
                self._tally.count()  # before anything comes of it
                await self._receive(line)
            if self._leaving:
                await self.drain()
        except (OSError, asyncio.IncompleteReadError) as error:
            log.debug("a client's stream broke: %s", error)
        finally:
            self._session.abandon()
            await self._gateway.close_session(self._session)

    async def drain(self) -> None:
        """Wait until every request in flight has been answered."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _receive(self, line: bytes | Oversize) -> None:
        request_id: RequestId | None = None
        try:
            if isinstance(line, Oversize):
                self._refuse_oversize(line)
                return
            message = decode(line)
            request_id = read_id((as_object(message) or {}).get("id"))
            body = check_message(message)
            if "method" not in body:
                self._session.settle(body)
            elif "id" in body:
                await self._request(body)
            else:
                await self._notification(body["method"], params_of(body))
        except RpcError as error:
            if request_id is not None or error.code in (PARSE_ERROR, INVALID_REQUEST):
                self._session.post(failure(request_id, error), related=request_id)

    def _refuse_oversize(self, line: Oversize) -> None:
        request_id = read_id(decode(line.id_text) if line.id_text else None)
        error = RpcError(INVALID_REQUEST, f"A message has at most {MESSAGE_LIMIT:,} bytes.")
        self._session.post(failure(request_id, error), related=request_id)

    async def _notification(self, method: str, params: Json) -> None:
        if method == "notifications/cancelled":
            self._session.cancel(params.get("requestId"))
        elif method == "notifications/initialized":
            self._gateway.open(self._session)
        elif method == "notifications/host/leaving":
            self._leaving = True
            self._session.give_up_questions()
            self._gateway.end_listening(self._session)
        else:
            await self._gateway.notified(self._session, method, params)

    async def _request(self, body: Json) -> None:
        request_id, method, params = body["id"], body["method"], params_of(body)
        if not self._admitted():
            raise RpcError(INVALID_REQUEST, NOT_ADMITTED)
        if method == "initialize":
            if self._era == "stateless":
                data = {"supported": list(STATELESS_VERSIONS)}
                raise RpcError(UNSUPPORTED_PROTOCOL_VERSION, "This connection is stateless.", data)
            result = await self._gateway.initialize(self._session, params)
            self._era = "handshake"
            self._session.post(response(request_id, result), related=request_id)
            return
        self._session.check_capacity(request_id)
        exchange = self._exchange(request_id, method, params)
        task = asyncio.create_task(self._serve(exchange, method, params))
        self._session.in_flight[request_id] = task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _exchange(self, request_id: RequestId, method: str, params: Json) -> SessionExchange:
        """Return the exchange of a request in the era that the connection was opened in.

        `server/discover` opens none: a client asks it to choose, and may give up waiting for its
        answer and shake hands.

        Raises:
            RpcError: The request is of the other era.
        """
        enveloped = has_envelope(params)
        if self._era is None and method == "server/discover":
            check_envelope(method, params)
            return StatelessLineExchange(self._session, request_id, params)
        if self._era is None and method != "ping":
            self._era = "stateless" if enveloped or method in ONLY_STATELESS else None
            if self._era is None:
                raise RpcError(INVALID_REQUEST, "Send initialize first.")
        if self._era == "stateless":
            check_envelope(method, params)
            return StatelessLineExchange(self._session, request_id, params)
        if enveloped:
            raise RpcError(INVALID_REQUEST, "This connection was opened by a handshake.")
        if method in ONLY_STATELESS:
            raise RpcError(METHOD_NOT_FOUND, "Method not found", method)
        return SessionExchange(self._session, request_id, params)

    async def _serve(self, exchange: SessionExchange, method: str, params: Json) -> None:
        request_id = exchange.id
        assert request_id is not None  # noqa: S101 - requests have one
        try:
            result = await self._gateway.handle(exchange, method, params)
            self._session.post(response(request_id, result), related=request_id)
        except RpcError as error:
            self._session.post(failure(request_id, error), related=request_id)
        except (
            Exception
        ):  # the boundary of the face: whatever went wrong, the client gets an answer
            log.exception("%s failed", method)
            error = RpcError(INTERNAL_ERROR, "The host failed; see its log.")
            self._session.post(failure(request_id, error), related=request_id)
        finally:
            self._session.in_flight.pop(request_id, None)


def read_id(value: object) -> RequestId | None:
    """Return a value that may be a request id; None for any other."""
    return value if isinstance(value, str | int) and not isinstance(value, bool) else None
