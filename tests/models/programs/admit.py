"""Asks a shared bucket for places, and sends a request to a server for each that it is given.

Arguments: data folder, bucket, window in seconds, requests a window, tokens a window, how many,
port of the server, seconds that the first request is on its way.
"""

import sys
from pathlib import Path

import anyio

from host.models.config import LimitConfig
from host.models.stored_bucket import StoredBuckets
from host.storage.store import open_store

TOKENS = 10


async def main(words: list[str]) -> None:
    folder, bucket, window, requests, tokens, count, port, late = words
    store = await open_store(None, Path(folder), linger=0.0)
    limits = LimitConfig(
        requests_per_minute=int(requests) or None,
        tokens_per_minute=int(tokens) or None,
        concurrency=2,
    )
    buckets = StoredBuckets(store, window=float(window))
    for number in range(int(count)):
        async with buckets.admit(bucket, limits, TOKENS) as lease:
            await anyio.sleep(0 if number else float(late))  # as one that connects first
            async with await anyio.connect_tcp("127.0.0.1", int(port)) as provider:
                await provider.send(f"{bucket}\n".encode())
                await provider.receive()
            await lease.answered()
    await store.close()


anyio.run(main, sys.argv[1:])
