"""What a transport to a tool server offers, whatever carries it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from host.domain.jsonrpc import Json, RequestId, RpcError

OnMessage = Callable[[Json, RequestId | None], None]
"""Receives a notification or request of the server, in order, and the id of the request of ours on
whose response stream it came (None where the transport cannot tell). Must not block."""


@dataclass(slots=True)
class Outgoing:
    """One request to a server."""

    id: RequestId
    method: str
    params: Json | None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Only for transports over HTTP."""
    stateless: bool = False
    """Whether abandoning it means closing its stream, instead of `notifications/cancelled`."""
    carrier: Mapping[str, str] = field(default_factory=dict[str, str])
    """The trace context, for the headers of transports over HTTP."""


class Channel(Protocol):
    """A connection to one server, able to carry many requests at once."""

    closed: Exception | None
    """Why nothing more can be sent; None while that is not so."""

    async def send(self, outgoing: Outgoing) -> Json:
        """Send a request and return its result; abandoning the wait cancels it at the server.

        Raises:
            RpcError: The server answered with an error.
            UpstreamError: The server could not be reached or did not speak MCP.
        """
        ...

    async def notify(self, method: str, params: Json | None) -> None:
        """Send a notification."""
        ...

    async def reply(self, request_id: RequestId, outcome: Json | RpcError) -> None:
        """Answer a request of the server."""
        ...

    async def close(self) -> None:
        """End the connection and whatever it started."""
        ...
