"""How many requests a client may make in a minute."""

import time


class RateLimit:
    """A token bucket for each client.

    Args:
        per_minute: Requests that a client may make in a minute, and at once; 0 sets no limit.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, client: str) -> float:
        """Count a request; return 0 if it may go on, else the seconds until it may."""
        if not self._per_minute:
            return 0.0
        now = time.monotonic()
        level, at = self._buckets.get(client, (float(self._per_minute), now))
        level = min(float(self._per_minute), level + (now - at) * self._per_minute / 60)
        if level < 1:
            self._buckets[client] = (level, now)
            return (1 - level) * 60 / self._per_minute
        self._buckets[client] = (level - 1, now)
        return 0.0
