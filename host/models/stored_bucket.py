"""Rate buckets in the store, so that all processes together stay within a provider's limits."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import anyio
from typing_extensions import override

from host.domain.errors import ModelError, StoreError
from host.domain.wait import unbroken
from host.models.bucket import WINDOW, Buckets, Lease
from host.models.config import LimitConfig
from host.storage.store import Database, Store

ARRIVAL = 30.0
"""Seconds that a request may take to arrive at the provider, who counts from then.

It connects first, its process may be busy, and a window that began at its admission would end
before the provider's. So it counts as if it arrived this late until its answer shows that it had.
"""
HOLD = 900.0
"""Seconds after which a request counts as ended although nobody said so: its process died."""
POLL = 0.05
"""Seconds between looks while a place among the concurrent requests is waited for."""
_NONE = LimitConfig()
_CLOCK = "extract(epoch from clock_timestamp())::float8"
_LOCK = "select pg_advisory_xact_lock(hashtextextended(%s, 7240))"
"""One admission at a time for each bucket; 7240 keeps the keys apart from other locks'."""


@dataclass(frozen=True, slots=True)
class _Use:
    """What a bucket holds at one moment.

    Attributes:
        now: The database's clock.
        times: When each counted request had arrived at the latest, oldest first, or now for one
            that may be on its way; `tokens` of each.
        held: How many have not ended.
        blocked: Until when the provider wants nothing.
    """

    now: float
    times: list[float]
    tokens: list[int]
    held: int
    blocked: float


class StoredBuckets(Buckets):
    """Counts requests and tokens of the last minute in PostgreSQL, by its clock.

    Args:
        store: The store.
        window: Seconds that count; shorter in a simulation.
        sleep: Waits so many seconds.
    """

    def __init__(
        self,
        store: Store,
        *,
        window: float = WINDOW,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._store = store
        self._window = window
        self._sleep = sleep

    @override
    def admit(
        self, bucket: str, limits: LimitConfig, tokens: int
    ) -> AbstractAsyncContextManager[Lease]:
        """Wait for a place, hold it, and write down afterwards what was really used.

        Raises:
            ModelError: The request alone is more than the bucket ever holds.
            StoreError: The store cannot be reached; then nothing is let through.
        """
        if limits == _NONE:
            return nullcontext(Lease(bucket, tokens))  # nothing to share: no round trip
        return self._placed(bucket, limits, tokens)

    @asynccontextmanager
    async def _placed(self, bucket: str, limits: LimitConfig, tokens: int) -> AsyncGenerator[Lease]:
        if limits.tokens_per_minute is not None and tokens > limits.tokens_per_minute:
            raise ModelError(
                f"The request has about {tokens} tokens, and {bucket.partition('#')[0]} may be "
                f"sent {limits.tokens_per_minute} a minute.",
                model=bucket.partition("#")[0],
                fault="rejected",
                next_step="Shorten it, or raise tokens_per_minute in models.yaml.",
            )
        number, at = await self._wait(bucket, limits, tokens)
        lease = Lease(bucket, tokens, at=at, answered=partial(self._answered, number))
        try:
            yield lease
        finally:
            await unbroken(self._end(number, lease))

    async def _wait(self, bucket: str, limits: LimitConfig, tokens: int) -> tuple[int, float]:
        number: int | None = None
        while True:
            try:
                async with self._store.transaction() as database:
                    await database.execute(_LOCK, [bucket])
                    use = await self._use(database, bucket)
                    wait = self._pause(use, limits, tokens)
                    if not wait:
                        number = await _insert(database, bucket, use.now, tokens)
                        return number, use.now
            except asyncio.CancelledError:
                if number is not None:  # it may be committed all the same
                    await unbroken(self._forget(bucket, number))
                raise
            await self._sleep(wait)

    async def _forget(self, bucket: str, number: int) -> None:
        """Take back a place whose request will not be made."""
        with contextlib.suppress(StoreError):
            async with self._store.transaction() as database:
                await database.execute(_LOCK, [bucket])  # its admission has ended by then
                await database.execute("delete from host.model_requests where id = %s", [number])

    async def _use(self, database: Database, bucket: str) -> _Use:
        await database.execute(
            f"delete from host.model_requests where bucket = %s and at <= {_CLOCK} - %s "  # noqa: S608 - a constant
            f"and (held_until is null or held_until <= {_CLOCK})",
            [bucket, self._window],
        )
        cursor = await database.execute(
            "select at, tokens, held_until is not null as held from host.model_requests "
            "where bucket = %s order by at",
            [bucket],
        )
        rows = await cursor.fetchall()
        cursor = await database.execute(
            f"select {_CLOCK} as now, "  # noqa: S608 - a constant
            "(select until from host.model_blocks where bucket = %s) as until",
            [bucket],
        )
        clock = await cursor.fetchone() or {}
        now = float(clock["now"])
        counted = [
            (min(row["at"], now), row["tokens"]) for row in rows if row["at"] > now - self._window
        ]
        return _Use(
            now,
            [at for at, _ in counted],
            [size for _, size in counted],
            sum(row["held"] for row in rows),
            clock["until"] or 0.0,
        )

    def _pause(self, use: _Use, limits: LimitConfig, tokens: int) -> float:
        """Return how long to wait before looking again; 0 lets the request through."""
        waits = [use.blocked - use.now]
        requests = limits.requests_per_minute
        if requests is not None and len(use.times) >= requests:
            waits.append(use.times[-requests] + self._window - use.now)
        if limits.tokens_per_minute is not None:
            waits.append(self._token_pause(use, limits.tokens_per_minute - tokens))
        if limits.concurrency is not None and use.held >= limits.concurrency:
            waits.append(POLL)
        return max(0.0, *waits)

    def _token_pause(self, use: _Use, room: int) -> float:
        """Return how long until enough of the oldest requests no longer count."""
        total = sum(use.tokens)
        for at, size in zip(use.times, use.tokens, strict=True):
            if total <= room:
                break
            total -= size
            pause = at + self._window - use.now
            if total <= room:
                return max(pause, 0.001)
        return 0.0

    async def _answered(self, number: int) -> None:
        """Count a request from now: it has arrived."""
        with contextlib.suppress(StoreError):
            async with self._store.transaction() as database:
                await database.execute(
                    f"update host.model_requests set at = {_CLOCK} where id = %s",  # noqa: S608
                    [number],
                )

    async def _end(self, number: int, lease: Lease) -> None:
        """Note an end; a reply is not lost where that fails, since the hold runs out by itself."""
        with contextlib.suppress(StoreError):
            async with self._store.transaction() as database:
                await database.execute(
                    f"update host.model_requests set at = least(at, {_CLOCK}), "  # noqa: S608
                    "held_until = null, tokens = %s where id = %s",
                    [lease.tokens, number],
                )
                pause = _asked_pause(lease)
                if pause > 0:
                    await database.execute(
                        f"insert into host.model_blocks values (%s, {_CLOCK} + %s) "  # noqa: S608
                        "on conflict (bucket) do update "
                        "set until = greatest(model_blocks.until, excluded.until)",
                        [lease.bucket, pause],
                    )


async def _insert(database: Database, bucket: str, now: float, tokens: int) -> int:
    cursor = await database.execute(
        "insert into host.model_requests (bucket, at, tokens, held_until) "
        "values (%s, %s, %s, %s) returning id",
        [bucket, now + ARRIVAL, tokens, now + HOLD],
    )
    row = await cursor.fetchone() or {}
    return int(row["id"])


def _asked_pause(lease: Lease) -> float:
    """Return how long the provider wants nothing more, by its headers and its refusal."""
    seen = lease.observed
    pauses = [lease.refused_for]
    if seen.requests_left == 0:
        pauses.append(seen.requests_reset or 0.0)
    if seen.tokens_left == 0:
        pauses.append(seen.tokens_reset or 0.0)
    return max(pauses)
