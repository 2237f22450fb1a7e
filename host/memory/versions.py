"""Changes of records: what is replaced or forgotten stays, and can be had back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from host.domain.errors import AccessError, NotFoundError
from host.memory.access import Access
from host.memory.record import Change, Draft, Record
from host.memory.table import fetch_records, index_entries, insert_drafts, unindex_entries
from host.storage.store import Database


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten, purged or restored.

    Attributes:
        records: The latest version of each record.
        links: How many of the graph's relations went with them.
    """

    records: list[Record]
    links: int = 0


async def get_record(database: Database, record_id: str, *, forgotten: bool = False) -> Record:
    """Return the latest version of a record that the user may see.

    Raises:
        NotFoundError: There is none, or it is forgotten (or, if asked for, not forgotten).
    """
    found = await fetch_records(
        database,
        "where r.id = %(id)s and r.superseded is null order by r.user_id"
        " = current_setting('host.user', true) desc limit 1",
        {"id": record_id},
    )
    if not found or (found[0].forgotten is not None) is not forgotten:
        is_there = bool(found)
        raise NotFoundError(
            "forgotten memory" if forgotten else "memory",
            record_id,
            next_step=(
                "It is not forgotten."
                if is_there and forgotten
                else "It was forgotten; `restore` brings it back."
                if is_there
                else "`search` and `list` give the ids."
            ),
        )
    return found[0]


async def get_own(
    database: Database, access: Access, record_id: str, *, forgotten: bool = False
) -> Record:
    """Return the latest version of a record of the user's own.

    Raises:
        AccessError: It is somebody else's, shared with everybody.
    """
    record = await get_record(database, record_id, forgotten=forgotten)
    if record.user_id != access.user:
        raise AccessError(
            f"Memory {record_id!r} was shared by {record.user_id!r}; only they can change it."
        )
    return record


async def supersede(
    database: Database, access: Access, old: Record, change: Change
) -> tuple[Record, int]:
    """Replace a record by its next version; return it and its row."""
    given = change.given()
    if "text" in given and "valid_from" not in given and given["text"] != old.text:
        valid_from = None
    else:
        valid_from = given.pop("valid_from", old.valid_from)
    draft = Draft(
        text=old.text,
        kind=old.kind,
        scope=old.scope,
        agent=old.agent,
        session=old.session,
        tier=old.tier,
        label=old.label,
        data=old.data,
        importance=old.importance,
        source=old.source,
        tags=tuple(old.tags),
        valid_until=old.valid_until,
        id=old.id,
        version=old.version + 1,
        created=old.created,
    )
    await database.execute(
        "update host.memory_records set superseded = now() where entry = %s", [old.entry]
    )
    written = await insert_drafts(
        database,
        [replace(draft, valid_from=valid_from, **given)],
        user=access.user,
        language=access.config.language,
    )
    entry = written[0][0]
    found = await fetch_records(database, "where r.entry = %(entry)s", {"entry": entry})
    return found[0], entry


async def forget(database: Database, access: Access, ids: Sequence[str]) -> Forgotten:
    """Take records, with all their versions, out of sight."""
    records = [await get_own(database, access, record_id) for record_id in dict.fromkeys(ids)]
    entries = await _entries(database, records)
    await unindex_entries(database, entries)
    await database.execute(
        "update host.memory_records set forgotten = now() where entry = any(%s)", [entries]
    )
    done = await database.execute(
        "update host.memory_links set forgotten = now() where user_id = %s and graph"
        " and forgotten is null and (origin = any(%s) or target = any(%s))",
        [access.user, *[[r.label for r in records if r.kind == "entity"]] * 2],
    )
    return Forgotten(records, done.rowcount)


async def restore(database: Database, access: Access, ids: Sequence[str]) -> Forgotten:
    """Bring forgotten records back, and the relations that were forgotten with them."""
    records = [
        await get_own(database, access, record_id, forgotten=True)
        for record_id in dict.fromkeys(ids)
    ]
    entries = await _entries(database, records)
    await database.execute(
        "update host.memory_records set forgotten = null where entry = any(%s)", [entries]
    )
    await index_entries(database, entries)
    links = 0
    for record in records:
        if record.kind == "entity":
            done = await database.execute(
                "update host.memory_links set forgotten = null where user_id = %s and graph"
                " and forgotten = %s and %s in (origin, target)",
                [access.user, record.forgotten, record.label],
            )
            links += done.rowcount
    return Forgotten(records, links)


async def purge(database: Database, access: Access, ids: Sequence[str]) -> int:
    """Remove forgotten records for good; return how many rows there were."""
    records = [
        await get_own(database, access, record_id, forgotten=True)
        for record_id in dict.fromkeys(ids)
    ]
    entries = await _entries(database, records)
    await database.execute(
        "delete from host.memory_links where user_id = %s and not graph"
        " and (origin = any(%s) or target = any(%s))",
        [access.user, *[[record.id for record in records]] * 2],
    )
    done = await database.execute(
        "delete from host.memory_records where entry = any(%s)", [entries]
    )
    return done.rowcount


async def purge_before(database: Database, access: Access, moment: datetime) -> int:
    """Remove for good what was forgotten before a moment; return how many rows there were."""
    done = await database.execute(
        "delete from host.memory_records where user_id = %s and forgotten < %s",
        [access.user, moment],
    )
    await database.execute(
        "delete from host.memory_links where user_id = %s and forgotten < %s",
        [access.user, moment],
    )
    return done.rowcount


async def _entries(database: Database, records: Sequence[Record]) -> list[int]:
    """Return the rows of all versions of some records of one user."""
    rows = await (
        await database.execute(
            "select entry from host.memory_records where user_id = any(%s) and id = any(%s)"
            " order by entry",
            [[record.user_id for record in records], [record.id for record in records]],
        )
    ).fetchall()
    return [int(row["entry"]) for row in rows]
