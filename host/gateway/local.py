"""What the host offers in its own process: the base of plugins, agents and the host's own tools."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence

from typing_extensions import override

from host.config.servers import ServerConfig
from host.domain.errors import HostError, UpstreamUnavailableError
from host.domain.jsonrpc import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    RESOURCE_NOT_FOUND,
    Json,
    RequestId,
    RpcError,
)
from host.domain.protocol import LIST_METHODS, META_WRONG, TASKS_EXTENSION, object_member
from host.gateway.exchange import Exchange, Session
from host.gateway.notices import TASK_CHANGED
from host.gateway.tasks import Lookup, Stop, Task, Tasks
from host.gateway.upstream.channel import Outgoing
from host.gateway.upstream.connection import Connection, OnNotice
from host.gateway.upstream.knowledge import KnownServer
from host.gateway.upstream.link import Link
from host.gateway.upstream.listing import Listing, Listings
from host.gateway.upstream.subscriptions import LinkSubscriptions

_CAPABILITIES: Json = {
    "tools": {"listChanged": True},
    "resources": {"subscribe": True, "listChanged": True},
    "prompts": {"listChanged": True},
    "completions": {},
}


class LocalProvider(ABC):
    """Offers tools, and where a subclass says so resources and prompts, without a server process.

    A tool asks its client by `exchange.ask`, tells progress by `exchange.progress`, and is
    cancelled with its request, in both eras alike.

    Args:
        name: First part of the names in the catalog.
        on_notice: Takes notifications that belong to no request; the gateway's.
        trusted: Whether policy may believe the annotations of its tools.
        labels: Labels for policy that all of it has.
        instructions: What models are told about it.
    """

    def __init__(
        self,
        name: str,
        on_notice: OnNotice,
        *,
        trusted: bool = True,
        labels: Sequence[str] = (),
        instructions: str | None = None,
    ) -> None:
        self.name = name
        # Not read from a file: it is reached in none of the ways that one could name.
        self.config = ServerConfig.model_construct(trusted=trusted, labels=tuple(labels))
        self.known = KnownServer(config="", instructions=instructions)
        self.tasks: Tasks | None = None
        """Calls that go on as tasks; None where none do, see `offer_tasks`."""
        connection = LocalConnection(self, on_notice)
        listings, subscriptions = Listings(connection), LinkSubscriptions(connection)
        self._link = Link(connection, listings, subscriptions)

    @property
    def own(self) -> bool:
        """Whether the host itself offers it: yes."""
        return True

    @property
    def links(self) -> list[Link]:
        """The one connection."""
        return [self._link]

    def recall(self, exchange: Exchange, method: str) -> Listing | None:
        """Return nothing: its lists need no waiting."""
        return None

    async def link(self, exchange: Exchange) -> Link:
        """Return the connection that serves a request."""
        self._link.connection.users[exchange.session.id] = exchange.session
        return self._link

    async def release(self, session: Session) -> None:
        """Forget a client session."""
        self._link.connection.users.pop(session.id, None)

    async def close(self) -> None:  # noqa: B027 - most providers start nothing that would have to end
        """End what was started; a subclass that starts something overrides this."""

    def offer_tasks(self, lookup: Lookup | None = None, stop: Stop | None = None) -> Tasks:
        """Declare that calls may go on as tasks, and return these.

        Args:
            lookup: Finds tasks of before a restart; None where there are none.
            stop: Ends one of those.
        """

        def told(task: Task) -> None:
            self._notify(TASK_CHANGED, task.detail())

        extension: Json = {TASKS_EXTENSION: {}}
        self._link.connection.capabilities["extensions"] = extension
        self.known = self.known.model_copy(update={"capabilities": {"extensions": extension}})
        self.tasks = Tasks(self.name, told, lookup=lookup, stop=stop)
        return self.tasks

    def changed(self, kind: str = "tools") -> None:
        """Tell clients that what is listed is another list.

        Args:
            kind: `tools`, `resources` or `prompts`.
        """
        self._notify(f"notifications/{kind}/list_changed", {})

    def updated(self, uri: str) -> None:
        """Tell whoever subscribed to a resource that it changed."""
        self._notify("notifications/resources/updated", {"uri": uri})

    def _notify(self, method: str, params: Json) -> None:
        connection = self._link.connection
        connection.on_notice(connection, method, params)

    @abstractmethod
    async def tools(self) -> list[Json]:
        """Return the definitions of its tools, under names without the prefix."""

    @abstractmethod
    async def call(self, exchange: Exchange, name: str, arguments: Json) -> Json:
        """Run a tool and return its result, a `CallToolResult`.

        Raises:
            RpcError: There is no such tool, or its arguments are wrong.
            HostError: It failed; the caller reads the message.
        """

    async def resources(self) -> list[Json]:
        """Return the definitions of its resources."""
        return []

    async def templates(self) -> list[Json]:
        """Return the definitions of its resource templates."""
        return []

    async def prompts(self) -> list[Json]:
        """Return the definitions of its prompts, under names without the prefix."""
        return []

    async def read(self, exchange: Exchange, uri: str) -> Json:
        """Return a resource, a `ReadResourceResult`.

        Raises:
            RpcError: There is none.
        """
        raise RpcError(RESOURCE_NOT_FOUND, "Resource not found", {"uri": uri})

    async def prompt(self, exchange: Exchange, name: str, arguments: Json) -> Json:
        """Return a prompt, a `GetPromptResult`.

        Raises:
            RpcError: There is none.
        """
        raise RpcError(INVALID_PARAMS, f"Unknown prompt: {name}")

    async def complete(self, exchange: Exchange, params: Json) -> Json:
        """Return the completions of an argument, a `CompleteResult`."""
        return {"completion": {"values": [], "total": 0, "hasMore": False}}

    async def other(self, exchange: Exchange, method: str, params: Json) -> Json:
        """Serve a method that has no method of its own here.

        Raises:
            RpcError: It is not known.
        """
        if self.tasks is not None:
            return await self.tasks.serve(exchange, method, params)
        raise RpcError(METHOD_NOT_FOUND, "Method not found", method)

    async def serve(self, exchange: Exchange | None, method: str, params: Json) -> Json:
        """Serve one request of the gateway.

        Raises:
            RpcError: It cannot be served.
        """
        if method in LIST_METHODS:
            return {LIST_METHODS[method]: await self._listed(method)}
        if method in ("resources/subscribe", "resources/unsubscribe"):
            return {}
        if exchange is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found", method)
        return await self._serve(exchange, method, params)

    async def _listed(self, method: str) -> list[Json]:
        listed: dict[str, Callable[[], Awaitable[list[Json]]]] = {
            "tools/list": self.tools,
            "resources/list": self.resources,
            "resources/templates/list": self.templates,
            "prompts/list": self.prompts,
        }
        return await listed[method]()

    async def _serve(self, exchange: Exchange, method: str, params: Json) -> Json:
        if method == "tools/call":
            return await self.call(exchange, params["name"], object_member(params, "arguments"))
        if method == "resources/read":
            return await self.read(exchange, params["uri"])
        if method == "prompts/get":
            return await self.prompt(exchange, params["name"], object_member(params, "arguments"))
        if method == "completion/complete":
            return await self.complete(exchange, params)
        return await self.other(exchange, method, params)


class _NoChannel:
    """Stands where a connection has its transport; nothing is ever sent on it."""

    closed: Exception | None = None

    async def send(self, outgoing: Outgoing) -> Json:
        """Refuse."""
        raise UpstreamUnavailableError(f"Nothing carries {outgoing.method}.", upstream="host")

    async def notify(self, method: str, params: Json | None) -> None:
        """Drop it: whoever offers tools here hears of clients in other ways."""

    async def reply(self, request_id: RequestId, outcome: Json | RpcError) -> None:
        """Drop it: nothing was asked."""

    async def close(self) -> None:
        """Do nothing."""


class LocalConnection(Connection):
    """A connection that calls the provider instead of sending messages."""

    def __init__(self, provider: LocalProvider, on_notice: OnNotice) -> None:
        super().__init__(
            provider.name, _NoChannel(), 0, on_notice, capabilities=dict(_CAPABILITIES)
        )
        self._provider = provider

    @override
    async def request(
        self,
        method: str,
        params: Json | None = None,
        *,
        exchange: Exchange | None = None,
        patience: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """Serve the request; a local provider sets its own time limits."""
        return await self._provider.serve(exchange, method, params or {})


def text_result(text: str, structured: Json | None = None, *, error: bool = False) -> Json:
    """Return the result of a tool.

    Args:
        text: What a model reads.
        structured: The same for programs, an object; None for none.
        error: Whether it says that the tool failed.
    """
    result: Json = {"content": [{"type": "text", "text": text}]}
    if structured is not None:
        result["structuredContent"] = structured
    return result | ({"isError": True} if error else {})


def wrong_result(error: HostError) -> Json:
    """Return the result of a tool that did nothing, because what was asked for is wrong."""
    return {**text_result(str(error), error=True), "_meta": {META_WRONG: True}}
