"""What the memory server's tools answer with."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from host.memory.link import Link
from host.memory.record import Hit, Record

_FROZEN = ConfigDict(frozen=True, use_attribute_docstrings=True)


class MemoryItem(BaseModel):
    """A record."""

    model_config = _FROZEN
    id: str
    """What other tools call it."""
    version: int
    """Counts from 1."""
    text: str
    """What is remembered."""
    kind: str
    """fact, event, preference, note, reflection or entity."""
    tier: str
    """core, recall or archival."""
    scope: str
    """Who finds it: user, agent, session or shared."""
    agent: str
    """Which agent; empty if none."""
    session: str
    """Which session; empty if none."""
    label: str
    """Name of a core block or an entity; empty for others."""
    importance: float
    """From 0 to 1."""
    source: str
    """Where it is known from."""
    tags: list[str]
    """Tags."""
    shared_by: str
    """Who wrote it, if it is shared."""
    created: datetime
    """When its first version was written."""
    recorded: datetime
    """When this version was written."""
    valid_from: datetime
    """Since when it is true."""
    valid_until: datetime | None
    """Until when it was true; null means still."""
    superseded: datetime | None
    """When a newer version replaced it; null for the latest."""
    forgotten: datetime | None
    """When it was forgotten; null if it was not."""
    score: float | None = None
    """What it was ranked by; only in searches."""
    similarity: float | None = None
    """Cosine with the query, where there are vectors."""


class MemoryWritten(BaseModel):
    """A record that was written, or was there already."""

    model_config = _FROZEN
    memory: MemoryItem
    """The record."""
    outcome: str
    """new, known (it was there), merged (into one that said the same) or updated."""
    similar: list[MemoryItem]
    """Records close to it, to update or link perhaps."""
    notes: list[str]
    """What else to know."""


class MemoriesFound(BaseModel):
    """Records that fit a query."""

    model_config = _FROZEN
    memories: list[MemoryItem]
    """Best first."""
    ways: list[str]
    """lexical, and vector where there are vectors."""
    notes: list[str]
    """What to know about the search."""


class MemoryContext(BaseModel):
    """What belongs into a prompt now."""

    model_config = _FROZEN
    core: list[MemoryItem]
    """The core blocks."""
    memories: list[MemoryItem]
    """Records that fit, best first, unlike each other."""
    left_out: int
    """Records that fit but not into the characters allowed."""
    notes: list[str]
    """What to know about the search."""


class MemoryPage(BaseModel):
    """A page of records."""

    model_config = _FROZEN
    memories: list[MemoryItem]
    """Newest first."""
    next_cursor: str | None
    """Pass it to get the next page; null after the last."""


class MemoriesChanged(BaseModel):
    """Records that were forgotten, restored or removed."""

    model_config = _FROZEN
    ids: list[str]
    """Their ids."""
    relations: int
    """Relations of the graph that went with them."""


class LinkItem(BaseModel):
    """A link between two records."""

    model_config = _FROZEN
    origin: str
    """Id of the record it starts at."""
    target: str
    """Id of the record it ends at."""
    kind: str
    """What it means."""


class LinkList(BaseModel):
    """Links of a record."""

    model_config = _FROZEN
    links: list[LinkItem]
    """From it and to it."""


class CoreBlocks(BaseModel):
    """Core memory."""

    model_config = _FROZEN
    blocks: list[MemoryItem]
    """The blocks by name, the user's and the agent's."""
    characters: int
    """How long they are together."""
    most_characters: int
    """How long they may be."""


class MemoryLines(BaseModel):
    """A part of an export."""

    model_config = _FROZEN
    lines: str
    """JSON lines; `import_memory` and `host memory import` read them."""
    count: int
    """How many lines."""
    next_cursor: str | None
    """Pass it to get the next part; null after the last."""


class MemoryImported(BaseModel):
    """What an import came to."""

    model_config = _FROZEN
    records: int
    """Versions of records that were written."""
    links: int
    """Links that were written."""
    entities: int
    """Entities of a reference memory server's file that were new."""
    relations: int
    """Relations of such a file that were new."""
    skipped: int
    """Lines that were there already."""


class MemoryStats(BaseModel):
    """How much there is, and how it is searched."""

    model_config = _FROZEN
    user: str
    """Whose memory it is."""
    records: int
    """Records in force."""
    former: int
    """Versions that were replaced."""
    forgotten: int
    """Records that can be restored."""
    by_kind: dict[str, int]
    """Records by tier/kind."""
    embedder: str | None
    """Who makes vectors; null: words alone are searched."""
    embedded: int
    """Records with a vector."""
    missing: int
    """Records that wait for one."""
    notes: list[str]
    """What to know, such as why vectors wait."""


def item_of(record: Record, hit: Hit | None = None) -> MemoryItem:
    """Return a record as tools answer with it."""
    names = set(MemoryItem.model_fields) - {"shared_by", "score", "similarity"}
    given: dict[str, Any] = {name: getattr(record, name) for name in names}
    return MemoryItem(
        **given,
        shared_by=record.user_id if record.scope == "shared" else "",
        score=round(hit.score, 4) if hit else None,
        similarity=round(hit.similarity, 4) if hit and hit.similarity is not None else None,
    )


def link_items(links: list[Link]) -> list[LinkItem]:
    """Return links as tools answer with them."""
    return [LinkItem(origin=x.origin, target=x.target, kind=x.kind) for x in links]


def render(item: MemoryItem) -> str:
    """Return a record in one or more lines of text."""
    about = [item.kind, f"importance {item.importance:g}", f"{item.recorded:%Y-%m-%d}"]
    if item.scope != "user":
        about.insert(0, item.scope if not item.shared_by else f"shared by {item.shared_by}")
    about += [f"#{tag}" for tag in item.tags]
    if item.source:
        about.append(f"from {item.source}")
    if item.superseded is not None:
        about.append(f"replaced {item.superseded:%Y-%m-%d}")
    name = f"{item.label}: " if item.label else ""
    return f"[{item.id}] {name}{item.text} ({', '.join(about)})"
