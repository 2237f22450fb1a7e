"""What a plugin may ask of the host: implemented by the daemon, called by the worker pool."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

LogLevel = Literal["debug", "info", "warning", "error"]

JSON = Any
"""None, bool, int, float, str, and lists and string-keyed dicts of these."""


@dataclass(frozen=True, slots=True)
class Log:
    """One `host.log` message."""

    level: LogLevel
    message: str


@dataclass(frozen=True, slots=True)
class Progress:
    """One `host.progress` message."""

    done: float
    total: float | None
    message: str


class StateStore(Protocol):
    """The key-value store of one plugin and tenant; keeps the taint labels of what it is given."""

    async def get(self, key: str) -> JSON:
        """Returns the value under `key`, or None."""
        ...

    async def set(self, key: str, value: JSON) -> None:
        """Stores `value` under `key`.

        Raises:
            HostError: The quota is used up, or the plugin has no state.
        """
        ...

    async def delete(self, key: str) -> bool:
        """Removes `key`; returns whether it was there."""
        ...

    async def keys(self, prefix: str) -> Sequence[str]:
        """Lists the keys that start with `prefix`."""
        ...


class Broker(Protocol):
    """The only way out of a worker; every member decides for itself what this plugin may do.

    A `HostError` raised here reaches the plugin as an exception with the same words. Anything else
    ends the call.
    """

    @property
    def state(self) -> StateStore:
        """The plugin's own key-value store."""
        ...

    async def call_tool(self, name: str, arguments: dict[str, JSON]) -> JSON:
        """Calls a catalog tool on the gateway's one path."""
        ...

    async def secret(self, name: str) -> str:
        """Returns an opaque handle that a brokered call can carry, never the secret itself."""
        ...

    async def note(self, note: Log | Progress) -> None:
        """Takes a log or progress message; slowness here slows the plugin down."""
        ...
