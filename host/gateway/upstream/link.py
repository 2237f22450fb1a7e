"""One open connection to a server, with everything that belongs to it."""

import asyncio
from dataclasses import dataclass, field

from host.gateway.upstream.connection import Connection
from host.gateway.upstream.keeper import Child
from host.gateway.upstream.listing import Listings
from host.gateway.upstream.subscriptions import LinkSubscriptions


@dataclass(eq=False, slots=True)
class Link:
    """A connection with what belongs to it."""

    connection: Connection
    listings: Listings
    subscriptions: LinkSubscriptions
    child: Child | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    session_id: str | None = None
    """The client session it is private to."""
