import json
import random
from pathlib import Path
from typing import Any

import pytest

from host.domain.errors import MemoryRecordError
from host.memory.core import Edit
from host.memory.graph import Entity
from host.memory.link import Link
from host.memory.memory import Memory
from host.memory.record import Change, Draft, Filter
from host.memory.transfer import export_part, import_lines
from tests.memory.people import open_memories, texts

pytestmark = pytest.mark.anyio


async def export(memory: Memory, most: int = 3) -> list[str]:
    lines: list[str] = []
    after: int | None = None
    while True:
        part = await export_part(memory.access, after=after, most=most)
        lines += part.lines
        if part.after is None:
            return lines
        after = part.after


async def fill(memory: Memory) -> None:
    one = await memory.remember(Draft("Ann drinks tea.", tags=("a",), importance=0.8, source="x"))
    two = await memory.remember(Draft("Tea grows in Assam.", "note"))
    await memory.update(two.record.id, Change(text="Tea grows in Assam and Darjeeling."))
    gone = await memory.remember(Draft("Tea is blue."))
    await memory.forget([gone.record.id])
    await memory.link(one.record.id, two.record.id, "about")
    await memory.core.write("human", Edit("Name: Ann."))
    await memory.graph.create_entities([Entity("Ann", "person", ["likes tea"])])
    await memory.graph.create_relations([Link("Ann", "Bob", "knows")])


async def test_an_import_of_an_export_gives_the_same_answers(store_folder: Path):
    async with open_memories(store_folder, "ann", "bob") as (ann, bob):
        await fill(ann)
        lines = await export(ann)

        done = await import_lines(bob.access, lines)

        assert (done.records, done.links, done.skipped) == (6, 2, 0)
        assert await export(bob, most=500) == lines
        for query in ("tea", "Ann", "where does tea grow"):
            theirs, ours = [(await m.search(query)).hits for m in (ann, bob)]
            assert texts(ours) == texts(theirs)
            assert [h.lexical for h in ours] == [h.lexical for h in theirs]
        assert texts((await bob.page(Filter(forgotten=True))).records) == ["Tea is blue."]
        assert await bob.graph.read() == await ann.graph.read()
        assert texts(await bob.core.read()) == ["Name: Ann."]


async def test_searches_of_an_import_answer_to_the_last_digit(store_folder: Path):
    chance = random.Random(1)  # noqa: S311 - repeatable
    words = [f"w{n}" for n in range(40) for _ in range(40 // (n + 1) + 1)]
    async with open_memories(store_folder, "ann", "bob") as (ann, bob):
        drafts = [Draft(" ".join(chance.choices(words, k=20))) for _ in range(200)]
        await ann.remember_many(drafts)
        await import_lines(bob.access, await export(ann, most=500))
        for _ in range(10):
            query = " ".join(chance.choices(words, k=6))
            theirs, ours = [(await m.search(query)).hits for m in (ann, bob)]
            assert [(h.record.text, h.lexical) for h in ours] == [
                (h.record.text, h.lexical) for h in theirs
            ]
            # The digits behind these depend on the order in which a sum's parts are read.
            assert all(h.lexical == round(h.lexical or 0.0, 9) for h in ours)


async def test_an_import_may_be_repeated(store_folder: Path):
    async with open_memories(store_folder, "ann") as (ann,):
        await fill(ann)
        lines = await export(ann)

        again = await import_lines(ann.access, lines)

        assert (again.records, again.links, again.skipped) == (0, 0, len(lines))
        assert await export(ann) == lines


async def test_the_reference_servers_file_is_imported(store_folder: Path):
    rows: list[dict[str, Any]] = [
        {"type": "entity", "name": "Ann", "entityType": "person", "observations": ["a", "b"]},
        {"type": "entity", "name": "Acme", "entityType": "company", "observations": []},
        {"type": "entity", "name": "Ann", "entityType": "person", "observations": ["c"]},
        {"type": "relation", "from": "Ann", "to": "Acme", "relationType": "works at"},
    ]
    async with open_memories(store_folder, "ann") as (ann,):
        done = await import_lines(ann.access, ["", *(json.dumps(row) for row in rows)])

        whole = await ann.graph.read()
        assert whole.entities == [
            Entity("Ann", "person", ["a", "b", "c"]),
            Entity("Acme", "company", []),
        ]
        assert whole.relations == [Link("Ann", "Acme", "works at")]
        assert (done.entities, done.relations) == (2, 1)
        again = await import_lines(ann.access, [json.dumps(row) for row in rows])
        assert (again.entities, again.relations, again.skipped) == (0, 0, 4)
        assert await ann.graph.read() == whole


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "Line 2 .* not JSON"),
        ("[]", "not a JSON object"),
        ('{"type": "x"}', "unknown type 'x'"),
        ('{"type": "record", "text": "a"}', "without an 'id'"),
        ('{"type": "record", "id": "a"}', "wrong 'text'"),
        ('{"type": "record", "id": "a", "text": "b", "kind": "c"}', "wrong 'kind'"),
        ('{"type": "record", "id": "a", "text": "b", "importance": 7}', "cannot keep"),
        ('{"type": "link", "origin": "a"}', "'target'"),
        ('{"type": "entity", "name": "a"}', "observations"),
        ('{"type": "relation", "from": "a"}', "'to'"),
    ],
)
async def test_a_wrong_line_imports_nothing_and_is_named(store_folder: Path, line: str, said: str):
    good = json.dumps({"type": "record", "id": "good", "text": "fine"})
    async with open_memories(store_folder, "ann") as (ann,):
        with pytest.raises(MemoryRecordError, match=said):
            await import_lines(ann.access, [good, line])
        assert (await ann.page()).records == []
