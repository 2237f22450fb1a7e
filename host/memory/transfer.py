"""Takes a memory out as JSON lines and brings one in: ours, or the reference server's file."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from host.domain.errors import MemoryRecordError
from host.memory.access import Access
from host.memory.core import check_label, check_sizes
from host.memory.graph import Entity, Graph
from host.memory.link import Link, add_links
from host.memory.record import Draft, Record
from host.memory.table import fetch_records, insert_drafts
from host.storage.store import Database

BATCH = 500
"""Records that are read or written at a time."""

_EXPORTED = tuple(f.name for f in fields(Record) if f.name not in ("entry", "user_id"))
_DRAFT = TypeAdapter(Draft)


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines of an export.

    Attributes:
        after: Where the next part begins; None after the last.
    """

    lines: list[str]
    after: int | None


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import came to: how many of each were written, and lines that were there already."""

    records: int = 0
    links: int = 0
    entities: int = 0
    relations: int = 0
    skipped: int = 0


async def export_part(access: Access, *, after: int | None = None, most: int = BATCH) -> Part:
    """Return a part of a user's own memory: records with all versions, oldest first, then links."""
    async with access.transaction() as database:
        records = await fetch_records(
            database,
            "where r.user_id = %(user)s and r.entry > %(after)s order by r.entry limit %(most)s",
            {"user": access.user, "after": after or 0, "most": most},
        )
        lines = [_record_line(record) for record in records]
        if len(records) == most:
            return Part(lines, records[-1].entry)
        return Part([*lines, *await _link_lines(database, access)], None)


async def import_lines(access: Access, lines: Iterable[str]) -> Imported:
    """Add what lines say, all of it or, after an error, nothing.

    Versions and links that are there already are skipped.

    Raises:
        MemoryRecordError: A line is not what it should be; the message names it.
    """
    drafts: list[Draft] = []
    links: list[tuple[bool, Link]] = []
    entities: list[Entity] = []
    relations: list[Link] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _parse_line(number, line)
        match row.get("type"):
            case "record":
                drafts.append(_parse_record(number, row))
            case "link":
                link = _parse_link(number, row, ("origin", "target", "kind"))
                links.append((bool(row.get("graph")), link))
            case "entity":
                entities.append(_parse_entity(number, row))
            case "relation":
                relations.append(_parse_link(number, row, ("from", "to", "relationType")))
            case other:
                raise _wrong(number, f"is of the unknown type {other!r}")
    return await _write(access, drafts, links, entities, relations)


async def _write(
    access: Access,
    drafts: list[Draft],
    links: list[tuple[bool, Link]],
    entities: list[Entity],
    relations: list[Link],
) -> Imported:
    async with access.transaction() as database:
        written = await _write_records(database, access, drafts)
        if any(draft.tier == "core" for draft in drafts):
            await check_sizes(database, access)
        made = 0
        for graph in (False, True):
            given = [link for is_graph, link in links if is_graph is graph]
            made += len(await add_links(database, access, given, graph=graph))
    graph = Graph(access)
    new = await graph.create_entities(_joined(entities))
    names = {entity.name for entity in new}
    added = await graph.add_observations(
        [(entity.name, entity.observations) for entity in entities if entity.name not in names]
    )
    arrows = await graph.create_relations(relations)
    known = len(entities) - len(names) - sum(bool(texts) for texts in added)
    return Imported(
        written,
        made,
        len(new),
        len(arrows),
        len(drafts) - written + len(links) - made + max(0, known) + len(relations) - len(arrows),
    )


async def _write_records(database: Database, access: Access, drafts: Sequence[Draft]) -> int:
    written = 0
    for start in range(0, len(drafts), BATCH):
        batch = drafts[start : start + BATCH]
        rows = await (
            await database.execute(
                "select id, version from host.memory_records where user_id = %s and id = any(%s)",
                [access.user, [draft.id for draft in batch]],
            )
        ).fetchall()
        known = {(row["id"], row["version"]) for row in rows}
        new: dict[tuple[str | None, int], Draft] = {}
        for draft in batch:
            if (draft.id, draft.version) not in known:
                new.setdefault((draft.id, draft.version), draft)
        if new:
            await insert_drafts(
                database, list(new.values()), user=access.user, language=access.config.language
            )
        written += len(new)
    return written


def _joined(entities: Sequence[Entity]) -> list[Entity]:
    """Join entities of one name, which a file written by several programs may have."""
    found: dict[str, Entity] = {}
    for entity in entities:
        before = found.get(entity.name)
        seen = before.observations if before else []
        new = [text for text in entity.observations if text not in seen] if before else []
        found[entity.name] = Entity(entity.name, before.type, [*seen, *new]) if before else entity
    return list(found.values())


def _record_line(record: Record) -> str:
    row: dict[str, Any] = {"type": "record"}
    for name in _EXPORTED:
        value = getattr(record, name)
        row[name] = value.isoformat() if isinstance(value, datetime) else value
    return json.dumps(row, ensure_ascii=False)


async def _link_lines(database: Database, access: Access) -> list[str]:
    rows = await (
        await database.execute(
            "select graph, origin, target, kind from host.memory_links"
            " where user_id = %s and forgotten is null order by link",
            [access.user],
        )
    ).fetchall()
    return [json.dumps({"type": "link", **row}, ensure_ascii=False) for row in rows]


def _parse_line(number: int, line: str) -> dict[str, Any]:
    try:
        row: object = json.loads(line)
    except json.JSONDecodeError as error:
        raise _wrong(number, f"is not JSON ({error})") from error
    if not isinstance(row, dict):
        raise _wrong(number, "is not a JSON object")
    return cast("dict[str, Any]", row)


def _parse_record(number: int, row: dict[str, Any]) -> Draft:
    try:
        draft = _DRAFT.validate_python({k: v for k, v in row.items() if k in _EXPORTED})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise _wrong(number, f"has a wrong {place!r}: {first['msg']}") from error
    if draft.id is None:
        raise _wrong(number, "is a record without an 'id'")
    if draft.tier == "core":
        try:
            check_label(draft.label)
        except MemoryRecordError as error:
            raise _wrong(number, f"is a core block with a wrong name: {error.message}") from error
    return draft


def _parse_entity(number: int, row: dict[str, Any]) -> Entity:
    name, kind, texts = row.get("name"), row.get("entityType"), row.get("observations")
    if not isinstance(name, str) or not name or not isinstance(texts, list):
        raise _wrong(number, "is an entity without a name or a list of observations")
    return Entity(name, str(kind or ""), [str(text) for text in cast("list[object]", texts)])


def _parse_link(number: int, row: dict[str, Any], names: tuple[str, str, str]) -> Link:
    parts = [row.get(name) for name in names]
    missing = [n for n, part in zip(names, parts, strict=True) if not isinstance(part, str)]
    if missing:
        raise _wrong(number, f"is a {row['type']} without {missing[0]!r}")
    return Link(*[str(part) for part in parts])


def _wrong(number: int, what: str) -> MemoryRecordError:
    return MemoryRecordError(
        f"Line {number} of the import {what}.",
        next_step="Give what `host memory export` wrote, or the reference server's file.",
    )
