"""Whether users stay apart under load, and whether an export answers as its origin does."""

import time
from typing import Any

import anyio

from bench.memory.made import HashEmbedder, Writer
from host.domain.principal import Principal
from host.memory.config import MemoryConfig
from host.memory.memory import Memory
from host.memory.record import Draft
from host.memory.transfer import export_part, import_lines
from host.storage.store import Store

USERS = 8
TURNS = 25
QUERIES = 40


async def isolation(store: Store) -> dict[str, Any]:
    """Let users write and search the same words at once; count what they see of each other.

    Raises:
        AssertionError: Somebody saw something of somebody else, or missed something of their own.
    """
    memories = [
        Memory(
            store, Principal(f"one-of-many-{n}", "bench"), MemoryConfig(), embedder=HashEmbedder()
        )
        for n in range(USERS)
    ]
    seen, foreign, missing = 0, 0, 0

    async def work(number: int) -> None:
        nonlocal seen, foreign, missing
        own = f"belongs to number {number}."
        for turn in range(TURNS):
            draft = Draft(f"The common secret of turn {turn} {own}")
            await memories[number].remember(draft, merge=False)
            hits = (await memories[number].search("common secret", most=100)).hits
            page = (await memories[number].page(most=100)).records
            found = [*(hit.record.text for hit in hits), *(record.text for record in page)]
            seen += len(found)
            foreign += sum(not text.endswith(own) for text in found)
            missing += 2 * (turn + 1) - len(found)

    start = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for number in range(USERS):
            tasks.start_soon(work, number)
    rate = 3 * USERS * TURNS / (time.perf_counter() - start)
    print(
        f"  {USERS} users at once, {rate:,.0f} operations/s: {seen:,} records seen,"
        f" {foreign} of them another user's; {missing} of one's own missed"
    )
    assert (foreign, missing) == (0, 0)
    return {"operations_per_s": rate, "seen": seen, "foreign": foreign, "missing": missing}


async def transfer(store: Store, origin: Memory, writer: Writer) -> dict[str, Any]:
    """Export everything, import it for another user, and compare the answers of both.

    Raises:
        AssertionError: An answer differs.
    """
    other = Memory(store, Principal("heir", "bench"), MemoryConfig())
    lines: list[str] = []
    after, start = None, time.perf_counter()
    while True:
        part = await export_part(origin.access, after=after)
        lines += part.lines
        after = part.after
        if after is None:
            break
    exported, start = time.perf_counter() - start, time.perf_counter()
    done = await import_lines(other.access, lines)
    imported = time.perf_counter() - start
    same = 0
    for _ in range(QUERIES):
        query = writer.query()
        answers = [
            [(hit.record.text, hit.lexical) for hit in (await memory.search(query)).hits]
            for memory in (origin, other)
        ]
        same += answers[0] == answers[1]
    print(
        f"  exported {len(lines):,} lines, {len(lines) / exported:,.0f}/s; imported"
        f" {done.records / imported:,.0f}/s; {same} of {QUERIES} searches answer the same"
    )
    assert same == QUERIES
    return {
        "exported_per_s": len(lines) / exported,
        "imported_per_s": done.records / imported,
        "same_answers": same / QUERIES,
    }
