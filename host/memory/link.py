"""Links between records, and relations between the graph's entities: one table, two name spaces."""

from collections.abc import Sequence
from dataclasses import dataclass

from host.memory.access import Access
from host.storage.store import Database


@dataclass(frozen=True, slots=True)
class Link:
    """A named arrow from one record to another.

    Attributes:
        origin: Id of the record it starts at; with relations the entity's name.
        target: Where it ends.
        kind: What it means, such as `because of` or `works at`.
    """

    origin: str
    target: str
    kind: str


async def add_link(database: Database, access: Access, link: Link, *, graph: bool = False) -> Link:
    """Add a link unless it is there."""
    await add_links(database, access, [link], graph=graph)
    return link


async def add_links(
    database: Database, access: Access, links: Sequence[Link], *, graph: bool = False
) -> list[Link]:
    """Add links; return those that were not there."""
    rows = await (
        await database.execute(
            "insert into host.memory_links (user_id, graph, origin, target, kind)"
            " select %s, %s, o, t, k from unnest(%s::text[], %s::text[], %s::text[])"
            " with ordinality given (o, t, k, place) order by place"
            " on conflict (user_id, graph, origin, target, kind) where forgotten is null"
            " do nothing returning origin, target, kind",
            [
                access.user,
                graph,
                [link.origin for link in links],
                [link.target for link in links],
                [link.kind for link in links],
            ],
        )
    ).fetchall()
    return [Link(row["origin"], row["target"], row["kind"]) for row in rows]


async def remove_link(
    database: Database, access: Access, link: Link, *, graph: bool = False
) -> bool:
    """Take a link out of sight; return whether there was one."""
    done = await database.execute(
        "update host.memory_links set forgotten = now() where user_id = %s and graph = %s"
        " and origin = %s and target = %s and kind = %s and forgotten is null",
        [access.user, graph, link.origin, link.target, link.kind],
    )
    return done.rowcount > 0


async def links_of(database: Database, access: Access, ids: Sequence[str]) -> list[Link]:
    """Return the links of records whose both ends can be seen."""
    rows = await (
        await database.execute(
            "select l.origin, l.target, l.kind from host.memory_links l where l.user_id = %s"
            " and not l.graph and l.forgotten is null"
            " and (l.origin = any(%s) or l.target = any(%s))"
            " and 2 = (select count(distinct r.id) from host.memory_records r"
            " where r.id in (l.origin, l.target) and r.superseded is null and r.forgotten is null)"
            " order by l.link",
            [access.user, list(ids), list(ids)],
        )
    ).fetchall()
    return [Link(row["origin"], row["target"], row["kind"]) for row in rows]


async def read_relations(
    database: Database, access: Access, *, of: Sequence[str] | None = None
) -> list[Link]:
    """Return relations of the graph, oldest first: all, or those that touch some entities."""
    statement = (
        "select origin, target, kind from host.memory_links where user_id = %(user)s and graph"
        " and forgotten is null"
    )
    if of is not None:
        statement += " and (origin = any(%(of)s) or target = any(%(of)s))"
    values = {"user": access.user, "of": None if of is None else list(of)}
    rows = await (await database.execute(f"{statement} order by link".encode(), values)).fetchall()
    return [Link(row["origin"], row["target"], row["kind"]) for row in rows]
