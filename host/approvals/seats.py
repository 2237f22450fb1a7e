"""Who wants an open approval answered: one question may have several callers behind it."""

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager

_MOST_KEPT = 4096


class Seats:
    """The callers of this process that wait for each approval, or have gone and will be back."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()
        self._kept: dict[str, None] = {}

    @contextmanager
    def taken(self, approval_id: str) -> Generator[None]:
        """Counts one more caller that waits, until the block ends."""
        self._waiting[approval_id] += 1
        try:
            yield
        finally:
            self._waiting[approval_id] -= 1
            if not self._waiting[approval_id]:
                del self._waiting[approval_id]

    def keep(self, approval_id: str) -> None:
        """Notes that somebody will ask again, and wants the question to stay open."""
        self._kept[approval_id] = None
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]

    def release(self, approval_id: str) -> None:
        """Forgets who would ask again: the question is decided."""
        self._kept.pop(approval_id, None)

    def is_last(self, approval_id: str) -> bool:
        """Returns whether nobody but the one who asks this wants an answer."""
        return self._waiting[approval_id] <= 1 and approval_id not in self._kept
