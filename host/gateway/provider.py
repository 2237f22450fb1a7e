"""What the catalog and the call pipeline need of whoever offers tools, prompts and resources."""

from collections import ChainMap
from collections.abc import Sequence, ValuesView
from typing import Protocol

from typing_extensions import override

from host.config.servers import ServerConfig
from host.gateway.exchange import Exchange, Session
from host.gateway.upstream.knowledge import KnownServer
from host.gateway.upstream.link import Link
from host.gateway.upstream.listing import Listing


class ToolProvider(Protocol):
    """An upstream server, or something that the host itself offers: plugins, agents, its own tools.

    All of them take the one path: resolve → decide → approve → call → record.
    """

    name: str
    """First part of its names in the catalog."""
    config: ServerConfig
    """What of it is offered and how; of something of the host's own it says only that."""
    known: KnownServer
    """What is remembered of it: capabilities and instructions."""

    @property
    def own(self) -> bool:
        """Whether the host itself offers it, in its own process."""
        ...

    @property
    def links(self) -> Sequence[Link]:
        """The open connections."""
        ...

    def recall(self, exchange: Exchange, method: str) -> Listing | None:
        """Return what it listed the last time; None if that is not known."""
        ...

    async def link(self, exchange: Exchange) -> Link:
        """Return the connection that serves a request.

        Raises:
            UpstreamError: There is none.
        """
        ...

    async def release(self, session: Session) -> None:
        """Forget a client session."""
        ...

    async def close(self) -> None:
        """End everything that was started."""
        ...


class Servers(ChainMap[str, ToolProvider]):
    """All servers by name, as its maps are at the time; what is in the first hides the others'."""

    @override
    def values(self) -> ValuesView[ToolProvider]:
        """Return the servers; a chain of maps would look each of them up, and each call asks."""
        merged: dict[str, ToolProvider] = {}
        for servers in reversed(self.maps):
            merged.update(servers)
        return merged.values()
