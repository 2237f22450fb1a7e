"""One MCP session with one server: negotiated once, then used by many requests at the same time."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from host import __version__
from host.domain.errors import (
    HostError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamTimeoutError,
)
from host.domain.jsonrpc import (
    INTERNAL_ERROR,
    METHOD_NOT_FOUND,
    UNSUPPORTED_PROTOCOL_VERSION,
    Json,
    RequestId,
    RpcError,
    find_by_id,
    is_request_id,
)
from host.domain.protocol import (
    ENVELOPE_KEYS,
    HANDSHAKE_VERSIONS,
    LATEST_HANDSHAKE,
    LATEST_STATELESS,
    META_CLIENT_CAPABILITIES,
    META_CLIENT_INFO,
    META_VERSION,
    STATELESS_VERSIONS,
    list_member,
    meta_of,
    names_our_version,
    object_member,
)
from host.gateway.exchange import Exchange, Session
from host.gateway.serving import LASTING_METHODS
from host.gateway.upstream.channel import Channel, Outgoing
from host.gateway.upstream.flight import Call, Deadline
from host.gateway.upstream.http import HttpChannel, SessionExpiredError
from host.gateway.upstream.trace import peer_at, send_traced, with_context

if TYPE_CHECKING:
    from host.telemetry.tracing import Tracing

log = logging.getLogger(__name__)

HOST_INFO: Json = {"name": "mcp-agent-host", "title": "MCP Agent Host", "version": __version__}

Put = Callable[[Exchange | Session, str, Json], Awaitable[Json]]
"""Puts a server's question to the client of a request, or of a session where it has none."""

OnNotice = Callable[["Connection", str, Json], None]
"""Receives a notification that belongs to no request in flight."""


@dataclass(eq=False)
class Connection:
    """A negotiated session with a server.

    Attributes:
        name: The server's name.
        stateless: The era it was negotiated in.
        capabilities: What the server declared.
        declared: The client capabilities that were declared to it (handshake era).
    """

    name: str
    channel: Channel
    timeout: float
    on_notice: OnNotice
    declared: Json = field(default_factory=dict[str, Any])
    client_info: Json = field(default_factory=lambda: HOST_INFO)
    stateless: bool = False
    version: str = LATEST_HANDSHAKE
    supported: tuple[str, ...] = ()
    capabilities: Json = field(default_factory=dict[str, Any])
    info: Json = field(default_factory=dict[str, Any])
    instructions: str | None = None
    put: Put = lambda whom, method, params: whom.ask(method, params)
    """Lets questions pass, or refuses them."""
    on_question: Callable[[], None] = lambda: None
    """Told when the server asks something of a client: it is one that talks back."""
    on_renewed: Callable[[], None] = lambda: None
    """Told when a new session has taken the place of one that the server forgot."""
    calls: dict[RequestId, Call] = field(default_factory=dict[RequestId, Call])
    users: dict[str, Session] = field(default_factory=dict[str, Session])
    tracing: "Tracing | None" = None
    """Begins spans, where spans are exported."""
    url: str | None = None
    """Where it is, for spans; None for a child process."""
    ended: bool = False
    """Whether it was ended, by the host or with its process."""
    generation: int = 0
    """How often the session was opened anew."""

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)
        self._questions: dict[RequestId, asyncio.Task[None]] = {}
        self._renewal = asyncio.Lock()

    @property
    def closed(self) -> bool:
        """Whether nothing more can be sent on it."""
        return self.ended or self.channel.closed is not None

    async def negotiate(self, *, stateless: bool, both: bool) -> None:
        """Agree on an era with the server.

        Args:
            stateless: The era to try first.
            both: Whether to fall back to the other one.

        Raises:
            UpstreamError: The server speaks neither.
        """
        first, second = (
            (self._discover, self._initialize) if stateless else (self._initialize, self._discover)
        )
        try:
            await first()
        except RpcError as refusal:
            if not both:
                raise self._refused(refusal) from refusal
            try:
                await second()
            except RpcError as error:
                raise self._refused(refusal if stateless else error) from error

    def _refused(self, error: RpcError) -> UpstreamProtocolError:
        return UpstreamProtocolError(
            f"Server {self.name!r} refused to talk: {error.message} ({error.code}).",
            upstream=self.name,
            next_step="Does `protocol` in its configuration exclude the era it speaks?",
        )

    async def _initialize(self) -> None:
        params = {
            "protocolVersion": LATEST_HANDSHAKE,
            "capabilities": self.declared,
            "clientInfo": self.client_info,
        }
        if isinstance(self.channel, HttpChannel):
            self.channel.version = self.channel.session_id = None
        self.stateless = False
        result = await self._send("initialize", params, Call(None, self.timeout))
        version = result.get("protocolVersion")
        if version not in HANDSHAKE_VERSIONS:
            raise RpcError(UNSUPPORTED_PROTOCOL_VERSION, f"It speaks {version!r}.")
        self.version = str(version)
        self.supported = tuple(HANDSHAKE_VERSIONS)
        self._adopt(result, object_member(result, "serverInfo"))
        if isinstance(self.channel, HttpChannel):
            self.channel.version = self.version
        await self.channel.notify("notifications/initialized", None)
        if isinstance(self.channel, HttpChannel):
            self.channel.listen()

    async def _discover(self) -> None:
        self.stateless = True
        self.version = LATEST_STATELESS
        try:
            result = await self._ask_discovery()
        except RpcError as refusal:
            if not names_our_version(refusal):
                raise
            # It refused a version and named one that is spoken here: ask again with that.
            result = await self._ask_discovery()
        versions = list_member(result, "supportedVersions")
        if not any(version in STATELESS_VERSIONS for version in versions):
            self.stateless = False
            raise RpcError(UNSUPPORTED_PROTOCOL_VERSION, f"It speaks {versions!r}.")
        self.supported = tuple(str(version) for version in versions)
        info = object_member(object_member(result, "_meta"), "io.modelcontextprotocol/serverInfo")
        self._adopt(result, info or object_member(result, "serverInfo"))

    async def _ask_discovery(self) -> Json:
        call = Call(None, self.timeout)
        return await self._send("server/discover", self._with_envelope(None, None), call)

    def _adopt(self, result: Json, info: Json) -> None:
        self.capabilities = object_member(result, "capabilities")
        self.info = info
        instructions = result.get("instructions")
        self.instructions = instructions if isinstance(instructions, str) else None

    async def request(
        self,
        method: str,
        params: Json | None = None,
        *,
        exchange: Exchange | None = None,
        patience: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """Send a request and return its result.

        Args:
            method: Any method; unknown ones pass.
            params: Its parameters as the client gave them.
            exchange: Whose request it is; None is the host's own.
            patience: Seconds without answer or progress; 0 waits for ever, None is the server's.
            headers: Further headers, for HTTP.

        Raises:
            RpcError: The server answered with an error.
            UpstreamError: It could not be reached, did not speak MCP, or did not answer in time.
        """
        call = Call(exchange, self.timeout if patience is None else patience)

        async def carry(carrier: Mapping[str, str]) -> Json:
            call.carrier = carrier
            if self._renewal.locked():
                async with self._renewal:  # until there is a session again
                    pass
            generation = self.generation
            try:
                return await self._send(method, self._prepare(params, exchange), call, headers)
            except SessionExpiredError:
                await self._renew(generation)
                return await self._send(method, self._prepare(params, exchange), call, headers)

        if self.tracing is None or method in LASTING_METHODS:
            return await carry(exchange.trace.carrier if exchange is not None else {})
        peer = peer_at(self.url, self.version)
        return await send_traced(
            self.tracing, method, params, peer=peer, exchange=exchange, carry=carry
        )

    async def notify(self, method: str, params: Json | None) -> None:
        """Send a notification to the server."""
        await self.channel.notify(method, params)

    async def close(self) -> None:
        """End the session."""
        self.ended = True
        for task in list(self._questions.values()):
            task.cancel()
        await self.channel.close()

    async def _renew(self, generation: int) -> None:
        """Open a new session after the server forgot the old one; one task does it for all."""
        async with self._renewal:
            if self.generation == generation:
                told = {"server": self.name}
                log.info("%s: the session expired; opening a new one", self.name, extra=told)
                await self._initialize()
                self.generation += 1
                self.on_renewed()

    async def _send(
        self,
        method: str,
        params: Json | None,
        call: Call,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        request_id = next(self._ids)
        if call.exchange is not None and call.exchange.progress_token is not None:
            params = {**(params or {})}
            params["_meta"] = {**params.get("_meta", {}), "progressToken": request_id}
        params = with_context(params, call.carrier)
        outgoing = Outgoing(request_id, method, params, headers or {}, self.stateless, call.carrier)
        self.calls[request_id] = call
        try:
            with Deadline(call.timeout) as call.scope:
                return await self.channel.send(outgoing)
        except TimeoutError as error:
            raise UpstreamTimeoutError(
                f"Server {self.name!r} did not answer {method} within {call.timeout:g} s.",
                upstream=self.name,
                next_step="Raise `timeout` for this server if it is only slow.",
            ) from error
        finally:
            call.scope = None  # a question may outlive its call, and its deadline
            del self.calls[request_id]

    def _prepare(self, params: Json | None, exchange: Exchange | None) -> Json | None:
        """Return the params in the era of this connection."""
        if self.stateless:
            return self._with_envelope(params, exchange)
        meta = meta_of(params)
        if not any(key in meta for key in ENVELOPE_KEYS):
            return params
        kept = {key: value for key, value in meta.items() if key not in ENVELOPE_KEYS}
        rest = {key: value for key, value in (params or {}).items() if key != "_meta"}
        return {**rest, "_meta": kept} if kept else rest

    def _with_envelope(self, params: Json | None, exchange: Exchange | None) -> Json:
        body = dict(params or {})
        meta = dict(object_member(body, "_meta"))
        meta[META_VERSION] = self.version
        meta.setdefault(META_CLIENT_INFO, (exchange and exchange.client_info) or HOST_INFO)
        meta.setdefault(META_CLIENT_CAPABILITIES, exchange.capabilities if exchange else {})
        if exchange is not None and exchange.log_level and not exchange.stateless:
            meta.setdefault("io.modelcontextprotocol/logLevel", exchange.log_level)
        body["_meta"] = meta
        return body

    def receive(self, message: Json, origin: RequestId | None) -> None:
        """Take a notification or a request of the server; never blocks, whatever it says."""
        method = message["method"]
        params = object_member(message, "params")
        if not isinstance(method, str):
            return
        try:
            if "id" not in message:
                self._take_notice(method, params, origin)
            elif is_request_id(message["id"]):
                self._take_question(message["id"], method, params, origin)
        except RpcError as error:
            log.warning("%s: %s was dropped: %s", self.name, method, error.message)

    def _take_notice(self, method: str, params: Json, origin: RequestId | None) -> None:
        if method == "notifications/progress":
            call = find_by_id(self.calls, params.get("progressToken"))
            if call is not None:
                call.touch()
                if call.exchange is not None:
                    call.exchange.progress(params)
        elif method == "notifications/cancelled":
            task = find_by_id(self._questions, params.get("requestId"))
            if task is not None:
                task.cancel()
        elif method == "notifications/message":
            self._pass_log(params, origin)
        else:
            self.on_notice(self, method, params)

    def _pass_log(self, params: Json, origin: RequestId | None) -> None:
        exchange = self._asker(origin)
        if exchange is not None:
            exchange.log(params)
        else:
            self.on_notice(self, "notifications/message", params)

    def _asker(self, origin: RequestId | None) -> Exchange | None:
        """Return the request that a message belongs to.

        It is the one whose stream the message came on, or, where the transport cannot tell, the
        last one of the only session that has any in flight.
        """
        if origin is not None and origin in self.calls:
            return self.calls[origin].exchange
        active = [call.exchange for call in self.calls.values() if call.exchange is not None]
        sessions = {exchange.session.id for exchange in active}
        return active[-1] if len(sessions) == 1 else None

    def _take_question(
        self, request_id: RequestId, method: str, params: Json, origin: RequestId | None
    ) -> None:
        task = asyncio.create_task(self._answer(request_id, method, params, origin))
        self._questions[request_id] = task
        task.add_done_callback(lambda _: self._questions.pop(request_id, None))

    async def _answer(
        self, request_id: RequestId, method: str, params: Json, origin: RequestId | None
    ) -> None:
        call = self.calls.get(origin) if origin is not None else None
        waiting = [call] if call is not None else list(self.calls.values())
        for held in waiting:
            held.asking += 1
            held.touch()
        outcome: Json | RpcError
        try:
            outcome = await self._ask(method, params, origin)
        except (RpcError, HostError) as error:
            known = isinstance(error, RpcError)
            outcome = error if known else RpcError(INTERNAL_ERROR, str(error))
        finally:
            for held in waiting:
                held.asking -= 1
                held.touch()
        try:
            await self.channel.reply(request_id, outcome)
        except UpstreamError as error:
            log.debug("%s: the answer to %s did not arrive: %s", self.name, method, error)

    async def _ask(self, method: str, params: Json, origin: RequestId | None) -> Json:
        if method == "ping":
            return {}
        self.on_question()
        exchange = self._asker(origin)
        if exchange is not None:
            return await self.put(exchange, method, params)
        if self.calls:
            raise RpcError(
                INTERNAL_ERROR,
                "Several clients use this server at once and nothing says which of them is meant. "
                "From the next connection on each client gets a process of its own.",
            )
        if not self.users:
            raise RpcError(METHOD_NOT_FOUND, f"No client is there to answer {method}.")
        return await self.put(next(reversed(self.users.values())), method, params)
