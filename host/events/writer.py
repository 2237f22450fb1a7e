"""Writes runs and events into the store: many runs in one statement, each run's in order."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence

import psycopg

from host.domain.errors import StoreError
from host.domain.principal import Principal
from host.events.holder import Holder
from host.events.rows import Entry, write_rows
from host.events.run import Event, Run
from host.events.run_log import RunLog
from host.storage.store import Store

log = logging.getLogger(__name__)

WRITER = Principal("host", "events", role="admin")
"""The writer stores what runs of all users did, each row under its user's name."""

BATCH = 2_000
"""Most entries that are written at once."""

LINGER = 0.1
"""Seconds that an event may wait for others where nothing waits for it to be stored.

Nothing that changes anything does: the intent of a call is waited for before the call.
"""

PAUSE = 1.0
"""Seconds until a failed write is tried again."""

BEAT = 5.0
"""Seconds between two signs of life of a run."""

SILENCE = 20.0
"""Seconds without one after which a run counts as interrupted."""

_BEAT = """
update host.runs set heartbeat = now()
where id = any(%(ids)s) and status in ('running', 'parked') returning id
"""


_LEAVE = """
update host.runs set heartbeat = now() - interval '1 hour'
where id = %(id)s and epoch = %(epoch)s and status in ('running', 'parked')
"""


class EventWriter:
    """Writes entries of all runs of this process, as many at once as have come in meanwhile.

    Args:
        store: The database.
        encode: Turns an event's data into JSON text, without secrets.
        heard: Told of every event at once, before it is stored.
        stored: Told of runs whose events were stored just now.
    """

    def __init__(
        self,
        store: Store,
        encode: Callable[[object], bytes],
        *,
        heard: Callable[[Event], None] = lambda event: None,
        stored: Callable[[Iterable[Run]], None] = lambda runs: None,
    ) -> None:
        self._store = store
        self._holder = Holder(store, WRITER)
        self._encode = encode
        self._heard = heard
        self._stored = stored
        self._runs: list[Run] = []
        self._entries: list[Entry] = []
        self._logs: dict[str, RunLog] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._work = asyncio.Event()
        self._awaited = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._beats: asyncio.Task[None] | None = None

    def begin(self, run: Run) -> RunLog:
        """Queue a new run and return where its events go."""
        self._runs.append(run)
        return self.open(run)

    def open(self, run: Run, *, last: int = 0) -> RunLog:
        """Return where the events of a run go that is stored already.

        Args:
            run: The run, with the epoch that was claimed.
            last: Number of its last event.
        """
        known, found = self._logs.get(run.id), RunLog(self, run, last=last)
        if known is not None and known.run.epoch > run.epoch:
            found.stale = True
            return found
        if known is not None:
            known.stale = True  # whatever it still writes is not stored
        self._logs[run.id] = found
        self._start()
        return found

    async def hold(self) -> int:
        """Return as whom this process takes up runs; from now on others know that it lives.

        Raises:
            StoreError: The store cannot be reached.
        """
        await self._holder.hold()
        return self._holder.id

    def release(self, run: RunLog) -> None:
        """Forget a run that ended here."""
        if self._logs.get(run.run.id) is run:
            del self._logs[run.run.id]

    async def leave(self, run: RunLog) -> None:
        """Forget a run that does not go on here, so that whoever comes next can take it up."""
        try:
            await self.flushed()
            async with self._store.transaction(WRITER) as database:
                await database.execute(_LEAVE, {"id": run.run.id, "epoch": run.run.epoch})
        except StoreError as error:
            log.warning("the run %s counts as going on for a while: %s", run.run.id, error)
        self.release(run)

    def put(self, run: RunLog, event: Event) -> None:
        """Queue an event of a run."""
        text = self._encode(event.data).decode()
        self._entries.append(
            Entry(event, text, run.run.epoch, run.status, run.error, run.usage.copy())
        )
        self._work.set()
        self._heard(event)

    async def flushed(self) -> None:
        """Return once everything that was put is stored.

        Raises:
            StoreError: The store refused, or cannot be reached.
        """
        if not self._entries and not self._runs and self._work.is_set() is False:
            return
        if self._task is None:
            raise StoreError("The host is ending; what is left is not stored.")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._work.set()
        self._awaited.set()
        await done

    async def caught_up(self) -> None:
        """Return once everything that was put is stored, or could not be."""
        with contextlib.suppress(StoreError):
            await self.flushed()

    async def close(self) -> None:
        """Store what is left, if the store can be reached, and end."""
        if self._task is not None:
            try:
                await self.flushed()
            except StoreError as error:
                log.warning("events of runs were not stored: %s", error)
        for task in (self._task, self._beats):
            if task is not None:
                task.cancel()
        self._task = None
        await self._holder.line.close()

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._drain())
            self._beats = asyncio.create_task(self._beat())

    async def _drain(self) -> None:
        while True:
            await self._work.wait()
            await self._gather()
            runs, self._runs = self._runs, []
            entries, self._entries = self._entries[:BATCH], self._entries[BATCH:]
            waiting, self._waiting = self._waiting, []
            if self._entries:  # what is waited for may be among those that stay for the next turn
                waiting, self._waiting = [], waiting
            error = await self._write(runs, entries)
            if error is None:
                if not self._entries and not self._runs and not self._waiting:
                    self._work.clear()
            else:
                self._runs, self._entries = runs + self._runs, entries + self._entries
            for future in waiting:
                _settle(future, error)
            if error is not None:
                await asyncio.sleep(PAUSE)

    async def _gather(self) -> None:
        """Let more come in, unless somebody waits for what there is: a transaction costs a step."""
        if not self._waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LINGER):
                    await self._awaited.wait()
        self._awaited.clear()

    async def _write(self, runs: Sequence[Run], entries: Sequence[Entry]) -> StoreError | None:
        if not runs and not entries:
            return None
        try:
            live = await write_rows(self._holder.line, runs, entries, holder=self._holder.id)
        except StoreError as error:
            log.warning("events of runs wait: %s", error)
            return error
        except psycopg.Error as error:
            return await self._write_apart(runs, entries, error)
        for run_id, epoch in {entry.event.run_id: entry.epoch for entry in entries}.items():
            if run_id not in live:
                self._stop(run_id, epoch)
        self._stored(self._logs[run_id].run for run_id in live if run_id in self._logs)
        return None

    async def _write_apart(
        self, runs: Sequence[Run], entries: Sequence[Entry], error: psycopg.Error
    ) -> StoreError | None:
        """Write each run on its own after a refusal, so that one run's fault stays its own."""
        ids = list(dict.fromkeys([*(run.id for run in runs), *(e.event.run_id for e in entries)]))
        if len(ids) > 1:
            for run_id in ids:
                failed = await self._write(
                    [run for run in runs if run.id == run_id],
                    [entry for entry in entries if entry.event.run_id == run_id],
                )
                if failed is not None:
                    return failed
            return None
        log.error("PostgreSQL refused events of the run %s, which is stopped: %s", ids[0], error)
        self._stop(ids[0], max((entry.epoch for entry in entries), default=1))
        return None

    def _stop(self, run_id: str, epoch: int) -> None:
        """Let nothing more be written of a run, unless it was taken up again here since then."""
        found = self._logs.get(run_id)
        if found is not None and found.run.epoch <= epoch:
            found.stale = True

    async def _beat(self) -> None:
        """Show now and then that the runs of this process are worked on."""
        while True:
            await asyncio.sleep(BEAT)
            ids = list(self._logs)
            if not ids:
                continue
            try:
                await self._holder.hold()
                await self._holder.line.fetch(_BEAT, {"ids": ids})
            except StoreError as error:
                log.debug("no heartbeat: %s", error)


def _settle(future: asyncio.Future[None], error: StoreError | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(StoreError(error.message, next_step=error.next_step))
