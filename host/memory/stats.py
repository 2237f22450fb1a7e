"""How much a memory holds, and how it can be searched."""

from dataclasses import dataclass

from host.memory import embedding
from host.memory.access import Access

_COUNTS = """
select
    count(*) filter (where superseded is null and forgotten is null) as records,
    count(*) filter (where superseded is not null and forgotten is null) as former,
    count(*) filter (where forgotten is not null and superseded is null) as forgotten,
    count(*) filter (where language <> %(language)s and forgotten is null) as other_language
from host.memory_records r where r.user_id = %(user)s
"""
_GROUPS = """
select tier, kind, count(*) as n from host.memory_records
where user_id = %(user)s and superseded is null and forgotten is null group by tier, kind
order by tier, kind
"""
_BYTES = """
select sum(pg_total_relation_size(c.oid))::bigint as bytes from pg_class c
where c.relnamespace = 'host'::regnamespace and c.relkind = 'r' and c.relname like 'memory\\_%%'
"""


@dataclass(frozen=True, slots=True)
class Stats:
    """What there is.

    Attributes:
        user: Whose memory it is.
        records: Records in force.
        former: Versions that were replaced.
        forgotten: Records that can still be restored.
        by_kind: Records in force by `tier/kind`.
        embedder: Who makes vectors; None if nobody is set.
        embedded: Records with a vector.
        missing: Records that wait for one.
        other_language: Records whose words were stemmed for another language than the one set.
        store_bytes: Size of the memory of all users on disk.
    """

    user: str
    records: int
    former: int
    forgotten: int
    by_kind: dict[str, int]
    embedder: str | None
    embedded: int
    missing: int
    other_language: int
    store_bytes: int


async def read_stats(access: Access) -> Stats:
    """Count a user's memory."""
    values = {"user": access.user, "language": access.config.language}
    async with access.transaction() as database:
        counts = await (await database.execute(_COUNTS, values)).fetchone() or {}
        groups = await (await database.execute(_GROUPS, values)).fetchall()
        size = await (await database.execute(_BYTES, values)).fetchone() or {}
        vectors = await embedding.coverage(database, access) if access.embedder else None
    return Stats(
        user=access.user,
        records=counts["records"],
        former=counts["former"],
        forgotten=counts["forgotten"],
        by_kind={f"{row['tier']}/{row['kind']}": row["n"] for row in groups},
        embedder=access.embedder.name if access.embedder else None,
        embedded=vectors.embedded if vectors else 0,
        missing=vectors.missing if vectors else 0,
        other_language=counts["other_language"],
        store_bytes=size["bytes"],
    )
