"""Drops old records, so that what is left still verifies: a signed anchor stands for what went."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from anyio import to_thread

from host.audit.checkpoint import Checkpoints
from host.audit.journal import Journal
from host.audit.loader import COLUMNS, LOADER_LOCK
from host.audit.record import Note
from host.audit.segment import Line
from host.audit.verify import ChainCheck
from host.config.settings import AuditConfig
from host.domain.errors import StoreError
from host.domain.principal import LOCAL_USER, Principal
from host.storage.lock import FileLock
from host.storage.store import Database, Store

_EDGE = """
select coalesce(min(sequence) filter (where at >= %(until)s) - 1, max(sequence)) as last,
    min(sequence) as first
from host.audit_entries where writer = %(writer)s
"""
_ROWS = "select {} from host.audit_entries where writer = %s and sequence <= %s order by sequence"
_BY_SIZE = """
select max(at) as until from (
    select at, sum(octet_length(line) + 200) over (order by at desc) as size
    from host.audit_entries
) lines where size > %s
"""
"""The time of the newest line that is too much; 200 bytes are about what its columns take."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What retention took away of one writer's chain.

    Attributes:
        writer: Whose.
        lines: How many.
        through: Number of the last of them.
    """

    writer: str
    lines: int
    through: int


async def drop_old_records(
    store: Store,
    data: Path,
    config: AuditConfig,
    *,
    checkpoints: Checkpoints,
    dry_run: bool = False,
    now: datetime | None = None,
) -> list[Dropped]:
    """Drop what is older, or more, than the configuration keeps.

    Only the beginning of a chain is dropped, only of chains that this machine signed, and only
    after it was checked: retention must not be a way to be rid of what was tampered with.

    Args:
        store: Where the records are.
        data: The data folder.
        config: What is kept.
        checkpoints: Where anchors are signed.
        dry_run: Say what would be dropped, and drop nothing.
        now: From when ages are counted; None is the present.

    Raises:
        StoreError: The store cannot be reached, or what would be dropped does not verify.
    """
    if config.keep_days is None and config.keep_megabytes is None:
        return []
    database = await store.connect("owner")
    lock = FileLock(data / "journal" / LOADER_LOCK)
    try:
        await to_thread.run_sync(_take, lock)
        until = await _until(database, config, now or datetime.now(UTC))
        if until is None:
            return []
        dropped: list[Dropped] = []
        marks = await to_thread.run_sync(checkpoints.read)
        for writer in marks.heads:
            check = ChainCheck(writer, marks)
            found = await _old_part(database, check, until)
            if found is not None:
                dropped.append(found)
                if not dry_run:
                    await _drop(database, checkpoints, check, found)
        return dropped
    finally:
        lock.release()
        await database.close()


async def keep_record(
    store: Store, data: Path, config: AuditConfig, *, checkpoints: Checkpoints, journal: Journal
) -> int:
    """Drop old records, note that, and tidy the signed heads; returns how many lines went.

    Raises:
        StoreError: As for `drop_old_records`.
    """
    dropped = await drop_old_records(store, data, config, checkpoints=checkpoints)
    await to_thread.run_sync(checkpoints.compact)
    if dropped:
        principal = Principal(LOCAL_USER, "host", role="admin")
        detail = [asdict(each) for each in dropped]
        journal.append(Note(principal=principal, name="audit.dropped", detail=detail))
    return sum(each.lines for each in dropped)


def _take(lock: FileLock) -> None:
    lock.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock.acquire("exclusive")


async def _until(database: Database, config: AuditConfig, now: datetime) -> datetime | None:
    """Return the time before which nothing is kept; None where all is."""
    times: list[datetime] = []
    if config.keep_days is not None:
        times.append(now - timedelta(days=config.keep_days))
    if config.keep_megabytes is not None:
        cursor = await database.execute(_BY_SIZE, [config.keep_megabytes * 1_000_000])
        row = await cursor.fetchone()
        if row is not None and row["until"] is not None:
            times.append(row["until"] + timedelta(microseconds=1))
    return max(times, default=None)


async def _old_part(database: Database, check: ChainCheck, until: datetime) -> Dropped | None:
    """Return the part of a chain that is too old, after it was checked; None if there is none."""
    cursor = await database.execute(_EDGE, {"writer": check.writer, "until": until})
    edge = await cursor.fetchone()
    if edge is None or edge["last"] is None or edge["last"] < edge["first"]:
        return None
    count = 0
    async with database.transaction(), database.cursor(name="retention") as rows:
        rows.itersize = 500
        query = _ROWS.format(", ".join(COLUMNS))
        await rows.execute(query, [check.writer, edge["last"]])  # pyright: ignore[reportArgumentType]
        async for row in rows:
            line = Line(check.writer, row["digest"], row["line"].encode())
            check.follow(line, sequence=row["sequence"], row=row)
            count += 1
    if check.findings:
        found = check.findings[0]
        raise StoreError(
            f"No record was dropped: line {found.sequence} of {found.writer} is {found.kind}.",
            next_step="Look at it with `host audit verify`.",
        )
    return Dropped(check.writer, count, check.sequence)


async def _drop(
    database: Database, checkpoints: Checkpoints, check: ChainCheck, found: Dropped
) -> None:
    """Sign where the chain goes on, then drop what is before; a crash between leaves both."""
    point = (found.writer, found.through, str(check.digest))
    await to_thread.run_sync(checkpoints.add, "anchor", [point])
    async with database.transaction():
        await database.execute(
            "delete from host.audit_entries where writer = %s and sequence <= %s", point[:2]
        )
        await database.execute(
            "delete from host.audit_ends where writer = %s and sequence <= %s", point[:2]
        )
