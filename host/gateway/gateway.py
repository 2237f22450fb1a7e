"""The host's MCP face towards every client, whatever transport it came by."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from host.domain.errors import HostError, UpstreamError, UpstreamTimeoutError
from host.domain.jsonrpc import (
    CONNECTION_CLOSED,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    REQUEST_TIMEOUT,
    UNSUPPORTED_PROTOCOL_VERSION,
    Json,
    RpcError,
)
from host.domain.protocol import (
    HANDSHAKE_VERSIONS,
    LATEST_HANDSHAKE,
    LIST_METHODS,
    LOG_LEVELS,
    META_SERVER_INFO,
    STATELESS_VERSIONS,
    object_member,
)
from host.gateway.calls import Caller
from host.gateway.catalog import Catalog, wire_list
from host.gateway.exchange import Exchange, Session
from host.gateway.folders import Folders
from host.gateway.gate import Gate
from host.gateway.listen import Listens
from host.gateway.notices import TASK_CHANGED, Listener, Notices, take_notice
from host.gateway.pinning import PinDesk
from host.gateway.provider import ToolProvider
from host.gateway.record import Recorder
from host.gateway.rounds import ParkingLot
from host.gateway.search import Finder
from host.gateway.serving import Serving
from host.gateway.upstream.connection import HOST_INFO, Connection
from host.gateway.upstream.link import Link
from host.secrets.seal import Sealer

if TYPE_CHECKING:
    from host.telemetry.tracing import Tracing

log = logging.getLogger(__name__)

Handler = Callable[[Exchange, Json], Awaitable[Json]]

NOTICE_LIMIT = 10.0
"""Seconds that a server may take to accept a notification."""

DOING = frozenset({"tools/call", "resources/read", "prompts/get", "completion/complete"})
"""What a viewer may not do: everything that reaches a server's own code."""
INSTRUCTIONS = (
    "This host offers the tools of several MCP servers; each name begins with its server's name."
)


class Gateway:
    """Serves requests of clients from a set of servers.

    Args:
        servers: By name, in the order of the configuration. The mapping may be changed while the
            gateway runs; `changed` then tells the clients.
        sealer: Seals request states.
        recorder: Writes what happened.
        gate: Decides about calls.
        finder: Decides who sees the whole catalog and who searches it.
        tracing: Begins spans; None where none are exported.
        pins: Knows what servers said before.
    """

    def __init__(  # noqa: PLR0913  each is a part that the host wires
        self,
        servers: Mapping[str, ToolProvider],
        *,
        sealer: Sealer,
        recorder: Recorder,
        gate: Gate,
        finder: Finder,
        tracing: "Tracing | None" = None,
        pins: PinDesk | None = None,
    ) -> None:
        self._tracing = tracing
        self.gate = gate
        self.pins = pins or PinDesk()
        self.folders: Folders | None = None
        """Knows servers that only clients in some folder see."""
        self.further: Callable[[], Iterable[ToolProvider]] = lambda: ()
        """Returns servers that only some requests see; who made them closes them."""
        self.servers = servers
        self.notices = Notices()
        self.catalog = Catalog(servers, self._on_late, self._visible, self.pins)
        self.parking = ParkingLot(sealer)
        self.caller = Caller(self.catalog, self.parking, sealer, recorder=recorder, gate=gate)
        self.finder = finder
        self._listens = Listens(self.catalog, self.notices, self.caller)
        self._sessions: dict[str, Listener] = {}
        self._forwarding: set[asyncio.Task[None]] = set()
        self._handlers: dict[str, Handler] = {
            "ping": self._ping,
            "server/discover": self._discover,
            "tools/call": self._call_tool,
            "prompts/get": self.caller.get_prompt,
            "resources/read": self.caller.read_resource,
            "completion/complete": self.caller.complete,
            "logging/setLevel": self._set_level,
            "resources/subscribe": self._subscribe,
            "resources/unsubscribe": self._unsubscribe,
            "subscriptions/listen": self._listens.serve,
        }

    async def initialize(self, session: Session, params: Json) -> Json:
        """Answer `initialize`, at once: no server is waited for.

        Raises:
            RpcError: The params are not an initialize request's.
        """
        requested = params.get("protocolVersion")
        if not isinstance(requested, str):
            raise RpcError(INVALID_PARAMS, "initialize needs protocolVersion, a text.")
        session.version = requested if requested in HANDSHAKE_VERSIONS else LATEST_HANDSHAKE
        session.capabilities = object_member(params, "capabilities")
        session.client_info = object_member(params, "clientInfo")
        return {
            "protocolVersion": session.version,
            "capabilities": self._capabilities(session, handshake=True),
            "serverInfo": HOST_INFO,
            "instructions": self._instructions(session),
        }

    def open(self, session: Session) -> None:
        """Begin to tell a session of the handshake era about changes."""
        if session.id in self._sessions:
            return
        listener = Listener(session, session.notify)
        self._sessions[session.id] = listener
        self.notices.add(listener)

    def end_listening(self, session: Session | None = None) -> None:
        """Answer the listen streams of a session, or of all: nothing more will come."""
        self._listens.end(session)

    async def close_session(self, session: Session) -> None:
        """Forget a session: its subscriptions, and the connections that were private to it."""
        listener = self._sessions.pop(session.id, None)
        if listener is not None:
            self.notices.remove(listener)
            await self._listens.leave(listener)
        for server in self._every():
            await server.release(session)

    async def handle(self, exchange: Exchange, method: str, params: Json) -> Json:
        """Serve one request.

        Raises:
            RpcError: It cannot be served; the error goes to the client.
        """
        with Serving(exchange, method, tracing=self._tracing) as serving:
            serving.result = await self._serve(exchange, method, params)
            return serving.result

    async def _serve(self, exchange: Exchange, method: str, params: Json) -> Json:
        if exchange.session.principal.role == "viewer" and method in DOING:
            raise RpcError(INVALID_REQUEST, "This credential may look only; its role is viewer.")
        try:
            if method in LIST_METHODS:
                result = await self._list(exchange, method, params)
            elif method in self._handlers:
                result = await self._handlers[method](exchange, params)
            else:
                result = await self.caller.forward(exchange, method, params)
        except UpstreamError as error:
            code = REQUEST_TIMEOUT if isinstance(error, UpstreamTimeoutError) else CONNECTION_CLOSED
            raise RpcError(code, str(error), {"server": error.upstream}) from error
        except HostError as error:
            raise RpcError(INTERNAL_ERROR, str(error)) from error
        return self._finish(exchange, method, result)

    async def notified(self, session: Session, method: str, params: Json) -> None:
        """Take a notification of a client that belongs to no request in flight."""
        if method in ("notifications/roots/list_changed", "notifications/progress"):
            for link in self._links_of(session):
                task = asyncio.create_task(self._forward_notice(link, method, params))
                self._forwarding.add(task)
                task.add_done_callback(self._forwarding.discard)

    def changed(self) -> None:
        """Tell every client that the catalog is another one."""
        for kind in ("tools", "prompts", "resources"):
            self.notices.publish(f"notifications/{kind}/list_changed", {})

    def on_notice(self, connection: Connection, method: str, params: Json) -> None:
        """Take a notification of a server that belongs to no request."""
        link = next((link for link in self._links() if link.connection is connection), None)
        self._listens.hear(connection, method, params)
        if method == TASK_CHANGED:
            return
        take_notice(self.notices, link, method, params)

    async def close(self) -> None:
        """Give up parked calls and close every server."""
        self.parking.close()
        if self.folders is not None:
            await self.folders.close()
        for server in list(self.servers.values()):
            await server.close()
        await self.pins.close()

    def _links(self) -> list[Link]:
        return [link for server in self._every() for link in server.links]

    def _every(self) -> list[ToolProvider]:
        of_folders = () if self.folders is None else self.folders.own()
        return [*self.servers.values(), *of_folders, *self.further()]

    def _visible(self, session: Session) -> Mapping[str, ToolProvider]:
        """Return what a session sees: what everybody does, or what its folder makes of it."""
        if self.folders is None or session.folder is None:
            return self.servers
        own = {name: server for name, server in self.servers.items() if server.own}
        return {**self.folders.servers(session.folder), **own}

    def _links_of(self, session: Session) -> list[Link]:
        return [link for link in self._links() if session.id in link.connection.users]

    def _on_late(self, server: ToolProvider) -> None:
        log.info("%s is ready now", server.name, extra={"server": server.name})
        self.changed()

    def _transparent(self, session: Session) -> ToolProvider | None:
        """Return the only server, where it is offered without a prefix."""
        enabled = [one for one in self.catalog.enabled(session) if not one.own]
        return enabled[0] if len(enabled) == 1 and enabled[0].config.prefix == "" else None

    def _capabilities(self, session: Session, *, handshake: bool) -> Json:
        capabilities: Json = {
            "tools": {"listChanged": True},
            "resources": {"subscribe": True, "listChanged": True},
            "prompts": {"listChanged": True},
            "completions": {},
            "logging": {},
        }
        for server in self.catalog.enabled(session):
            declared = server.known.capabilities
            for member in ("extensions", "experimental"):
                merged = {**capabilities.get(member, {}), **object_member(declared, member)}
                if merged:
                    capabilities[member] = merged
            if handshake and "tasks" in declared:
                capabilities["tasks"] = declared["tasks"]
        return capabilities

    def _instructions(self, session: Session) -> str:
        only = self._transparent(session)
        if only is not None and (alone := self.pins.instructions(only)):
            return alone
        told = [
            f"## {server.name}\n{said}"
            for server in self.catalog.enabled(session)
            if (said := self.pins.instructions(server))
        ]
        return "\n\n".join([INSTRUCTIONS, *told])

    async def _ping(self, exchange: Exchange, params: Json) -> Json:
        return {}

    async def _discover(self, exchange: Exchange, params: Json) -> Json:
        return {
            "supportedVersions": [*STATELESS_VERSIONS],
            "capabilities": self._capabilities(exchange.session, handshake=False),
            "instructions": self._instructions(exchange.session),
            "ttlMs": 0,
            "cacheScope": "private",
        }

    async def _list(self, exchange: Exchange, method: str, params: Json) -> Json:
        if params.get("cursor") is not None:
            raise RpcError(INVALID_PARAMS, "Invalid cursor: lists come whole here, on one page.")
        if method == "tools/list" and self.finder.narrows(exchange):
            return await self.finder.listed(self.catalog, exchange)
        offer = await self.catalog.offer(exchange, method)
        only = self._transparent(exchange.session)
        if only is not None and only.name in offer.missing:
            # A single server behind no prefix fails as it would without the host.
            await self.catalog.listed(only, exchange, method)
            offer = await self.catalog.offer(exchange, method)
        result = wire_list(method, offer)
        if exchange.stateless:
            result = {"ttlMs": 0, "cacheScope": "private", **result}
        return result

    async def _call_tool(self, exchange: Exchange, params: Json) -> Json:
        if self.finder.searches(exchange):
            redirected = await self.finder.take(self.catalog, exchange, params)
            if redirected.answer is not None:
                return redirected.answer
            params = redirected.params
        return await self.caller.call_tool(exchange, params)

    async def _set_level(self, exchange: Exchange, params: Json) -> Json:
        level = params.get("level")
        if level not in LOG_LEVELS:
            raise RpcError(INVALID_PARAMS, f"level is one of {', '.join(LOG_LEVELS)}.")
        exchange.session.log_level = str(level)
        for link in self._links_of(exchange.session):
            await self.caller.share_log_level(link)
        return {}

    async def _subscribe(self, exchange: Exchange, params: Json) -> Json:
        listener = self._sessions.get(exchange.session.id)
        if listener is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found", "resources/subscribe")
        await self._listens.subscribe(exchange, listener, uri_of(params))
        return {}

    async def _unsubscribe(self, exchange: Exchange, params: Json) -> Json:
        listener = self._sessions.get(exchange.session.id)
        if listener is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found", "resources/unsubscribe")
        await self._listens.unsubscribe(listener, uri_of(params))
        return {}

    async def _forward_notice(self, link: Link, method: str, params: Json) -> None:
        """Pass a client's notification on; a server that hangs must not hold up the client."""
        try:
            async with asyncio.timeout(NOTICE_LIMIT):
                await link.connection.notify(method, params or None)
        except (UpstreamError, TimeoutError) as error:
            log.debug("%s did not take %s: %s", link.connection.name, method, error)

    def _finish(self, exchange: Exchange, method: str, result: Json) -> Json:
        """Return the result in the client's era."""
        if exchange.stateless:
            if method == "resources/read" and "contents" in result:
                result = {"ttlMs": 0, "cacheScope": "private", **result}
            meta = object_member(result, "_meta")
            if META_SERVER_INFO not in meta:
                result = {**result, "_meta": {**meta, META_SERVER_INFO: HOST_INFO}}
            return result if "resultType" in result else {"resultType": "complete", **result}
        if result.get("resultType") == "complete":
            return {key: value for key, value in result.items() if key != "resultType"}
        return result


def uri_of(params: Json) -> str:
    """Return the `uri` parameter.

    Raises:
        RpcError: It is missing or not a text.
    """
    uri = params.get("uri")
    if not isinstance(uri, str):
        raise RpcError(INVALID_PARAMS, "uri is missing.")
    return uri


def unsupported_version(requested: object) -> RpcError:
    """Return the error for a revision that is not spoken here."""
    data = {"supported": list(STATELESS_VERSIONS), "requested": requested}
    return RpcError(UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", data)
