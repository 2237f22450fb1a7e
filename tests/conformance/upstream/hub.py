"""What the conformance upstream remembers between requests: sessions, lists, tasks."""

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import anyio
from anyio.abc import TaskGroup
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

JSON = dict[str, Any]
"""One JSON object as it is on the wire."""

LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
"""Log levels of MCP, least severe first."""

logger = logging.getLogger(__name__)


@dataclass
class Session:
    """One handshake connection: the level it logs at and what it subscribed to."""

    level: str = "debug"
    uris: set[str] = field(default_factory=set[str])


@dataclass
class Hub:
    """State of one upstream process, shared by all its connections."""

    bus: InMemorySubscriptionBus = field(default_factory=InMemorySubscriptionBus)
    sessions: WeakKeyDictionary[Connection, Session] = field(
        default_factory=WeakKeyDictionary[Connection, Session]
    )
    extra_tool: bool = False
    extra_prompt: bool = False
    extra_resource: bool = False
    cancelled_calls: int = 0
    calls: int = 0
    touches: dict[str, int] = field(default_factory=dict[str, int])
    tasks: dict[str, Any] = field(default_factory=dict[str, Any])
    background: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Hub"]:
        """Own the background work (tasks of the extension) until the server stops."""
        async with anyio.create_task_group() as group:
            self.background = group
            yield self
            group.cancel_scope.cancel()

    def session(self, ctx: "Context") -> Session:
        """Return what is remembered of the connection that a request came on."""
        return self.sessions.setdefault(connection_of(ctx), Session())

    async def publish(self, event: ServerEvent) -> None:
        """Tell the stateless subscribers and every handshake session that asked."""
        await self.bus.publish(event)
        for connection, session in list(self.sessions.items()):
            match event:
                case ToolsListChanged():
                    await connection.send_tool_list_changed()
                case PromptsListChanged():
                    await connection.send_prompt_list_changed()
                case ResourcesListChanged():
                    await connection.send_resource_list_changed()
                case ResourceUpdated(uri=uri):
                    if uri in session.uris:
                        await connection.send_resource_updated(uri)


Context = ServerRequestContext[Hub, Any]
"""The request context that every handler of the upstream receives."""


def connection_of(ctx: Context) -> Connection:
    """Return the connection of a request; the SDK has no public name for it."""
    return ctx.session._connection


def is_modern(ctx: Context) -> bool:
    """Return whether the caller speaks the stateless revision."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
