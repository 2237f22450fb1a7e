from datetime import UTC, datetime, timedelta
from math import log
from pathlib import Path
from typing import Any

import pytest

from host.memory import lexical, vectors
from host.memory.config import MemoryConfig, RankingConfig
from host.memory.lexical import Scored
from host.memory.likeness import says_same
from host.memory.ranking import diversify, fuse
from host.memory.record import Draft, Filter, Hit
from host.memory.search import NO_EMBEDDER
from host.storage.store import Database
from tests.memory.people import WordEmbedder, open_memories, texts

pytestmark = pytest.mark.anyio

PLAIN = MemoryConfig(ranking=RankingConfig(recency=0, importance=0))


def bm25(tf: int, df: int, length: int, *, records: int, average: float) -> float:
    """Robertson and Zaragoza's formula, with Lucene's form of the inverse frequency."""
    idf = log(1 + (records - df + 0.5) / (df + 0.5))
    return idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / average))


async def test_scores_are_those_of_bm25(store_folder: Path):
    documents = ["fox fox den", "fox tree", "owl tree tree night", "night night den bird nest"]
    async with open_memories(store_folder, "ann", config=PLAIN) as (memory,):
        await memory.remember_many([Draft(text) for text in documents])

        found = {hit.record.text: hit.lexical for hit in (await memory.search("fox den")).hits}

        assert found == {
            "fox fox den": pytest.approx(
                bm25(2, 2, 3, records=4, average=14 / 4) + bm25(1, 2, 3, records=4, average=14 / 4)
            ),
            "fox tree": pytest.approx(bm25(1, 2, 2, records=4, average=14 / 4)),
            "night night den bird nest": pytest.approx(bm25(1, 2, 5, records=4, average=14 / 4)),
        }


async def test_the_statistics_follow_updates_forgetting_and_restoring(store_folder: Path):
    async with open_memories(store_folder, "ann", config=PLAIN) as (memory,):
        ids = await memory.remember_many([Draft("fox den"), Draft("owl tree"), Draft("fox owl")])

        async def scores() -> list[float | None]:
            return [hit.lexical for hit in (await memory.search("fox")).hits]

        before = await scores()
        await memory.forget([ids[1]])
        changed = await scores()
        await memory.restore([ids[1]])

        assert changed != before
        assert await scores() == before


async def test_a_word_beyond_the_budget_still_scores_and_its_newest_records_are_found(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    async with open_memories(store_folder, "ann", config=PLAIN) as (memory,):
        await memory.remember_many([Draft(f"common thing {n}") for n in range(30)])
        await memory.remember_many([Draft("rare thing"), Draft("rare common thing")])

        async def found() -> list[tuple[str, float | None]]:
            hits = (await memory.search("rare common", most=100)).hits
            return [(hit.record.text, hit.lexical) for hit in hits]

        whole = await found()
        monkeypatch.setattr(lexical, "SCAN_BUDGET", 10)
        wide = await found()
        monkeypatch.setattr(lexical, "WIDE_BUDGET", 10)
        cut = await found()

        assert len(whole) == 32
        assert wide == whole
        assert cut == [*whole[:2], *whole[25:]]


async def test_a_filter_that_leaves_few_looks_at_all_candidates(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lexical, "_FIRST_LOOK", 5)
    monkeypatch.setattr(lexical, "SCAN_BUDGET", 10)
    async with open_memories(store_folder, "ann") as (memory,):
        await memory.remember_many([Draft("fox fox fox") for _ in range(30)])
        await memory.remember_many([Draft("fox and much else to read", tags=("rare",))])

        found = await memory.search("fox", Filter(tags=("rare",)))

        assert texts(found.hits) == ["fox and much else to read"]


async def test_without_an_embedder_a_search_says_that_words_alone_were_searched(
    store_folder: Path,
):
    async with open_memories(store_folder, "ann") as (memory,):
        await memory.remember(Draft("The car is red."))

        found = await memory.search("automobile")

        assert (found.hits, found.ways, found.notes) == ([], ("lexical",), [NO_EMBEDDER])


async def test_a_query_of_stop_words_or_signs_finds_nothing_without_failing(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        await memory.remember(Draft("The car is red."))
        for query in ("the of and", "!?", "'", "a & | ! ( :*", "\\", "%s"):
            assert (await memory.search(query)).hits == []


async def test_vectors_find_other_words_of_the_same_meaning(store_folder: Path):
    async with open_memories(store_folder, "ann", embedder=WordEmbedder()) as (memory,):
        await memory.remember(Draft("the car is red"))
        await memory.remember(Draft("owls hunt at night"))

        found = await memory.search("automobile")

        assert found.ways == ("lexical", "vector")
        assert found.hits[0].record.text == "the car is red"
        assert found.hits[0].lexical is None


async def test_the_index_of_vectors_gives_only_ones_own_and_heeds_filters(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    async with open_memories(store_folder, "ann", "bob", embedder=WordEmbedder()) as (memory, bob):
        await bob.remember_many([Draft(f"car number {n}") for n in range(300)])
        drafts = [Draft(f"thing{n} of sort{n % 7}", tags=(f"t{n % 50}",)) for n in range(300)]
        await memory.remember_many(drafts)
        await memory.catch_up()
        await bob.catch_up()
        wanted = Filter(tags=("t3",))
        monkeypatch.setattr(vectors, "EXACT_LIMIT", 0)

        plain = (await memory.search("thing5 sort5", most=50)).hits
        tagged = (await memory.search("thing5 sort5", wanted, most=50)).hits

        # Which neighbours an HNSW index misses is chance; `bench/memory` measures how many.
        assert "thing5 of sort5" in texts(plain)
        assert any(hit.similarity is not None for hit in plain)
        assert {hit.record.user_id for hit in plain} == {memory.access.user}
        assert {tuple(hit.record.tags) for hit in tagged} == {("t3",)}


async def test_many_vectors_are_searched_by_the_index(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    plans: list[str] = []

    async def explain(database: Database, statement: str, values: dict[str, Any]) -> list[Scored]:
        rows = await (await database.execute(f"explain {statement}".encode(), values)).fetchall()
        plans.append("\n".join(row["QUERY PLAN"] for row in rows))
        return []

    monkeypatch.setattr(vectors, "EXACT_LIMIT", 0)
    monkeypatch.setattr(vectors, "_run", explain)
    async with open_memories(store_folder, "ann", embedder=WordEmbedder()) as (memory,):
        await memory.remember_many([Draft(f"thing{n}") for n in range(50)])
        await memory.catch_up()
        await memory.search("thing5")

    assert "Index Scan using memory_vectors_embedding_idx" in plans[0]


async def test_recent_and_important_records_come_first_among_equals(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        old = datetime.now(UTC) - timedelta(days=300)
        await memory.remember_many(
            [
                Draft("fox old", created=old, recorded=old, valid_from=old),
                Draft("fox new"),
                Draft("fox vital", importance=1.0),
            ]
        )

        assert texts((await memory.search("fox")).hits) == ["fox vital", "fox new", "fox old"]


async def test_reciprocal_and_weighted_fusion_both_prefer_what_both_ways_found(
    store_folder: Path,
):
    async with open_memories(store_folder, "ann", embedder=WordEmbedder()) as (memory,):
        await memory.remember_many([Draft("car red"), Draft("automobile red"), Draft("blue sky")])
        await memory.catch_up()
        hits = (await memory.search("automobile red")).hits
        lexical_way = [Scored(h.record, h.lexical) for h in hits if h.lexical]
        vector_way = [Scored(h.record, h.similarity) for h in hits if h.similarity]
        for fusion in ("weighted", "reciprocal"):
            ranking = RankingConfig(fusion=fusion, recency=0, importance=0)
            fused = fuse(lexical_way, vector_way, ranking)
            assert fused[0].record.text == "automobile red"
            assert fused[0].score == pytest.approx(1.0)


async def test_diversity_prefers_what_was_not_told_yet(store_folder: Path):
    async with open_memories(store_folder, "ann") as (memory,):
        await memory.remember_many(
            [Draft("fox den forest"), Draft("fox den forest again"), Draft("fox music")]
        )

        plain = texts((await memory.search("fox den forest", most=2)).hits)
        diverse = texts((await memory.search("fox den forest", most=2, diversity=0.7)).hits)

        assert set(plain) == {"fox den forest", "fox den forest again"}
        assert diverse == ["fox den forest", "fox music"]


def test_diversify_of_nothing_is_nothing():
    empty: list[Hit] = []
    assert diversify(empty, most=5, diversity=0.5) == []


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("The user likes tea", "User likes tea", True),
        ("Ann likes green tea a lot", "Ann likes green tea a lot.", True),
        ("She said yes to the whole plan", "He said yes to the whole plan", False),
        ("Ann can come on Monday", "Ann can't come on Monday", False),
        ("Ann can come on Monday", "Ann can come on Tuesday", False),
        ("Port is 8080", "Port is 8081", False),
        ("", "", True),
    ],
)
def test_texts_say_the_same_only_if_nothing_decisive_differs(one: str, other: str, same: bool):
    assert says_same(one, other, least=0.8, cosine=0.999) is same
