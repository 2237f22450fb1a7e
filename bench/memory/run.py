"""The memory at 10,000 and 100,000 records: `python -m bench memory [--records N ...]`."""

import argparse
import contextlib
import shutil
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import anyio

from bench.memory.load import BULK, embed, fill
from bench.memory.made import HashEmbedder, Writer
from bench.memory.reference import beside_reference
from bench.memory.users import isolation, transfer
from host.domain.principal import Principal
from host.memory import lexical, vectors
from host.memory.config import MemoryConfig, RankingConfig
from host.memory.memory import Memory
from host.memory.record import Draft, Filter
from host.storage.store import open_store

SMALL = 10_000
"""Records up to which isolation, transfer and the reference server are shown as well."""


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Measure each size in a store of its own."""
    parser = argparse.ArgumentParser("python -m bench memory", description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--searches", type=int, default=200)
    parser.add_argument(
        "--keep", type=Path, help="folder of a store that is kept, so that a next run goes on"
    )
    options = parser.parse_args(arguments)
    print(
        "Vectors come from a deterministic embedder (384 numbers, no meaning): speed, not quality."
    )
    found: dict[str, Any] = {}
    for records in options.records:
        with folder_of_store(options.keep) as folder:
            found[str(records)] = anyio.run(measure, folder, records, options.searches)
    with folder_of_store(None) as folder:
        if min(options.records) <= SMALL:
            found["reference"] = anyio.run(compare_servers, folder)
    return found


async def compare_servers(folder: Path) -> dict[str, Any]:
    """Measure our server beside the reference's, over a store of its own."""
    print("\nbeside the npm reference memory server")
    return await beside_reference(folder)


@contextlib.contextmanager
def folder_of_store(kept: Path | None) -> Generator[Path]:
    """Yield the folder that is kept, or a new one that is removed afterwards."""
    if kept is not None:
        kept.mkdir(mode=0o711, parents=True, exist_ok=True)
        yield kept.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="mah-bench-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def measure(folder: Path, records: int, searches: int) -> dict[str, Any]:
    """Fill a store and search it."""
    store = await open_store(None, folder, linger=0.0)
    principal = Principal("bench", "bench")
    words = Memory(store, principal, MemoryConfig())
    both = Memory(store, principal, MemoryConfig(), embedder=HashEmbedder())
    writer = Writer(seed=2)
    print(f"\n{records:,} records")
    result: dict[str, Any] = {}
    try:
        await store.ready(deadline=None)
        result |= await fill(words, records)
        result |= await embed(store, both, records)
        queries = [writer.query() for _ in range(searches)]
        await check_answered(words, queries)
        ways: dict[str, Callable[[str], Awaitable[object]]] = {
            "search, words": words.search,
            "search, words + vectors": both.search,
            "search with a tag": lambda q: both.search(q, Filter(tags=("t3",))),
            "remember one": lambda q: both.remember(Draft(f"{q} {writer.text(10)}")),
        }
        for name, action in ways.items():
            result[name] = await quantiles(name, action, queries)
        few = queries[: 10 if records >= BULK else 50]
        result["words_recall@10"] = await words_recall(words, few)
        result["index_recall@10"] = await index_recall(both, few)
        if records <= SMALL:
            result["transfer"] = await transfer(store, words, writer)
            result["isolation"] = await isolation(store)
        result["searches_per_s_8_at_once"] = await throughput(both, queries)
        stats = await words.stats()
        result["disk_mb"] = stats.store_bytes / 1e6
        result["memory_mb"] = memory(folder)
        print(
            f"  8 at once {result['searches_per_s_8_at_once']:,.0f} searches/s; disk"
            f" {result['disk_mb']:,.0f} MB ({stats.store_bytes / records:,.0f} bytes a record);"
            f" PostgreSQL's memory {result['memory_mb']:,.0f} MB"
        )
    finally:
        await store.close()
    return result


async def check_answered(memory: Memory, queries: Sequence[str]) -> None:
    """Make sure that what is timed are searches that find something.

    Raises:
        AssertionError: More than a tenth of the queries have no word of any record.
    """
    sample = queries[:50]
    found = [len((await memory.search(query)).hits) for query in sample]
    answered = sum(map(bool, found))
    print(f"  {answered} of {len(sample)} queries find records by their words")
    assert answered >= 0.9 * len(sample)


async def quantiles(
    name: str, action: Callable[[str], Awaitable[object]], queries: Sequence[str]
) -> dict[str, float]:
    """Return the median and the 95th percentile, in milliseconds, after a tenth to warm up."""
    for query in queries[: len(queries) // 10]:
        await action(query)
    times: list[float] = []
    for query in queries:
        start = time.perf_counter()
        await action(query)
        times.append((time.perf_counter() - start) * 1000)
    p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[18]
    print(f"  {name:24} p50 {p50:8.2f} ms   p95 {p95:8.2f} ms")
    return {"p50_ms": p50, "p95_ms": p95}


async def words_recall(memory: Memory, queries: Sequence[str]) -> float:
    """Return the share of the ten best by BM25 that are found though not all postings are read."""
    budget, found, best = lexical.SCAN_BUDGET, 0, 0
    for query in queries:
        tops: list[set[str]] = []
        for lexical.SCAN_BUDGET in (budget, 10**9):
            tops.append({hit.record.id for hit in (await memory.search(query)).hits})
        found += len(tops[0] & tops[1])
        best += len(tops[1])
    lexical.SCAN_BUDGET = budget
    share = found / best
    print(f"  words within their budget beside reading all: {share:.2f} of the ten best")
    return share


async def index_recall(memory: Memory, queries: Sequence[str]) -> float:
    """Return the share of the ten nearest records that the index of vectors finds, too."""
    limit, found = vectors.EXACT_LIMIT, 0
    for query in queries:
        tops: list[set[str]] = []
        for vectors.EXACT_LIMIT in (0, 10**9):
            ranking = RankingConfig(lexical=0, vector=1, recency=0, importance=0)
            config = memory.access.config.model_copy(update={"ranking": ranking})
            asked = Memory(
                memory.access.store, memory.access.principal, config, embedder=HashEmbedder()
            )
            tops.append({hit.record.id for hit in (await asked.search(query)).hits})
        found += len(tops[0] & tops[1])
    vectors.EXACT_LIMIT = limit
    share = found / (10 * len(queries))
    print(f"  index of vectors beside comparing all: {share:.2f} of the ten nearest")
    return share


async def throughput(memory: Memory, queries: Sequence[str]) -> float:
    """Return searches a second with eight tasks searching."""

    async def work(part: Sequence[str]) -> None:
        for query in part:
            await memory.search(query)

    start = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(work, queries[number::8])
    return len(queries) / (time.perf_counter() - start)


def memory(folder: Path) -> float:
    """Return what the store's PostgreSQL keeps in memory, shared pages counted once, in MB."""
    total = 0
    for file in Path("/proc").glob("[0-9]*/smaps_rollup"):
        try:
            place = str(file.with_name("cwd").readlink())
            if not place.startswith(str(folder)):
                continue
            rows = file.read_text().splitlines()
        except OSError:
            continue
        total += sum(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
    return total / 1024
