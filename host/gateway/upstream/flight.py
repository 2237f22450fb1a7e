"""A request in flight on a connection, and its deadline."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from host.gateway.exchange import Exchange


@dataclass(eq=False, slots=True)
class Call:
    """A request in flight.

    Attributes:
        scope: Its deadline, pushed back by progress and lifted while a person is asked.
        asking: How many questions to the client are open.
        carrier: The trace context that goes with it.
    """

    exchange: Exchange | None
    timeout: float
    scope: asyncio.Timeout | None = None
    asking: int = 0
    carrier: Mapping[str, str] = field(default_factory=dict[str, str])

    def touch(self) -> None:
        """Start the deadline anew."""
        if self.scope is not None and not self.scope.expired():
            loop = asyncio.get_running_loop()
            self.scope.reschedule(None if self.asking else loop.time() + self.timeout)
