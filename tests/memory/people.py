"""Opens memories in the tests' store, each test's users being its own."""

import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from host.domain.principal import Principal
from host.memory.config import MemoryConfig
from host.memory.embedder import Embedder, Purpose, Vector
from host.memory.memory import Memory
from host.memory.table import unindex_entries
from host.storage.store import Store, open_store

SYNONYMS = {"car": "vehicle", "automobile": "vehicle", "physician": "doctor", "cash": "money"}
DIMENSIONS = 256


@asynccontextmanager
async def open_memories(
    folder: Path, *users: str, config: MemoryConfig | None = None, embedder: Embedder | None = None
) -> AsyncGenerator[list[Memory]]:
    """Yield one memory for each user; the names get an ending that no other test has."""
    store: Store = await open_store(None, folder, linger=0.0)
    ending = secrets.token_hex(4)
    memories = [
        Memory(store, Principal(f"{user}-{ending}", "test"), config, embedder=embedder)
        for user in users
    ]
    try:
        yield memories
    finally:
        for memory in memories:
            await _remove_shared(memory)
        await store.close()


async def _remove_shared(memory: Memory) -> None:
    """Leave nothing behind that other tests' users would see."""
    async with memory.access.transaction() as database:
        rows = await (
            await database.execute(
                "select entry from host.memory_records where user_id = %s and scope = 'shared'",
                [memory.access.user],
            )
        ).fetchall()
        entries = [row["entry"] for row in rows]
        await unindex_entries(database, entries)
        await database.execute("delete from host.memory_records where entry = any(%s)", [entries])


class WordEmbedder:
    """Deterministic vectors: one place for each word, the same for words of one meaning."""

    def __init__(self, name: str = "words", size: int = DIMENSIONS) -> None:
        self.name = name
        self._size = size
        self.asked: list[str] = []
        self.failure: Exception | None = None

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        assert purpose in ("record", "query")
        if self.failure is not None:
            raise self.failure
        self.asked += texts
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> Vector:
        vector = [0.0] * self._size
        for word in text.lower().replace(".", " ").split():
            meaning = SYNONYMS.get(word, word)
            vector[sum(ord(c) * 31**i for i, c in enumerate(meaning)) % self._size] += 1.0
        return vector if any(vector) else [1.0] * self._size


def texts(found: Sequence[object]) -> list[str]:
    """Return the texts of hits or records."""
    return [cast("Any", getattr(one, "record", one)).text for one in found]
