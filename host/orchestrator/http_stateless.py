"""Stateless requests over HTTP: each a post that carries all it needs, answered on its own."""

import asyncio
import logging
from collections.abc import Mapping

from typing_extensions import override

from host.domain.errors import UpstreamError
from host.domain.jsonrpc import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    Json,
    RequestId,
    RpcError,
    encode,
    failure,
    notification,
    response,
)
from host.domain.protocol import object_member
from host.gateway.exchange import Exchange, Session
from host.gateway.gateway import Gateway
from host.orchestrator.envelope import ERROR_STATUS, check_envelope
from host.orchestrator.http_answer import Answering
from host.orchestrator.http_message import HttpMessage
from host.orchestrator.http_streams import EventStream
from host.orchestrator.session import stopped

log = logging.getLogger(__name__)


class StatelessSession(Session):
    """What the host remembers of a stateless client between its requests."""

    @property
    @override
    def stateless(self) -> bool:
        return True

    @override
    def notify(self, method: str, params: Json | None) -> None:
        """Drop the notification: the stateless era has none outside of requests."""

    @override
    async def ask(self, method: str, params: Json | None) -> Json:
        raise RpcError(INVALID_REQUEST, f"{method} cannot be asked in the stateless era.")


class StatelessExchange(Exchange):
    """One stateless request; its notifications go onto its own response stream."""

    def __init__(
        self,
        session: Session,
        request_id: RequestId,
        params: Json,
        *,
        http_headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(session, request_id, params, http_headers=http_headers)
        self.stream = EventStream(request_id, resumable=False)

    @override
    def notify(self, method: str, params: Json | None) -> None:
        self.stream.put(notification(method, params))

    @override
    async def ask(self, method: str, params: Json | None) -> Json:
        raise RpcError(INVALID_REQUEST, f"{method} cannot be asked in the stateless era.")


async def serve_stateless(
    gateway: Gateway, session: StatelessSession, http: HttpMessage, body: Json
) -> None:
    """Serve one stateless request.

    Plain JSON is the answer while nothing else was said; the first notification, or a silence of
    `PING_INTERVAL`, turns the response into an event stream. Closing it cancels the request.
    """
    request_id, method = body["id"], body["method"]
    params: Json = body.get("params") or {}
    try:
        check_envelope(method, params, http.headers)
        exchange = StatelessExchange(session, request_id, params, http_headers=http.headers)
        await _check_mirrored(gateway, exchange, http.headers, body)
    except RpcError as error:
        await http.answer_error(ERROR_STATUS.get(error.code, 200), error, request_id)
        return
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a connection serves requests in tasks
    stream = exchange.stream
    answering = Answering(http, stream)
    try:
        with http.telling(task.cancel), answering:
            message = await _run(gateway, exchange, method, params)
    except asyncio.CancelledError:
        if http.lost:
            stream.end()
            task.uncancel()
            return
        log.warning("the request %s was given up, since it took too long", request_id)
        await _respond(http, answering, failure(request_id, stopped()))
        raise
    await _respond(http, answering, message)


async def _respond(http: HttpMessage, answering: Answering, message: Json) -> None:
    if answering.streams:
        await answering.finish(message)
    else:
        code = object_member(message, "error").get("code", 0)
        await http.answer(ERROR_STATUS.get(code, 200), encode(message))


async def _run(gateway: Gateway, exchange: StatelessExchange, method: str, params: Json) -> Json:
    """Return the response message."""
    assert exchange.id is not None  # noqa: S101 - requests have one
    try:
        return response(exchange.id, await gateway.handle(exchange, method, params))
    except RpcError as error:
        return failure(exchange.id, error)
    except Exception:  # the boundary of the face: whatever went wrong, the client gets an answer
        log.exception("%s failed", method)
        return failure(exchange.id, RpcError(INTERNAL_ERROR, "The host failed; see its log."))


async def _check_mirrored(
    gateway: Gateway, exchange: Exchange, headers: Mapping[str, str], body: Json
) -> None:
    """Check the headers that mirror arguments, where the tool's schema declares some.

    Raises:
        RpcError: Header and argument disagree.
    """
    params: Json = body.get("params") or {}
    name = params.get("name")
    if body["method"] != "tools/call" or not isinstance(name, str):
        return
    try:
        found = await gateway.catalog.find(exchange, "tools/list", name)
    except (UpstreamError, RpcError):
        return  # the call itself will say so
    if found is None or not found[0].mirrors:
        return
    from mcp.shared.inbound import (  # noqa: PLC0415 - few tools declare any, and the SDK loads slowly
        validate_mcp_param_headers,
    )

    schema = found[0].definition.get("inputSchema")
    arguments = object_member(params, "arguments")
    folded = {key: value.replace("\n", ", ") for key, value in headers.items()}
    rejection = validate_mcp_param_headers(schema, arguments, folded)
    if rejection is not None:
        raise RpcError(HEADER_MISMATCH, rejection.message)
