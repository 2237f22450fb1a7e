"""Entities with observations and relations between them, as the reference memory server has them.

An entity is a record of the kind `entity`, so that `search` finds it as well.
"""

from collections.abc import Callable, Sequence
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
_IN_ORDER = (
    " order by r.created, (select min(f.entry) from host.memory_records f"
    " where f.user_id = r.user_id and f.id = r.id)"
)


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
            known = {r.label for r in await self._records(database)}
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
            known = {r.label: r for r in await self._records(database)}
            changed: dict[str, Entity] = {}
            for name, contents in added:
                if name not in known:
                    raise NotFoundError(
                        "entity", name, known, next_step=f"Entity with name {name} not found"
                    )
                entity = changed.get(name) or _entity(known[name])
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
            found = [r for r in await self._records(database) if r.label in set(names)]
            if found:
                await versions.forget(database, self._access, [r.id for r in found])
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
                known = {r.label: r for r in await self._records(database)}
                if name not in known:
                    continue
                entity = _entity(known[name])
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
            records = await self._records(database)
            relations = await read_relations(database, self._access)
        return Subgraph([_entity(record) for record in records], relations)

    async def search(self, query: str) -> Subgraph:
        """Return the entities in which a text occurs, whatever its case, with their relations."""
        part = query.lower()
        return _around(
            await self.read(),
            lambda e: part in "\0".join([e.name, e.type, *e.observations]).lower(),
        )

    async def open(self, names: Sequence[str]) -> Subgraph:
        """Return entities by name, with the relations that touch them."""
        wanted = set(names)
        return _around(await self.read(), lambda e: e.name in wanted)

    async def _records(self, database: Database) -> list[Record]:
        return await fetch_records(database, _CURRENT + _IN_ORDER, {"user": self._access.user})

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


def _entity(record: Record) -> Entity:
    data = record.data or {}
    return Entity(record.label, str(data.get("entityType", "")), list(data.get("observations", [])))


def _around(whole: Subgraph, chosen: Callable[[Entity], bool]) -> Subgraph:
    entities = [entity for entity in whole.entities if chosen(entity)]
    names = {entity.name for entity in entities}
    return Subgraph(
        entities, [r for r in whole.relations if r.origin in names or r.target in names]
    )
