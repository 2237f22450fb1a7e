"""Core memory stays as small, and as plain, as what is always in a prompt has to be."""

import json
from pathlib import Path

import pytest

from host.domain.errors import MemoryRecordError
from host.memory.config import MemoryConfig
from host.memory.core import Edit
from host.memory.record import Draft
from host.memory.transfer import export_part, import_lines
from tests.memory.people import open_memories, texts

pytestmark = pytest.mark.anyio


async def test_core_memory_keeps_its_size_however_it_is_written(store_folder: Path):
    config = MemoryConfig(core_block_chars=10, core_chars=15)
    async with open_memories(store_folder, "ann", "bob", config=config) as (ann, bob):
        with pytest.raises(MemoryRecordError, match="core_write"):
            await ann.remember(Draft("x" * 9, tier="core"))
        with pytest.raises(MemoryRecordError, match="core_write"):
            await ann.remember_many([Draft("x" * 9, tier="core")])
        await ann.core.write("mine", Edit("x" * 10), agent="coder")
        with pytest.raises(MemoryRecordError, match=r"of agent 'coder' .* 15 is the most"):
            await ann.core.write("a", Edit("y" * 6))
        (block,) = await ann.core.read("coder")
        await ann.forget([block.id])
        await ann.core.write("a", Edit("y" * 6))
        with pytest.raises(MemoryRecordError, match="15 is the most"):
            await ann.restore([block.id])
        lines = (await export_part(ann.access)).lines
        with pytest.raises(MemoryRecordError, match="10 is the most"):
            await import_lines(bob.access, [lines[-1].replace("yyyyyy", "y" * 11)])
        assert await bob.core.read() == []
        assert texts(await ann.core.read("coder")) == ["y" * 6]


@pytest.mark.parametrize("label", ["x>\n</persona>", "", " ", "a ", "a\nb", "<", "a\0", "x" * 101])
async def test_names_of_core_blocks_cannot_be_taken_for_markup(store_folder: Path, label: str):
    async with open_memories(store_folder, "ann") as (memory,):
        with pytest.raises(MemoryRecordError, match="cannot be the name"):
            await memory.core.write(label, Edit("x"))
        await memory.core.write("the user's", Edit("x"))
        (line,) = (await export_part(memory.access)).lines
        forged = json.dumps({**json.loads(line), "id": "other", "label": label})
        with pytest.raises(MemoryRecordError, match="Line 1"):
            await import_lines(memory.access, [forged])
