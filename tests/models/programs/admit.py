"""Asks a shared bucket for places, one after the other, and prints when each was given.

Arguments: data folder, bucket, window in seconds, requests a window, tokens a window, how many.
"""

import sys
from pathlib import Path

import anyio

from host.models.config import LimitConfig
from host.models.stored_bucket import StoredBuckets
from host.storage.store import open_store

TOKENS = 10


async def main(words: list[str]) -> None:
    folder, bucket, window, requests, tokens, count = words
    store = await open_store(None, Path(folder), linger=0.0)
    limits = LimitConfig(
        requests_per_minute=int(requests) or None,
        tokens_per_minute=int(tokens) or None,
        concurrency=2,
    )
    buckets = StoredBuckets(store, window=float(window))
    for _ in range(int(count)):
        async with buckets.admit(bucket, limits, TOKENS) as lease:
            sys.stdout.write(f"{lease.at!r}\n")
    await store.close()


anyio.run(main, sys.argv[1:])
