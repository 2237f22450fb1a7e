"""One user never sees another's: through the memory, nor with SQL of their own."""

from pathlib import Path

import anyio
import psycopg
import pytest

from host.domain.errors import AccessError, NotFoundError
from host.domain.principal import Principal
from host.memory.graph import Entity
from host.memory.link import Link
from host.memory.record import Change, Draft, Filter
from host.memory.transfer import export_part
from tests.memory.people import WordEmbedder, open_memories, texts

pytestmark = pytest.mark.anyio

TABLES = ("records", "postings", "vectors", "links", "corpora", "terms")


async def test_nothing_of_another_user_is_found_listed_changed_or_exported(store_folder: Path):
    async with open_memories(store_folder, "ann", "bob", embedder=WordEmbedder()) as (ann, bob):
        secret = (await ann.remember(Draft("The password is swordfish."))).record.id
        await ann.graph.create_entities([Entity("Vault", "place", ["in the cellar"])])

        assert (await bob.search("password swordfish")).hits == []
        assert (await bob.page()).records == []
        assert (await bob.graph.read()).entities == []
        assert (await export_part(bob.access)).lines == []
        for attempt in (
            bob.get(secret),
            bob.history(secret),
            bob.update(secret, Change(text="x")),
            bob.forget([secret]),
            bob.link(secret, secret, "is"),
        ):
            with pytest.raises(NotFoundError):
                await attempt
        assert (await bob.stats()).records == 0


@pytest.mark.parametrize("table", TABLES)
async def test_row_level_security_hides_every_table_from_plain_sql(store_folder: Path, table: str):
    async with open_memories(store_folder, "ann", "bob", embedder=WordEmbedder()) as (ann, bob):
        one = await ann.remember(Draft("The password is swordfish."))
        two = await ann.remember(Draft("It rains."))
        await ann.link(one.record.id, two.record.id, "with")
        mine = {ann.access.user, one.record.entry, two.record.entry}

        async def rows(principal: Principal | None) -> int:
            async with ann.access.store.transaction(principal) as database:
                query = f"select * from host.memory_{table}"
                found = await (await database.execute(query.encode())).fetchall()
                return sum(
                    bool(mine & {row.get("user_id"), row.get("space"), row.get("entry")})
                    for row in found
                )

        assert await rows(ann.access.principal) > 0
        assert await rows(bob.access.principal) == 0
        assert await rows(None) == 0


async def test_row_level_security_refuses_to_write_in_anothers_name(store_folder: Path):
    async with open_memories(store_folder, "ann", "bob") as (ann, bob):
        entry = (await ann.remember(Draft("Mine.", scope="shared"))).record.entry
        statements = (
            f"update host.memory_records set user_id = '{ann.access.user}'"
            f" where user_id = '{bob.access.user}'",
            "insert into host.memory_postings (space, term, entry, count, length)"
            f" values ('*', 'planted', {entry}, 1, 1)",
            "insert into host.memory_postings (space, term, entry, count, length)"
            f" values ('{ann.access.user}', 'planted', {entry}, 1, 1)",
        )
        await bob.remember(Draft("His."))
        for statement in statements:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                async with bob.access.transaction() as database:
                    await database.execute(statement.encode())
        async with bob.access.transaction() as database:
            for table in ("memory_records", "memory_postings"):
                done = await database.execute(
                    f"delete from host.{table} where entry = {entry}".encode()
                )
                assert done.rowcount == 0


async def test_shared_records_are_read_by_all_and_changed_by_their_author(store_folder: Path):
    async with open_memories(store_folder, "ann", "bob", embedder=WordEmbedder()) as (ann, bob):
        word = ann.access.user.replace("-", "")
        shared = await ann.remember(Draft(f"The office {word} is open.", scope="shared"))

        assert texts((await bob.search(word)).hits) == [f"The office {word} is open."]
        assert (await bob.get(shared.record.id)).user_id == ann.access.user
        for attempt in (
            bob.update(shared.record.id, Change(text="closed")),
            bob.forget([shared.record.id]),
        ):
            with pytest.raises(AccessError, match="shared by"):
                await attempt

        await ann.forget([shared.record.id])
        assert (await bob.search(word)).hits == []
        forgotten = Filter(forgotten=True)
        assert [one.id for one in (await ann.page(forgotten)).records] == [shared.record.id]
        assert shared.record.id not in {one.id for one in (await bob.page(forgotten)).records}


async def test_users_stay_apart_while_all_of_them_work_at_once(store_folder: Path):
    names = [f"user{n}" for n in range(8)]
    async with open_memories(store_folder, *names, embedder=WordEmbedder()) as memories:
        wrong: list[str] = []

        async def work(number: int) -> None:
            memory = memories[number]
            for turn in range(12):
                await memory.remember(Draft(f"Common secret number{number} turn{turn} kept."))
                found = await memory.search("common secret kept", most=100)
                wrong.extend(t for t in texts(found.hits) if f"number{number} " not in t)
                assert len(found.hits) == turn + 1
                page = await memory.page(most=100)
                wrong.extend(t for t in texts(page.records) if f"number{number} " not in t)

        async with anyio.create_task_group() as tasks:
            for number in range(len(names)):
                tasks.start_soon(work, number)

        assert wrong == []


async def test_the_statistics_of_words_are_of_ones_own_records(store_folder: Path):
    async with open_memories(store_folder, "ann", "bob") as (ann, bob):
        drafts = [Draft("apple pear"), Draft("apple plum"), Draft("pear fig")]
        await ann.remember_many(drafts)
        before = [hit.lexical for hit in (await ann.search("apple fig")).hits]

        await bob.remember_many([Draft(f"fig fig fig {n}") for n in range(50)])

        assert [hit.lexical for hit in (await ann.search("apple fig")).hits] == before


async def test_links_and_relations_of_others_are_out_of_reach(store_folder: Path):
    async with open_memories(store_folder, "ann", "bob") as (ann, bob):
        await ann.graph.create_relations([Link("A", "B", "knows")])

        await bob.graph.delete_relations([Link("A", "B", "knows")])
        await bob.graph.delete_entities(["A"])

        assert (await ann.graph.read()).relations == [Link("A", "B", "knows")]
        assert (await bob.graph.read()).relations == []
