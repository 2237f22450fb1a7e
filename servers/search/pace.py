"""Spaces out requests to the same site."""

import time
from collections.abc import Awaitable, Callable

import anyio

_MOST_SITES = 10_000


class Pace:
    """Lets one request to a site pass every `interval` seconds, in order of arrival."""

    def __init__(
        self,
        interval: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._interval = interval
        self._clock = clock
        self._sleep = sleep
        self._next: dict[str, float] = {}

    async def turn(self, site: str) -> None:
        """Wait for the next turn at `site`; each caller reserves its own before it waits."""
        now = self._clock()
        if len(self._next) > _MOST_SITES:
            self._next = {s: t for s, t in self._next.items() if t > now}
        at = max(now, self._next.get(site, now))
        self._next[site] = at + self._interval
        if at > now:
            await self._sleep(at - now)
