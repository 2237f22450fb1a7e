from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from host.domain.errors import HostError, MemoryRecordError, NotFoundError
from host.memory.config import MemoryConfig
from host.memory.record import Change, Draft, Filter
from tests.memory.people import open_memories, texts

pytestmark = pytest.mark.anyio
TEA = "Ann prefers green tea in the morning."


async def test_what_was_remembered_is_found_by_other_forms_of_its_words(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        await memory.remember(Draft(TEA, tags=("drinks",), importance=0.9, source="chat"))
        await memory.remember(Draft("The car is red."))

        found = await memory.search("preferring teas")

        assert texts(found.hits) == [TEA]
        record = found.hits[0].record
        assert (record.tags, record.source, record.version) == (["drinks"], "chat", 1)
        assert record.importance == pytest.approx(0.9)


async def test_tags_are_words_by_which_a_record_is_found(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        await memory.remember(Draft(TEA, tags=("beverage",)))

        assert texts((await memory.search("beverages")).hits) == [TEA]


@pytest.mark.parametrize(
    ("second", "outcome"),
    [
        (TEA, "known"),
        ("ann prefers  GREEN tea in the morning!", "known"),
        ("Ann prefers green tea in a morning.", "merged"),
        ("Ann does not prefer green tea in the morning.", "new"),
        ("Bob prefers green tea in the morning.", "new"),
        ("Ann prefers black coffee in the evening.", "new"),
    ],
)
async def test_a_record_that_says_the_same_is_not_written_twice(
    store_folder: Path, second: str, outcome: str
):
    async with open_memories(store_folder, "ann") as (memory,):
        first = await memory.remember(Draft(TEA))

        again = await memory.remember(Draft(second))

        assert again.outcome == outcome
        assert (again.record.id == first.record.id) is (outcome != "new")
        assert len((await memory.page()).records) == (2 if outcome == "new" else 1)


async def test_numbers_make_two_facts_of_two_alike_sentences(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        sentence = "The weekly review of the whole platform team starts at {} in the large room."
        await memory.remember(Draft(sentence.format("5 pm")))

        again = await memory.remember(Draft(sentence.format("6 pm")))

        assert again.outcome == "new"
        assert texts(again.similar) == [sentence.format("5 pm")]


async def test_merging_keeps_the_former_text_and_joins_tags(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        first = await memory.remember(Draft(TEA, tags=("a",), importance=0.9))

        await memory.remember(Draft("Ann prefers green tea in a morning.", tags=("b",)))

        latest, former = await memory.history(first.record.id)
        assert (latest.tags, round(latest.importance, 3)) == (["a", "b"], 0.9)
        assert former.text == TEA
        assert former.superseded is not None


async def test_equal_records_written_at_once_become_one(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(memory.remember, Draft(TEA))

        assert texts((await memory.page()).records) == [TEA]


async def test_an_update_supersedes_and_the_past_can_still_be_asked(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        then = datetime.now(UTC) - timedelta(days=400)
        old = await memory.remember(Draft("Ann lives in Paris.", valid_from=then))

        moved = await memory.update(old.record.id, Change(text="Ann lives in Rome."))

        assert (moved.record.id, moved.record.version) == (old.record.id, 2)
        assert texts((await memory.search("where Ann lives")).hits) == ["Ann lives in Rome."]
        past = Filter(at=datetime.now(UTC) - timedelta(days=100))
        assert texts((await memory.search("where Ann lives", past)).hits) == ["Ann lives in Paris."]
        everything = await memory.search("where Ann lives", Filter(superseded=True))
        assert len(everything.hits) == 2


async def test_what_is_no_longer_valid_is_not_found(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        yesterday = datetime.now(UTC) - timedelta(days=1)
        done = await memory.remember(Draft("The shop is closed.", valid_until=yesterday))

        assert (await memory.search("shop")).hits == []
        assert (await memory.get(done.record.id)).valid_until == yesterday


async def test_forgetting_is_undone_with_history_and_purging_is_not(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        record_id = (await memory.remember(Draft(TEA))).record.id
        await memory.update(record_id, Change(importance=0.7))

        await memory.forget([record_id])
        assert (await memory.search("tea")).hits == []
        assert (await memory.page()).records == []
        assert texts((await memory.page(Filter(forgotten=True))).records) == [TEA]
        with pytest.raises(NotFoundError, match="restore"):
            await memory.get(record_id)

        await memory.restore([record_id])
        assert texts((await memory.search("tea")).hits) == [TEA]
        assert len(await memory.history(record_id)) == 2

        await memory.forget([record_id])
        assert await memory.purge([record_id]) == 2
        with pytest.raises(NotFoundError):
            await memory.restore([record_id])


async def test_only_what_was_forgotten_long_ago_is_purged(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        old, new = [(await memory.remember(Draft(f"Thing {n}."))).record.id for n in (1, 2)]
        await memory.forget([old, new])
        async with memory.access.transaction() as database:
            await database.execute(
                "update host.memory_records set forgotten = now() - interval '31 days'"
                " where id = %s",
                [old],
            )

        assert await memory.purge_expired() == 1

        await memory.restore([new])
        with pytest.raises(NotFoundError):
            await memory.restore([old])


async def test_agents_and_sessions_find_their_own_and_the_users(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        await memory.remember(Draft("Plan of the user."))
        await memory.remember(Draft("Plan of the coder.", scope="agent", agent="coder"))
        await memory.remember(Draft("Plan of today.", scope="session", session="s1"))

        async def plans(**where: object) -> set[str]:
            return set(texts((await memory.search("plan", Filter(**where))).hits))  # type: ignore[arg-type]

        assert await plans() == {"Plan of the user."}
        assert await plans(agent="coder") == {"Plan of the user.", "Plan of the coder."}
        assert await plans(agent="tester") == {"Plan of the user."}
        assert await plans(session="s1") == {"Plan of the user.", "Plan of today."}
        assert len(await plans(everything=True)) == 3
        assert await plans(everything=True, scopes=("session",)) == {"Plan of today."}


async def test_filters_narrow_a_search(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        await memory.remember(Draft("Ship one.", "event", tags=("a", "b"), importance=0.9))
        await memory.remember(Draft("Ship two.", "fact", tags=("a",), source="mail"))
        await memory.remember(Draft("Ship three.", "note", tier="recall"))
        moment = datetime.now(UTC)
        await memory.remember(Draft("Ship four.", "note"))

        async def ships(wanted: Filter) -> set[str]:
            return {text.split()[1] for text in texts((await memory.search("ship", wanted)).hits)}

        assert await ships(Filter(kinds=("event", "fact"))) == {"one.", "two."}
        assert await ships(Filter(tags=("a",))) == {"one.", "two."}
        assert await ships(Filter(tags=("a", "b"))) == {"one."}
        assert await ships(Filter(source="mail")) == {"two."}
        assert await ships(Filter(tiers=("recall",))) == {"three."}
        assert await ships(Filter(min_importance=0.8)) == {"one."}
        assert await ships(Filter(since=moment)) == {"four."}
        assert await ships(Filter(until=moment)) == {"one.", "two.", "three."}


async def test_pages_show_every_record_once(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        await memory.remember_many([Draft(f"Line {n}.") for n in range(7)])
        seen: list[str] = []
        cursor: int | None = None
        while True:
            page = await memory.page(most=3, cursor=cursor)
            seen += texts(page.records)
            if page.next_cursor is None:
                break
            cursor = page.next_cursor

        assert seen == [f"Line {n}." for n in reversed(range(7))]


async def test_links_are_shown_until_removed_or_an_end_is_forgotten(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        one, two = [(await memory.remember(Draft(f"Thing {n}."))).record.id for n in (1, 2)]
        await memory.link(one, two, "because of")
        await memory.link(one, two, "because of")
        assert [(x.origin, x.target, x.kind) for x in await memory.links([two])] == [
            (one, two, "because of")
        ]

        await memory.forget([two])
        assert await memory.links([one]) == []
        await memory.restore([two])
        assert len(await memory.links([one])) == 1
        assert await memory.unlink(one, two, "because of")
        assert await memory.links([one]) == []
        with pytest.raises(NotFoundError):
            await memory.link(one, "nowhere", "related to")


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        (Draft("  "), "empty"),
        (Draft("x" * 21), "20 is the most"),
        (Draft("a\0b"), "NUL"),
        (Draft("x", scope="agent"), "which agent"),
        (Draft("x", scope="session"), "which session"),
        (Draft("x", source="a\0b"), "cannot keep"),
        (Draft("x", importance=2.0), "cannot keep"),
    ],
)
async def test_a_record_that_cannot_be_written_is_refused_with_the_reason(
    store_folder: Path, draft: Draft, said: str
):
    config = MemoryConfig(max_text_chars=20)
    async with open_memories(store_folder, "ann", config=config) as (memory,):
        with pytest.raises(MemoryRecordError, match=said):
            await memory.remember(draft)
        assert (await memory.page()).records == []


async def test_an_update_that_changes_nothing_or_a_core_block_is_refused(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        record_id = (await memory.remember(Draft(TEA))).record.id
        with pytest.raises(MemoryRecordError, match="changes nothing"):
            await memory.update(record_id, Change())
        with pytest.raises(HostError, match="no memory named 'x'"):
            await memory.update("x", Change(text="y"))


async def test_a_time_that_ends_before_it_begins_is_refused(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        late, early = datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1)  # noqa: DTZ001 - as callers give it
        with pytest.raises(MemoryRecordError, match="before valid_from"):
            await memory.remember(Draft(TEA, valid_from=late, valid_until=early))
        record_id = (await memory.remember(Draft(TEA))).record.id
        with pytest.raises(MemoryRecordError, match="before valid_from"):
            await memory.update(record_id, Change(valid_from=late, valid_until=early))
        ended = await memory.update(record_id, Change(valid_until=late))
        assert ended.record.valid_until == late


async def test_statistics_count_records_versions_and_what_was_forgotten(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        one = (await memory.remember(Draft("One."))).record.id
        two = (await memory.remember(Draft("Two.", "event"))).record.id
        await memory.update(one, Change(text="One and a half."))
        await memory.forget([two])

        stats = await memory.stats()

        assert (stats.records, stats.former, stats.forgotten) == (1, 1, 1)
        assert stats.by_kind == {"archival/fact": 1}
        assert stats.embedder is None
        assert stats.store_bytes > 0
