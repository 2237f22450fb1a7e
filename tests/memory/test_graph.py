from pathlib import Path

import anyio
import pytest

from host.domain.errors import MemoryRecordError, NotFoundError
from host.memory.config import MemoryConfig
from host.memory.core import Edit
from host.memory.graph import Entity, Subgraph
from host.memory.link import Link
from host.memory.record import Filter
from tests.memory.people import open_memories, texts

pytestmark = pytest.mark.anyio
ANN = Entity("Ann", "person", ["likes tea"])
ACME = Entity("Acme", "company", [])
WORKS = Link("Ann", "Acme", "works at")


async def test_entities_keep_their_order_and_are_found_by_search(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        assert await memory.graph.create_entities([ANN, ACME, ANN]) == [ANN, ACME]
        assert await memory.graph.create_entities([Entity("Ann", "cat", [])]) == []
        assert await memory.graph.create_relations([WORKS, WORKS]) == [WORKS]
        assert await memory.graph.add_observations([("Ann", ["likes tea", "lives in Rome"])]) == [
            ["lives in Rome"]
        ]

        whole = await memory.graph.read()

        both = Entity("Ann", "person", ["likes tea", "lives in Rome"])
        assert whole == Subgraph([both, ACME], [WORKS])
        assert await memory.graph.search("ROME") == Subgraph([both], [WORKS])
        assert await memory.graph.open(["Acme", "Nobody"]) == Subgraph([ACME], [WORKS])
        found = await memory.search("who lives in Rome?")
        assert [hit.record.label for hit in found.hits] == ["Ann"]


async def test_observations_of_a_missing_entity_add_nothing_at_all(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        await memory.graph.create_entities([ANN])

        with pytest.raises(NotFoundError, match="Bob"):
            await memory.graph.add_observations([("Ann", ["new"]), ("Bob", ["newer"])])

        assert (await memory.graph.read()).entities == [ANN]


async def test_deleted_observations_stay_in_history_and_the_order_stays(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        await memory.graph.create_entities([ANN])
        await memory.graph.create_entities([ACME])
        await memory.graph.delete_observations([("Ann", ["likes tea", "never said"]), ("X", ["y"])])

        assert [entity.name for entity in (await memory.graph.read()).entities] == ["Ann", "Acme"]
        (record,) = [r for r in (await memory.page()).records if r.label == "Ann"]
        former = (await memory.history(record.id))[1]
        assert (former.data or {})["observations"] == ["likes tea"]


async def test_deleting_an_entity_takes_its_relations_and_restoring_brings_them_back(
    store_folder: Path,
):
    async with open_memories(store_folder, "ann") as (memory,):
        await memory.graph.create_entities([ANN, ACME])
        await memory.graph.create_relations([WORKS, Link("X", "Y", "is")])

        await memory.graph.delete_entities(["Ann", "Nobody"])
        assert await memory.graph.read() == Subgraph([ACME], [Link("X", "Y", "is")])

        (hidden,) = (await memory.page(Filter(forgotten=True))).records
        await memory.restore([hidden.id])
        back = await memory.graph.read()
        assert back.entities == [ANN, ACME]
        assert set(back.relations) == {WORKS, Link("X", "Y", "is")}


async def test_an_entity_is_not_restored_over_a_new_one_of_its_name(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        await memory.graph.create_entities([ANN])
        await memory.graph.delete_entities(["Ann"])
        (hidden,) = (await memory.page(Filter(forgotten=True))).records
        await memory.graph.create_entities([ANN])

        with pytest.raises(MemoryRecordError, match="one of this name already"):
            await memory.restore([hidden.id])


async def test_writers_at_once_lose_no_observation(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        await memory.graph.create_entities([ACME])

        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(memory.graph.add_observations, [("Acme", [f"fact {number}"])])

        (entity,) = (await memory.graph.read()).entities
        assert sorted(entity.observations) == sorted(f"fact {n}" for n in range(10))


async def test_core_blocks_are_written_edited_extended_and_removed(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        core = memory.core
        await core.write("human", Edit("Name: Ann. City: Rome."))
        await core.write("human", Edit("Oslo", old="Rome"))
        await core.write("human", Edit("Likes tea.", append=True))
        await core.write("style", Edit("Terse."), agent="coder")

        assert texts(await core.read()) == ["Name: Ann. City: Oslo.\nLikes tea."]
        assert [block.label for block in await core.read("coder")] == ["human", "style"]
        with pytest.raises(MemoryRecordError, match="occurs 0 times"):
            await core.write("human", Edit("x", old="Paris"))
        with pytest.raises(NotFoundError):
            await core.write("absent", Edit("x", old="y"))

        (block,) = await core.read()
        assert [r.version for r in await memory.history(block.id)] == [3, 2, 1]
        assert await core.write("human", Edit("")) is None
        assert await core.read() == []
        await memory.restore([block.id])
        assert texts(await core.read()) == ["Name: Ann. City: Oslo.\nLikes tea."]


async def test_core_memory_has_a_size(store_folder: Path):
    config = MemoryConfig(core_block_chars=10, core_chars=15)
    async with open_memories(store_folder, "ann", config=config) as (memory,):
        await memory.core.write("a", Edit("x" * 10))
        with pytest.raises(MemoryRecordError, match="10 is the most"):
            await memory.core.write("a", Edit("y", append=True))
        with pytest.raises(MemoryRecordError, match="15 is the most"):
            await memory.core.write("b", Edit("x" * 6))
        assert texts(await memory.core.read()) == ["x" * 10]
