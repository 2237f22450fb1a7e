"""Brings journals into PostgreSQL: in bulk, each line once, those of killed processes as well."""

import json
import logging
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, LiteralString

import anyio
import psycopg
from anyio import to_thread
from anyio.lowlevel import checkpoint
from psycopg import sql

from host.audit.checkpoint import Checkpoints
from host.audit.segment import Chunk, Line, list_segments, list_writers, read_chunk
from host.domain.errors import StoreError
from host.storage.lock import FileLock
from host.storage.store import Database, Store

COLUMNS: dict[str, LiteralString] = {
    "writer": "uuid",
    "sequence": "bigint",
    "digest": "text",
    "line": "text",
    "kind": "text",
    "at": "timestamptz",
    "call_id": "uuid",
    "user_id": "text",
    "client": "text",
    "face": "text",
    "method": "text",
    "name": "text",
    "upstream": "text",
    "decision": "text",
    "rule": "text",
    "outcome": "text",
    "duration": "bigint",
    "error_code": "bigint",
}
"""The columns of `host.audit_entries`; all but the first four repeat what the line says."""

CHUNK = 1 << 19
"""Bytes of a journal that are loaded in one transaction."""
AT_ONCE = 16
"""Lines between which other tasks get their turn."""

LOADER_LOCK = "loader.lock"
"""Held by the process that loads, and by one that must see journals and store as one."""

_STAGE = sql.SQL(
    "create temporary table if not exists audit_stage ({}) on commit delete rows"
).format(
    sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind))
        for name, kind in COLUMNS.items()
    )
)
_NAMES = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
_COPY = sql.SQL("copy audit_stage ({}) from stdin").format(_NAMES)
# Without a conflict target no right to read is needed: the role can add lines, and nothing else.
_MOVE = sql.SQL(
    "insert into host.audit_entries ({0}) select {0} from audit_stage on conflict do nothing"
).format(_NAMES)
_END = (
    "insert into host.audit_ends (writer, sequence, digest, torn_bytes)"
    " values (%s, %s, %s, %s) on conflict do nothing"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Position:
    """How far a writer's journal is in the store; written after the commit, so it can lag."""

    segment: str = ""
    offset: int = 0
    sequence: int = 0
    digest: str = ""
    torn: int = 0


def row_of(line: Line) -> dict[str, Any]:
    """Return what a line becomes in `host.audit_entries`."""
    fields = line.fields
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {"writer": line.writer, "digest": line.digest, "line": line.text.decode()}
    row |= {"sequence": fields["seq"], "kind": fields["kind"], "user_id": _text(fields.get("user"))}
    row["at"] = datetime.fromtimestamp(fields["at"] / 1_000_000, UTC)
    for name in ("call_id", "duration", "error_code"):
        row[name] = fields.get(name)
    names = ("client", "face", "method", "name", "upstream", "decision", "rule", "outcome")
    for name in names:
        row[name] = _text(fields.get(name))
    return row


def _text(value: object) -> str | None:
    """Return a text that PostgreSQL can keep: it has no NUL, and no half of a surrogate pair."""
    if value is None:
        return None
    return str(value).replace("\0", "�").encode("utf-8", "replace").decode()


class JournalLoader:
    """Loads every journal of a data folder; one process at a time does so.

    Args:
        folder: The folder of all journals.
        store: Where they go.
        interval: Seconds between two looks.
        checkpoints: Where heads of chains are signed; None signs none.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        *,
        interval: float = 0.5,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self._checkpoints = checkpoints
        self.folder = folder
        self._store = store
        self._interval = interval
        self._lock = FileLock(folder / LOADER_LOCK)

    async def run(self) -> None:
        """Load for ever; a store that is away is waited for, and the journal keeps what comes."""
        while True:
            try:
                await self._store.ready(deadline=None)
                await self.load_once()
            except StoreError as error:
                _log.warning("Records wait in the journal: %s", error)
                await anyio.sleep(4 * self._interval)
            await anyio.sleep(self._interval)

    async def load_once(self) -> int:
        """Load what there is now.

        Returns:
            How many lines were loaded; 0 as well when another process is loading.

        Raises:
            StoreError: The store cannot be reached; nothing is lost.
        """
        await to_thread.run_sync(self._make_folder)
        if not self._lock.try_acquire("exclusive"):
            return 0
        try:
            homes = await to_thread.run_sync(list_writers, self.folder)
            if not homes:
                return 0
            return await self._load_writers(homes)
        finally:
            self._lock.release()

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    async def _load_writers(self, homes: list[Path]) -> int:
        database = await self._store.connect("audit")
        count = 0
        try:
            await database.execute(_STAGE)
            for home in homes:
                count += await self._load_writer(database, home)
        except psycopg.OperationalError as error:
            raise StoreError(
                f"The connection to PostgreSQL was lost while records were loaded: {error}",
                next_step="They stay in the journal and are loaded later.",
            ) from error
        finally:
            await database.close()
        return count

    async def _load_writer(self, database: Database, home: Path) -> int:
        """Load one writer's journal; remove it when the writer is gone and all is loaded."""
        lock = FileLock(home / "lock")
        # Asked before reading: a writer that is dead by now adds nothing after what is read.
        dead = lock.try_acquire("exclusive")
        try:
            count, position = await self._load_segments(database, home, dead=dead)
            if self._checkpoints is not None and position.digest:
                point = (home.name, position.sequence, position.digest)
                await to_thread.run_sync(self._checkpoints.note_head, *point)
            if dead:
                row = (home.name, position.sequence, position.digest, position.torn)
                await database.execute(_END, row)
                await to_thread.run_sync(shutil.rmtree, home)
        finally:
            lock.release()
        return count

    async def _load_segments(
        self, database: Database, home: Path, *, dead: bool
    ) -> tuple[int, _Position]:
        position = await to_thread.run_sync(_read_position, home)
        segments = await to_thread.run_sync(list_segments, home)
        count = 0
        for segment in segments:
            if segment.name < position.segment:
                await to_thread.run_sync(segment.unlink)
                continue
            done = dead or segment != segments[-1]
            loaded, position = await self._load_segment(database, segment, position, done=done)
            count += loaded
            if done and not dead:
                await to_thread.run_sync(segment.unlink)
        return count, position

    async def _load_segment(
        self, database: Database, segment: Path, position: _Position, *, done: bool
    ) -> tuple[int, _Position]:
        offset = position.offset if position.segment == segment.name else 0
        # What comes meanwhile is the next look's, in bulk.
        goal = (await to_thread.run_sync(segment.stat)).st_size
        count = 0
        while done or offset < goal:
            chunk = await to_thread.run_sync(partial(read_chunk, segment, offset, most=CHUNK))
            if chunk.lines:
                await _insert(database, chunk.lines)
            elif not (done and chunk.rest):
                return count, position
            count += len(chunk.lines)
            offset = chunk.end
            position = _advance(position, segment, chunk, done=done)
            await to_thread.run_sync(_write_position, segment.parent, position)
            if not chunk.lines:
                _log.warning("%s ends with %d bytes of a torn line.", segment, chunk.rest)
                return count, position
        return count, position


async def _insert(database: Database, lines: list[Line]) -> None:
    """Add lines to the table, in one transaction.

    Calls go on meanwhile: a thread would make each of them wait for the interpreter, for longer
    than a few lines take.
    """
    async with database.transaction(), database.cursor() as cursor:
        async with cursor.copy(_COPY) as copy:
            for number, line in enumerate(lines):
                if number % AT_ONCE == 0:
                    await checkpoint()
                await copy.write_row(tuple(row_of(line).values()))
        await cursor.execute(_MOVE)


def _advance(position: _Position, segment: Path, chunk: Chunk, *, done: bool) -> _Position:
    last = chunk.lines[-1] if chunk.lines else None
    return _Position(
        segment=segment.name,
        offset=chunk.end,
        sequence=last.fields["seq"] if last else position.sequence,
        digest=last.digest if last else position.digest,
        torn=position.torn + (chunk.rest if done and last is None else 0),
    )


def _read_position(home: Path) -> _Position:
    try:
        return _Position(**json.loads((home / "loaded.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return _Position()


def _write_position(home: Path, position: _Position) -> None:
    partial = home / "loaded.new"
    fields = {name: getattr(position, name) for name in _Position.__slots__}
    partial.write_text(json.dumps(fields), encoding="utf-8")
    partial.replace(home / "loaded.json")
