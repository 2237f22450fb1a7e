"""Fills a store for the benchmark of the memory, going on where a former run was stopped."""

import time
from typing import Any

from bench.memory.made import Writer
from host.memory.memory import Memory
from host.memory.record import Draft
from host.storage.store import Database, Store

PART = 5000
"""Records that are handed over at a time."""
BULK = 200_000
"""Records from which the index of vectors is made after the vectors, as a bulk load would."""
SIZE = 384
"""Numbers of a vector."""


async def fill(memory: Memory, records: int) -> dict[str, Any]:
    """Write records in bulk; return how many a second, without the time to make the texts up."""
    there = (await memory.stats()).records
    if there >= records:
        return {}
    writer, spent = Writer(seed=there + 1), 0.0
    for first in range(there, records, PART):
        drafts = [
            Draft(writer.record(), tags=(f"t{n % 100}",))
            for n in range(first, min(first + PART, records))
        ]
        start = time.perf_counter()
        await memory.remember_many(drafts)
        spent += time.perf_counter() - start
    rate = (records - there) / spent
    print(f"  written {rate:,.0f}/s in bulk, words indexed")
    return {"insert_per_s": rate}


async def embed(store: Store, memory: Memory, records: int) -> dict[str, Any]:
    """Give every record its vector; of very many, the index is made afterwards, in one go."""
    result: dict[str, Any] = {}
    many = records >= BULK and (await memory.stats()).missing >= BULK // 10
    database = await store.connect("owner")
    try:
        name = await index_name(database) if many else None
        if name is not None:
            await database.execute(f"drop index host.{name}".encode())
        start = time.perf_counter()
        done = await memory.catch_up()
        if done.embedded:
            result["vectors_per_s"] = done.embedded / (time.perf_counter() - start)
            print(f"  vectors {result['vectors_per_s']:,.0f}/s (embedder included)", end="")
            print("" if many else ", indexed one by one")
        if await index_name(database) is None:
            result["index_s"] = await make_index(database)
            print(f"  their index, made afterwards: {result['index_s']:,.0f} s")
    finally:
        await database.close()
    return result


async def index_name(database: Database) -> str | None:
    """Return the name of the index of vectors of this size; None if it was not made yet."""
    found = await database.execute(
        "select indexname from pg_indexes where tablename = 'memory_vectors' and indexdef like %s",
        [f"%halfvec({SIZE})%"],
    )
    row = await found.fetchone()
    return None if row is None else str(row["indexname"])


async def make_index(database: Database) -> float:
    """Make the index that the migration makes; return the seconds that it took."""
    start = time.perf_counter()
    await database.execute("set maintenance_work_mem = '2GB'")
    await database.execute(
        f"create index on host.memory_vectors using hnsw ((embedding::halfvec({SIZE}))"
        f" halfvec_cosine_ops) where dimensions = {SIZE}".encode()
    )
    return time.perf_counter() - start
