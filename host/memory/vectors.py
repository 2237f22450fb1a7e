"""Keeps records' vectors and finds records by them, one by one or by an HNSW index."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from host.memory.embedder import Vector
from host.memory.lexical import Scored
from host.memory.record import COLUMNS, EVERYBODY, Filter, Record
from host.memory.table import where_of
from host.storage.store import Database

INDEXED = (256, 384, 512, 768, 1024, 1536, 2048, 3072)
"""Sizes of vectors that the migration made an index for."""
EXACT_LIMIT = 10_000
"""Vectors of a user up to which all are compared: exact, and as fast as the index."""
_WIDER = 10
"""How many times more neighbours are looked at when a filter leaves too few."""

_MISSING = """
from host.memory_records r
where r.user_id = %(user)s and r.forgotten is null and not exists (
    select from host.memory_vectors v where v.entry = r.entry and v.embedder = %(embedder)s
)
"""

_INSERT = """
insert into host.memory_vectors (entry, embedder, space, dimensions, embedding)
select r.entry, %(embedder)s, r.space, %(dimensions)s, given.vector::halfvec
from unnest(%(entries)s::bigint[], %(vectors)s::text[]) given (entry, vector)
join host.memory_records r using (entry)
where r.forgotten is null
on conflict do nothing
"""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many records have a vector of the embedder in use."""

    embedded: int
    missing: int


async def embedder_id(database: Database, name: str, dimensions: int | None) -> int | None:
    """Return the number of an embedder, registering it when its size is known.

    Raises:
        ValueError: It now gives vectors of another size than before.
    """
    if dimensions is not None:
        await database.execute(
            "insert into host.memory_embedders (name, dimensions) values (%s, %s)"
            " on conflict do nothing",
            [name, dimensions],
        )
    row = await (
        await database.execute(
            "select id, dimensions from host.memory_embedders where name = %s", [name]
        )
    ).fetchone()
    if row is not None and dimensions is not None and row["dimensions"] != dimensions:
        raise ValueError(f"{name} gave {row['dimensions']} numbers before and {dimensions} now")
    return None if row is None else int(row["id"])


async def insert_vectors(
    database: Database, entries: Sequence[int], vectors: Sequence[Vector], *, embedder: int
) -> None:
    """Write vectors of records that are still there."""
    if entries:
        await database.execute(
            _INSERT,
            {
                "embedder": embedder,
                "dimensions": len(vectors[0]),
                "entries": list(entries),
                "vectors": [render_vector(vector) for vector in vectors],
            },
        )


async def missing_records(
    database: Database, *, user: str, embedder: int, most: int, before: int | None = None
) -> list[tuple[int, str]]:
    """Return the newest of a user's records without a vector, as row number and text.

    Args:
        database: A transaction of the user.
        user: Whose records.
        embedder: Of which embedder a vector is missing.
        most: How many.
        before: Only records of rows before this one: a walk need not pass again what it has done.
    """
    statement = f"select r.entry, concat_ws(': ', nullif(r.label, ''), r.text) as text {_MISSING}"
    values = {"user": user, "embedder": embedder, "most": most, "before": before}
    if before is not None:
        statement += " and r.entry < %(before)s"
    rows = await (
        await database.execute(f"{statement} order by r.entry desc limit %(most)s".encode(), values)
    ).fetchall()
    return [(int(row["entry"]), str(row["text"])) for row in rows]


async def read_coverage(database: Database, *, user: str, embedder: int | None) -> Coverage:
    """Return how far the vectors are."""
    values = {"user": user, "embedder": embedder or 0}
    row = await (
        await database.execute(
            "select count(*) as missing, (select count(*) from host.memory_vectors v"  # noqa: S608 - no values
            " where v.space in (%(user)s, '*') and v.embedder = %(embedder)s) as embedded"
            f" {_MISSING}".encode(),
            values,
        )
    ).fetchone()
    return Coverage(int(row["embedded"]), int(row["missing"])) if row else Coverage(0, 0)


async def drop_other_vectors(database: Database, *, user: str, embedder: int) -> int:
    """Remove a user's vectors of embedders no longer in use; return how many there were."""
    done = await database.execute(
        "delete from host.memory_vectors v using host.memory_records r where v.entry = r.entry"
        " and r.user_id = %s and v.embedder <> %s",
        [user, embedder],
    )
    return done.rowcount


async def search_vectors(
    database: Database,
    vector: Vector,
    wanted: Filter,
    *,
    user: str,
    embedder: int,
    most: int,
) -> list[Scored]:
    """Return the records nearest to a vector, best first."""
    size = len(vector)
    counted = await (
        await database.execute(
            "select count(*) as n from (select from host.memory_vectors v"
            " where v.space = any(%s) and v.embedder = %s limit %s) found",
            [[user, EVERYBODY], embedder, EXACT_LIMIT + 1],
        )
    ).fetchone()
    where, values = where_of(wanted, user=user)
    values |= {"embedder": embedder, "query": render_vector(vector), "most": most}
    if size not in INDEXED or (counted is not None and counted["n"] <= EXACT_LIMIT):
        return await _run(database, _exact(where), values)
    await database.execute(
        # Without sorting, the planner has only the index to get the order from.
        "select set_config('hnsw.iterative_scan', 'relaxed_order', true),"
        " set_config('enable_sort', 'off', true), set_config('hnsw.ef_search', %s, true)",
        [str(min(1000, max(40, most)))],
    )
    found: list[Scored] = []
    for look in (most * 2, most * 2 * _WIDER):
        found = await _run(database, _indexed(where, size), values | {"look": look})
        if len(found) >= most:
            break
    await database.execute("set local enable_sort = on")
    return found


def _exact(where: str) -> str:
    return (
        f"select {COLUMNS}, 1 - (v.embedding <=> %(query)s::halfvec) as score"  # noqa: S608 - no values
        " from host.memory_vectors v join host.memory_records r using (entry)"
        f" where v.space = any(%(spaces)s) and v.embedder = %(embedder)s and {where}"
        " order by score desc, r.entry limit %(most)s"
    )


def _indexed(where: str, size: int) -> str:
    near = f"v.embedding::halfvec({size}) <=> %(query)s::halfvec({size})"
    return (
        f"with near as materialized (select v.entry, {near} as distance"  # noqa: S608 - no values
        f" from host.memory_vectors v where v.dimensions = {size}"
        f" and v.space = any(%(spaces)s) and v.embedder = %(embedder)s"
        f" order by {near} limit %(look)s)"
        f" select {COLUMNS}, 1 - n.distance as score from near n"
        f" join host.memory_records r using (entry) where {where}"
        " order by score desc, r.entry limit %(most)s"
    )


async def _run(database: Database, statement: str, values: dict[str, Any]) -> list[Scored]:
    rows = await (await database.execute(statement.encode(), values)).fetchall()
    return [Scored(Record.of_row(row), float(row["score"])) for row in rows]


def render_vector(vector: Vector) -> str:
    """Return a vector as pgvector reads it."""
    return f"[{','.join(f'{number:.6g}' for number in vector)}]"
