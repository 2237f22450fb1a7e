"""Looking at the record: what is in the store and what still waits in the journal, as one."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from psycopg import sql

from host.audit.call import Call, CallFilter, call_of_row, join_calls
from host.audit.note import NOTE_ID, RecordedNote, note_of_row, notes_of
from host.audit.segment import (
    Line,
    list_segments,
    list_writers,
    read_chunk,
    read_lines,
    writer_lives,
)
from host.domain.errors import HostError, NotFoundError
from host.domain.principal import Principal
from host.storage.store import Store

LOCAL_ADMIN = Principal("local", "cli", role="admin")
"""Who reads the record at the terminal: somebody who can read the data folder anyway."""

_NOTES = "select writer, line from host.audit_entries"
_COLUMNS = "select intent, outcome_line, outcome, writer, call_id from host.audit_calls"


class Trail:
    """The record of one data folder, and of the store it belongs to.

    Args:
        folder: The folder of the journals.
        store: The store; None looks at the journals alone.
        principal: Whose calls are seen; an admin sees everybody's.
    """

    def __init__(
        self, folder: Path, store: Store | None, *, principal: Principal = LOCAL_ADMIN
    ) -> None:
        self.folder = folder
        self.store = store
        self._principal = principal

    async def find(self, wanted: CallFilter, *, most: int) -> list[Call]:
        """Return the latest calls that are wanted, oldest first.

        Raises:
            StoreError: The store cannot be reached.
        """
        waiting = {call.id: call for call in await to_thread.run_sync(self._waiting)}
        stored = await self._stored(wanted, most=most)
        # What the journal says is newer: a call whose outcome is not loaded yet runs for the store.
        calls = {call.id: call for call in stored} | {
            name: call for name, call in waiting.items() if wanted.matches(call)
        }
        for name, call in waiting.items():
            if name in calls and not wanted.matches(call):
                del calls[name]
        return sorted(calls.values(), key=lambda call: call.intent["at"])[-most:]

    async def find_notes(self, wanted: CallFilter, *, most: int) -> list[RecordedNote]:
        """Return the latest notes that are wanted, oldest first.

        Raises:
            StoreError: The store cannot be reached.
        """
        if not wanted.wants_notes:
            return []
        waiting = await to_thread.run_sync(lambda: list(notes_of(self._entries())))
        found = {note.id: note for note in waiting if wanted.matches_note(note)}
        conditions, values = wanted.conditions(notes=True)
        where = " and ".join(["kind = 'note'", *conditions])
        rows = await self._rows(
            f"{_NOTES} where {where} order by at desc limit %s", [*values, most]
        )
        found |= {note.id: note for note in map(note_of_row, rows)}
        return sorted(found.values(), key=lambda note: note.fields["at"])[-most:]

    async def get_note(self, note_id: str) -> RecordedNote:
        """Return one note by its id.

        Raises:
            NotFoundError: There is none.
        """
        said = NOTE_ID.fullmatch(note_id)
        if said is not None:
            rows = await self._rows(
                f"{_NOTES} where kind = 'note' and writer::text like %s and sequence = %s",
                [f"%{said[1]}", int(said[2])],
            )
            waiting = await to_thread.run_sync(lambda: list(notes_of(self._entries())))
            for note in (*map(note_of_row, rows), *waiting):
                if note.id == note_id:
                    return note
        raise NotFoundError("recorded note", note_id, [])

    async def get(self, call_id: str) -> Call:
        """Return one call by its id, or by the beginning of its id.

        Raises:
            NotFoundError: There is none, or more than one.
        """
        found = {each.id: each for each in await self._by_id(call_id)}
        for call in await to_thread.run_sync(self._waiting):
            if call.id.startswith(call_id):
                found[call.id] = call
        if len(found) != 1:
            raise NotFoundError("recorded call", call_id, found)
        return next(iter(found.values()))

    def _waiting(self) -> list[Call]:
        """Return the calls in the journals."""
        living = frozenset(home.name for home in list_writers(self.folder) if writer_lives(home))
        return list(join_calls(self._entries(), living=living))

    def _entries(self) -> Iterator[tuple[str, dict[str, Any]]]:
        return ((line.writer, line.fields) for line in read_lines(self.folder))

    async def _stored(self, wanted: CallFilter, *, most: int) -> list[Call]:
        conditions, values = wanted.conditions()
        where = f" where {' and '.join(conditions)}" if conditions else ""
        return await self._query(f"{_COLUMNS}{where} order by at desc limit %s", [*values, most])

    async def _by_id(self, call_id: str) -> list[Call]:
        return await self._query(
            f"{_COLUMNS} where call_id::text like %s limit 5", [f"{call_id.replace('%', '')}%"]
        )

    async def _query(self, query: str, values: list[Any]) -> list[Call]:
        return [call_of_row(row) for row in await self._rows(query, values)]

    async def _rows(self, query: str, values: list[Any]) -> list[dict[str, Any]]:
        if self.store is None:
            return []
        async with self.store.transaction(self._principal) as database:
            # The query is put together from constants; what people type is among the values.
            cursor = await database.execute(sql.SQL(query), values)  # pyright: ignore[reportArgumentType]
            return await cursor.fetchall()


class Follower:
    """Follows the journals of a data folder from the moment it is made.

    It is made before the latest calls are looked up, so that none falls between the two.

    Args:
        folder: The folder of the journals.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}
        self._pending: dict[str, tuple[str, dict[str, Any]]] = {}
        list(self._read())

    async def calls(
        self, wanted: CallFilter, *, shown: Mapping[str, str], interval: float = 0.2
    ) -> AsyncGenerator[Call | RecordedNote]:
        """Yield calls as they end, and notes.

        Args:
            wanted: Which of them.
            shown: How calls ended that need not be told again, by id.
            interval: Seconds between two looks.
        """
        while True:
            for entry in await to_thread.run_sync(self._news):
                if isinstance(entry, RecordedNote):
                    if entry.id not in shown and wanted.matches_note(entry):
                        yield entry
                elif wanted.matches(entry) and shown.get(entry.id) != entry.state:
                    yield entry
            await anyio.sleep(interval)

    def _news(self) -> list[Call | RecordedNote]:
        # Asked first: a writer that is dead by now adds nothing after what is read.
        homes = list_writers(self._folder)
        living = frozenset(home.name for home in homes if writer_lives(home))
        found = list(self._read())
        for name in [name for name, (writer, _) in self._pending.items() if writer not in living]:
            writer, intent = self._pending.pop(name)
            found.append(Call(intent, None, "unknown", writer))
        return found

    def _read(self) -> Iterator[Call | RecordedNote]:
        """Yield what ended or was noted since the last time, and remember the calls that began."""
        for line in self._lines():
            fields = line.fields
            if fields["kind"] == "intent":
                self._pending[fields["call_id"]] = (line.writer, fields)
            elif fields["kind"] == "outcome" and fields["call_id"] in self._pending:
                writer, intent = self._pending.pop(fields["call_id"])
                yield Call(intent, fields, fields["outcome"], writer)
            elif fields["kind"] == "note":
                yield RecordedNote(fields, line.writer)

    def _lines(self) -> Iterator[Line]:
        for home in list_writers(self._folder):
            for segment in list_segments(home):
                try:
                    chunk = read_chunk(segment, self._offsets.get(segment, 0))
                except OSError:
                    continue
                self._offsets[segment] = chunk.end
                yield from chunk.lines


async def try_store(store: Store, *, deadline: float) -> HostError | None:
    """Return why the store cannot be used; None if it can."""
    try:
        await store.ready(deadline=deadline)
    except HostError as error:
        return error
    return None
