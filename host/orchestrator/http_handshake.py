"""Sessions of the handshake era over HTTP: posts in, event streams out."""

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from typing_extensions import override

from host.domain.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    Json,
    RequestId,
    RpcError,
    encode,
    failure,
    response,
)
from host.domain.principal import Principal
from host.gateway.gateway import Gateway
from host.orchestrator.envelope import ONLY_STATELESS
from host.orchestrator.http_answer import Answering, pump
from host.orchestrator.http_message import PING_INTERVAL, HttpMessage
from host.orchestrator.http_streams import EventStream, parse_event_id
from host.orchestrator.session import ClientSession, SessionExchange, params_of, stopped

log = logging.getLogger(__name__)

SESSION_LIMIT = 10_000
"""Sessions that are open at the same time."""
IDLE_LIFE = 3600.0
"""Seconds without a request or an open stream after which a session is forgotten."""
ENDED_STREAMS = 64
"""Finished streams of a session that are at least kept for a client that lost the answer."""


@dataclass(eq=False)
class HttpSession(ClientSession):
    """One client session over HTTP."""

    folder: Path | None = None
    streams: OrderedDict[str, EventStream] = field(default_factory=OrderedDict[str, EventStream])
    by_request: dict[RequestId, EventStream] = field(default_factory=dict[RequestId, EventStream])
    seen_at: float = field(default_factory=time.monotonic)
    standing: EventStream = field(default_factory=EventStream)

    @override
    def post(self, message: Json, *, related: RequestId | None) -> bool:
        stream = self.by_request.get(related) if related is not None else None
        if stream is None:
            stream = self.standing
            if "id" in message and not stream.reader and related is None:
                return False
        return stream.put(message)

    def open_stream(self, request_id: RequestId) -> EventStream:
        """Return a new stream for a request."""
        stream = EventStream(request_id, resumable=self.version >= "2025-11-25")
        self.streams[stream.name] = stream
        self.by_request[request_id] = stream
        if len(self.streams) > 2 * ENDED_STREAMS:  # not on every call: it looks at all of them
            for name in [n for n, s in self.streams.items() if s.ended][:-ENDED_STREAMS]:
                del self.streams[name]
        return stream

    def find_stream(self, event_id: str) -> tuple[EventStream, int] | None:
        """Return the stream that an event was on, and the event's number."""
        parsed = parse_event_id(event_id)
        if parsed is None:
            return None
        name, sequence = parsed
        stream = self.standing if name == self.standing.name else self.streams.get(name)
        return None if stream is None else (stream, sequence)

    def give_up_requests(self) -> None:
        """Answer what is still being served with an error: the host stops."""
        for request_id, task in self.in_flight.items():
            stream = self.by_request.get(request_id)
            if stream is not None and not task.done():
                log.warning("the request %s was given up, since it took too long", request_id)
                stream.put(failure(request_id, stopped()))

    @property
    def busy(self) -> bool:
        """Whether somebody is served or listens."""
        return bool(self.in_flight) or self.standing.reader > 0


class HandshakeHttp:
    """The sessions of the HTTP face."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.sessions: dict[str, HttpSession] = {}
        self.closing = asyncio.Event()

    async def post(self, http: HttpMessage, principal: Principal, message: Json) -> None:
        """Serve a posted message, which was checked already."""
        if message.get("method") == "initialize" and "id" in message:
            await self._initialize(http, principal, message)
            return
        session = await self._session(http, principal)
        if session is None:
            return
        if "method" not in message:
            session.settle(message)
            await http.answer(202)
        elif "id" not in message:
            await self._notification(session, message)
            await http.answer(202)
        else:
            await self._request(http, session, message)

    async def get(self, http: HttpMessage, principal: Principal) -> None:
        """Serve the standing stream, or a stream that a client lost."""
        if not http.accepts()[1]:
            error = RpcError(INVALID_REQUEST, "Accept text/event-stream to listen.")
            await http.answer_error(406, error)
            return
        session = await self._session(http, principal)
        if session is None:
            return
        place = session.find_stream(http.headers.get("last-event-id", ""))
        stream, sequence = place or (session.standing, None)
        if sequence is not None:
            stream.rewind(sequence)
        await http.start_stream()
        await pump(http, stream)

    async def delete(self, http: HttpMessage, principal: Principal) -> None:
        """End a session at its client's wish."""
        session = await self._session(http, principal)
        if session is not None:
            await self._end(session)
            await http.answer(200)

    async def sweep(self) -> None:
        """Forget sessions that nobody used for long."""
        while True:
            await asyncio.sleep(60)
            edge = time.monotonic() - IDLE_LIFE
            for session in list(self.sessions.values()):
                if session.seen_at < edge and not session.busy:
                    await self._end(session)

    async def close(self, grace: float) -> None:
        """End every session, after the calls in flight or `grace` seconds."""
        tasks = [task for s in self.sessions.values() for task in s.in_flight.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for session in self.sessions.values():
            session.give_up_requests()
        self.closing.set()
        for session in list(self.sessions.values()):
            await self._end(session)

    async def _end(self, session: HttpSession) -> None:
        self.sessions.pop(session.id, None)
        session.abandon()
        for stream in [session.standing, *session.streams.values()]:
            stream.end()
        await self._gateway.close_session(session)

    async def _session(self, http: HttpMessage, principal: Principal) -> HttpSession | None:
        """Return the session that a request names; answer and return None where there is none."""
        session_id = http.headers.get("mcp-session-id")
        if session_id is None:
            error = RpcError(INVALID_REQUEST, "Mcp-Session-Id is missing; send initialize first.")
            await http.answer_error(400, error)
            return None
        session = self.sessions.get(session_id)
        if session is None or session.principal != principal:
            error = RpcError(INVALID_REQUEST, "The session is over; send initialize again.")
            await http.answer_error(404, error)
            return None
        session.seen_at = time.monotonic()
        http.session_id = session.id
        return session

    async def _initialize(self, http: HttpMessage, principal: Principal, body: Json) -> None:
        if len(self.sessions) >= SESSION_LIMIT:
            error = RpcError(INTERNAL_ERROR, "Too many sessions are open.")
            await http.answer_error(503, error, body["id"])
            return
        session = HttpSession(principal, "http", secrets.token_hex(16))
        try:
            result = await self._gateway.initialize(session, params_of(body))
        except RpcError as error:
            await http.answer_error(400, error, body["id"])
            return
        session.standing.resumable = session.version >= "2025-11-25"
        self.sessions[session.id] = session
        http.session_id = session.id
        await http.answer(200, encode(response(body["id"], result)))

    async def _notification(self, session: HttpSession, body: Json) -> None:
        method, params = body["method"], params_of(body)
        if method == "notifications/cancelled":
            session.cancel(params.get("requestId"))
        elif method == "notifications/initialized":
            self._gateway.open(session)
        else:
            await self._gateway.notified(session, method, params)

    async def _request(self, http: HttpMessage, session: HttpSession, body: Json) -> None:
        request_id, method = body["id"], body["method"]
        try:
            check_method(method)
            session.check_capacity(request_id)
        except RpcError as error:
            await http.answer_error(200, error, request_id)
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a connection serves requests in tasks
        stream = session.open_stream(request_id)
        exchange = SessionExchange(session, request_id, params_of(body), http_headers=http.headers)
        takes_json, takes_events = http.accepts()
        answering = Answering(http, stream, silence=PING_INTERVAL if takes_events else IDLE_LIFE)
        session.in_flight[request_id] = task
        try:
            with answering:
                await self._serve(session, exchange, stream=stream, body=body)
        except asyncio.CancelledError:
            # The request was given up, not its connection: whoever listens is told what there is.
            task.uncancel()
        single = stream.single() if takes_json and not answering.streams else None
        if single is not None:
            await http.answer(200, single)
        else:
            await answering.finish()

    async def _serve(
        self, session: HttpSession, exchange: SessionExchange, *, stream: EventStream, body: Json
    ) -> None:
        """Serve a request to its end, whether or not its client still listens."""
        request_id, method, params = body["id"], body["method"], params_of(body)
        message: Json | None = None
        try:
            result = await self._gateway.handle(exchange, method, params)
            message = response(request_id, result)
        except RpcError as error:
            message = failure(request_id, error)
        except (
            Exception
        ):  # the boundary of the face: whatever went wrong, the client gets an answer
            log.exception("%s failed", method)
            message = failure(request_id, RpcError(INTERNAL_ERROR, "The host failed; see its log."))
        finally:
            stream.finish(message)
            session.seen_at = time.monotonic()
            session.in_flight.pop(request_id, None)
            session.by_request.pop(request_id, None)


def check_method(method: str) -> None:
    """Refuse a method that the handshake era does not have.

    Raises:
        RpcError: It has not.
    """
    if method in ONLY_STATELESS:
        raise RpcError(METHOD_NOT_FOUND, "Method not found", method)
