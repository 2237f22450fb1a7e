"""Keeps recent answers for a while, bounded in bytes, for the weather and search servers."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _Entry(Generic[T]):
    value: T
    size: int
    expires: float


class Cache(Generic[T]):
    """A least-recently-used cache whose entries also expire.

    Args:
        max_bytes: Sum of the entries' sizes that is kept; the longest unused go first.
        seconds: Lifetime of an entry; 0 keeps nothing.
        clock: Seconds on a clock that never goes back.
    """

    def __init__(
        self, max_bytes: int, seconds: float, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> T | None:
        """Return the live value under `key`, or None."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires <= self._clock():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.value

    def put(self, key: Hashable, value: T, *, size: int) -> None:
        """Keep `value`, which counts `size` bytes; one larger than the whole cache is not kept."""
        self._drop(key)
        if self._seconds <= 0 or size > self._max_bytes:
            return
        self._entries[key] = _Entry(value, size, self._clock() + self._seconds)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= entry.size
