"""The counts that words are ranked by are those of the records, whatever happened to them."""

from pathlib import Path

import anyio
import pytest

from host.memory.memory import Memory
from host.memory.record import EVERYBODY, Change, Draft
from host.memory.recount import recount_words
from host.memory.reindex import renew_words
from host.memory.transfer import export_part, import_lines
from tests.memory.people import open_memories

pytestmark = pytest.mark.anyio

_KEPT = "select term, found from host.memory_terms where space = %s"
_TRUE = "select term, count(*) as found from host.memory_postings where space = %s group by term"


async def counts(memory: Memory, statement: str, space: str = "") -> dict[str, int]:
    """Return in how many records each word is, as kept or as counted now."""
    async with memory.access.transaction() as database:
        found = await database.execute(statement.encode(), [space or memory.access.user])
        return {row["term"]: row["found"] for row in await found.fetchall()}


async def check(memory: Memory) -> dict[str, int]:
    """Return the counts that are kept; they must be the true ones."""
    kept = await counts(memory, _KEPT)
    assert kept == await counts(memory, _TRUE)
    return kept


async def test_counts_follow_every_change_of_records(store_folder: Path):
    async with open_memories(store_folder, "ann", "heir") as (ann, heir):
        ids = await ann.remember_many([Draft("fox fox den"), Draft("owl tree"), Draft("fox owl")])
        assert await check(ann) == {"fox": 2, "den": 1, "owl": 2, "tree": 1}

        await ann.forget(ids[:2])
        assert await check(ann) == {"fox": 1, "owl": 1}
        await ann.purge(ids[:1])
        await ann.restore(ids[1:2])
        assert await check(ann) == {"fox": 1, "owl": 2, "tree": 1}

        await ann.update(ids[1], Change(text="owl cave"))
        assert (await check(ann))["cave"] == 1

        await import_lines(heir.access, (await export_part(ann.access)).lines)
        assert await check(heir) == await counts(ann, _KEPT)

        await renew_words(ann.access)
        await check(ann)
        assert await recount_words(ann.access) == 0


async def test_counts_hold_while_writers_and_forgetters_of_one_user_work_at_once(
    store_folder: Path,
):
    async with open_memories(store_folder, "ann") as (ann,):
        common = "the common secret"

        async def work(number: int) -> None:
            for turn in range(4):
                drafts = [Draft(f"{common} {number} w{turn}"), Draft(f"{common} rare{number}")]
                ids = await ann.remember_many(drafts)
                await ann.forget(ids)
                await ann.restore(ids[:1])
                if turn % 2:
                    await ann.update(ids[0], Change(text=f"{common} changed"))

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(work, number)

        assert (await check(ann))["secret"] == 36
        assert await recount_words(ann.access) == 0


async def test_drifted_counts_are_mended(store_folder: Path):
    async with open_memories(store_folder, "ann", "bob") as (ann, bob):
        await ann.remember_many([Draft("fox den"), Draft("owl fox")])
        await bob.remember(Draft("fox"))
        before = await check(ann)
        async with ann.access.transaction() as database:
            mine = "space <> '*' and term"
            await database.execute(
                f"update host.memory_terms set found=9 where {mine}='fox'".encode()
            )
            await database.execute(f"delete from host.memory_terms where {mine} = 'den'".encode())
            await database.execute(
                b"insert into host.memory_terms values (current_setting('host.user'), 'ghost', 1)"
            )
            await database.execute(b"update host.memory_corpora set words = 99 where space <> '*'")

        assert await recount_words(ann.access) == 4
        assert await check(ann) == before
        assert await recount_words(ann.access) == 0
        assert await check(bob) == {"fox": 1}


async def test_words_of_shared_records_are_counted_for_everybody(store_folder: Path):
    async with open_memories(store_folder, "ann", "bob") as (ann, bob):
        word = ann.access.user.replace("-", "")
        for memory in (ann, bob):
            await memory.remember(Draft(f"{word} by {memory.access.user}", scope="shared"))

        assert (await counts(bob, _KEPT, EVERYBODY))[word] == 2
        assert (await counts(ann, _TRUE, EVERYBODY))[word] == 2
