"""Entities with observations and relations between them, as the reference memory server has them.

An entity is a record of the kind `entity`, so that `search` finds it as well.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from host.domain.errors import NotFoundError
from host.memory import versions
from host.memory.access import Access
from host.memory.link import Link, add_links, read_relations, remove_link
from host.memory.record import Change, Draft, Record
from host.memory.table import (
    fetch_records,
    index_entries,
    insert_drafts,
    unindex_entries,
)
from host.storage.store import Database

_CURRENT = (
    "where r.user_id = %(user)s and r.kind = 'entity' and r.superseded is null"
    " and r.forgotten is null"
)
_PLAIN = re.compile("[a-z0-9 .,:_-]+")
"""Texts that are the same in JSON, and whose lower case nobody disputes."""
_NODES = f"""
select r.label, r.data from host.memory_records r
{_CURRENT} and (%(names)s::text[] is null or r.label = any(%(names)s))
and (%(part)s::text is null or position(%(part)s in lower(r.label || ' ' || r.data::text)) > 0)
order by r.created, coalesce((select f.entry from host.memory_records f
    where f.user_id = r.user_id and f.id = r.id and f.version = 1), r.entry)
"""  # noqa: S608 - no values
"""Entities in the order in which they were made, also where they have newer versions."""


@dataclass(frozen=True, slots=True)
class Entity:
    """A node: a named thing of some type, and what is known about it."""

    name: str
    type: str
    observations: list[str]

    def data(self) -> dict[str, Any]:
        """Return it as it is stored and as the reference server writes it."""
        return {"name": self.name, "entityType": self.type, "observations": self.observations}

    def text(self) -> str:
        """Return it as a text that is searched."""
        return "\n".join([self.type, *self.observations]) or self.name


@dataclass(frozen=True, slots=True)
class Subgraph:
    """Some entities, and relations that touch them."""

    entities: list[Entity]
    relations: list[Link]


class Graph:
    """The graph of one user."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def create_entities(self, entities: Sequence[Entity]) -> list[Entity]:
        """Add entities whose names are new; return those."""
        async with self._access.transaction() as database:
            await self._lock(database)
            known = await self._records(database, [entity.name for entity in entities])
            new: dict[str, Entity] = {}
            for entity in entities:
                if entity.name not in known:
                    new.setdefault(entity.name, entity)
            drafts = [Draft(e.text(), "entity", label=e.name, data=e.data()) for e in new.values()]
            if drafts:
                await insert_drafts(
                    database,
                    drafts,
                    user=self._access.user,
                    language=self._access.config.language,
                )
        return list(new.values())

    async def create_relations(self, relations: Sequence[Link]) -> list[Link]:
        """Add relations that are new; return those."""
        async with self._access.transaction() as database:
            return await add_links(database, self._access, relations, graph=True)

    async def add_observations(self, added: Sequence[tuple[str, list[str]]]) -> list[list[str]]:
        """Add observations to entities; return, for each entity given, those that are new.

        Raises:
            NotFoundError: An entity is not there; then nothing was added.
        """
        results: list[list[str]] = []
        async with self._access.transaction() as database:
            await self._lock(database)
            known = await self._records(database, [name for name, _ in added])
            changed: dict[str, Entity] = {}
            for name, contents in added:
                if name not in known:
                    names = [entity.name for entity in await self._nodes(database)]
                    raise NotFoundError(
                        "entity", name, names, next_step=f"Entity with name {name} not found"
                    )
                entity = changed.get(name) or _entity(name, known[name].data)
                new = [text for text in contents if text not in entity.observations]
                changed[name] = Entity(name, entity.type, [*entity.observations, *new])
                results.append(new)
            for name, entity in changed.items():
                # In place: nothing is lost that a former version would have to keep.
                await self._extend(database, known[name], entity)
        return results

    async def delete_entities(self, names: Sequence[str]) -> None:
        """Forget entities and the relations that touch them; `restore` brings both back."""
        async with self._access.transaction() as database:
            await self._lock(database)
            found = await self._records(database, names)
            if found:
                await versions.forget(database, self._access, [r.id for r in found.values()])
            await database.execute(
                "update host.memory_links set forgotten = now() where user_id = %s and graph"
                " and forgotten is null and (origin = any(%s) or target = any(%s))",
                [self._access.user, list(names), list(names)],
            )

    async def delete_observations(self, deletions: Sequence[tuple[str, list[str]]]) -> None:
        """Remove observations; the former version stays in the entity's history."""
        async with self._access.transaction() as database:
            await self._lock(database)
            for name, gone in deletions:
                known = await self._records(database, [name])
                if name not in known:
                    continue
                entity = _entity(name, known[name].data)
                kept = [text for text in entity.observations if text not in gone]
                if kept != entity.observations:
                    left = Entity(name, entity.type, kept)
                    change = Change(text=left.text(), data=left.data())
                    await versions.supersede(database, self._access, known[name], change)

    async def delete_relations(self, relations: Sequence[Link]) -> None:
        """Take relations out of sight."""
        async with self._access.transaction() as database:
            for relation in relations:
                await remove_link(database, self._access, relation, graph=True)

    async def read(self) -> Subgraph:
        """Return the whole graph, in the order in which it was made."""
        async with self._access.transaction() as database:
            entities = await self._nodes(database)
            relations = await read_relations(database, self._access)
        return Subgraph(entities, relations)

    async def search(self, query: str) -> Subgraph:
        """Return the entities in which a text occurs, whatever its case, with their relations."""
        part = query.lower()
        async with self._access.transaction() as database:
            found = [
                entity
                for entity in await self._nodes(database, part=part)
                if part in "\0".join([entity.name, entity.type, *entity.observations]).lower()
            ]
            return await self._around(database, found)

    async def open(self, names: Sequence[str]) -> Subgraph:
        """Return entities by name, with the relations that touch them."""
        async with self._access.transaction() as database:
            return await self._around(database, await self._nodes(database, names))

    async def _around(self, database: Database, entities: list[Entity]) -> Subgraph:
        names = [entity.name for entity in entities]
        return Subgraph(entities, await read_relations(database, self._access, of=names))

    async def _nodes(
        self, database: Database, names: Sequence[str] | None = None, *, part: str | None = None
    ) -> list[Entity]:
        """Return entities in the order in which they were made: all, by name, or by a text.

        PostgreSQL only sorts out what has a plain text nowhere; what it leaves is to be looked at.
        """
        values = {
            "user": self._access.user,
            "names": None if names is None else list(names),
            "part": part if part and _PLAIN.fullmatch(part) else None,
        }
        rows = await (await database.execute(_NODES.encode(), values)).fetchall()
        return [_entity(str(row["label"]), row["data"]) for row in rows]

    async def _records(self, database: Database, names: Sequence[str]) -> dict[str, Record]:
        """Return the records of entities by their names."""
        where = f"{_CURRENT} and r.label = any(%(names)s)"
        values = {"user": self._access.user, "names": list(names)}
        return {r.label: r for r in await fetch_records(database, where, values)}

    async def _extend(self, database: Database, record: Record, entity: Entity) -> None:
        from psycopg.types.json import Jsonb  # noqa: PLC0415 - with its only use

        await unindex_entries(database, [record.entry])
        await database.execute(
            "update host.memory_records set text = %s, data = %s, recorded = now()"
            " where entry = %s",
            [entity.text(), Jsonb(entity.data()), record.entry],
        )
        await database.execute("delete from host.memory_vectors where entry = %s", [record.entry])
        await index_entries(database, [record.entry])

    async def _lock(self, database: Database) -> None:
        """Let one writer of a user's graph in at a time, since names must stay unique."""
        await database.execute(
            "select pg_advisory_xact_lock(hashtextextended(%s, 2))", [self._access.user]
        )


def _entity(name: str, data: dict[str, Any] | None) -> Entity:
    known = data or {}
    return Entity(name, str(known.get("entityType", "")), list(known.get("observations", [])))
