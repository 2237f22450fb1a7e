"""Looking at the record: what is in the store and what still waits in the journal, as one."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread
from psycopg import sql

from host.audit.call import Call, CallFilter, call_of_row, join_calls
from host.audit.segment import list_segments, list_writers, read_chunk, read_lines, writer_lives
from host.domain.errors import HostError, NotFoundError
from host.domain.principal import Principal
from host.storage.store import Store

LOCAL_ADMIN = Principal("local", "cli", role="admin")
"""Who reads the record at the terminal: somebody who can read the data folder anyway."""

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

    async def follow(self, wanted: CallFilter, *, interval: float = 0.2) -> AsyncIterator[Call]:
        """Yield calls as they end, from the journals of this data folder."""
        cursor = _Cursor(self.folder)
        pending: dict[str, tuple[str, dict[str, Any]]] = {}
        await to_thread.run_sync(cursor.skip)
        while True:
            for writer, fields in await to_thread.run_sync(cursor.read):
                if fields["kind"] == "intent":
                    pending[fields["call_id"]] = (writer, fields)
                elif fields["kind"] == "outcome" and fields["call_id"] in pending:
                    owner, intent = pending.pop(fields["call_id"])
                    call = Call(intent, fields, fields["outcome"], owner)
                    if wanted.matches(call):
                        yield call
            for call in self._lost(pending, await to_thread.run_sync(cursor.living)):
                if wanted.matches(call):
                    yield call
            await anyio.sleep(interval)

    @staticmethod
    def _lost(
        pending: dict[str, tuple[str, dict[str, Any]]], living: frozenset[str]
    ) -> Iterator[Call]:
        """Take out the calls whose process ended without their outcome."""
        for name in [name for name, (writer, _) in pending.items() if writer not in living]:
            writer, intent = pending.pop(name)
            yield Call(intent, None, "unknown", writer)

    def _waiting(self) -> list[Call]:
        """Return the calls in the journals."""
        living = frozenset(home.name for home in list_writers(self.folder) if writer_lives(home))
        entries = ((line.writer, line.fields) for line in read_lines(self.folder))
        return list(join_calls(entries, living=living))

    async def _stored(self, wanted: CallFilter, *, most: int) -> list[Call]:
        conditions, values = wanted.conditions()
        where = f" where {' and '.join(conditions)}" if conditions else ""
        return await self._query(f"{_COLUMNS}{where} order by at desc limit %s", [*values, most])

    async def _by_id(self, call_id: str) -> list[Call]:
        return await self._query(
            f"{_COLUMNS} where call_id::text like %s limit 5", [f"{call_id.replace('%', '')}%"]
        )

    async def _query(self, query: str, values: list[Any]) -> list[Call]:
        if self.store is None:
            return []
        async with self.store.transaction(self._principal) as database:
            # The query is put together from constants; what people type is among the values.
            cursor = await database.execute(sql.SQL(query), values)  # pyright: ignore[reportArgumentType]
            return [call_of_row(row) for row in await cursor.fetchall()]


class _Cursor:
    """Where a follower is in each journal."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}

    def skip(self) -> None:
        """Go to the end of everything that is there."""
        self.read()

    def read(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the lines that are new."""
        found: list[tuple[str, dict[str, Any]]] = []
        for home in list_writers(self._folder):
            for segment in list_segments(home):
                try:
                    chunk = read_chunk(segment, self._offsets.get(segment, 0))
                except OSError:
                    continue
                self._offsets[segment] = chunk.end
                found += [(line.writer, line.fields) for line in chunk.lines]
        return found

    def living(self) -> frozenset[str]:
        """Return the writers whose process runs."""
        homes = list_writers(self._folder)
        return frozenset(home.name for home in homes if writer_lives(home))


async def try_store(store: Store, *, deadline: float) -> HostError | None:
    """Return why the store cannot be used; None if it can."""
    try:
        await store.ready(deadline=deadline)
    except HostError as error:
        return error
    return None
