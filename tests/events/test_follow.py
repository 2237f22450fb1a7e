"""A run is followed on when the connection, or the whole server, is lost meanwhile."""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from host.domain.errors import StoreError
from host.events import runs as reading
from host.events.rows import CHANNEL, write_rows
from host.events.run_log import RunLog
from host.events.runs import Runs
from host.events.writer import EventWriter
from host.secrets.redaction import dump_json
from host.storage.embedded import EmbeddedServer
from host.storage.store import Store, open_store
from tests.events.test_rows import ANN, entry, new_run, opened
from tests.storage.fixtures import wait_for_end

pytestmark = pytest.mark.anyio

LISTENING = f"from pg_stat_activity where query = 'listen {CHANNEL}'"
LIMIT = 60.0


def ask(folder: Path, statement: str) -> int:
    """Ask the server something that only its owner may, and return how many rows it gives."""
    server = EmbeddedServer(folder)
    server.acquire()
    try:
        with psycopg.connect(**server.conninfo("super")) as other:
            return len(other.execute(statement.encode()).fetchall())
    finally:
        server.release()


async def listens(folder: Path, *, somebody: bool) -> None:
    """Return when news is waited for on a connection, or on none any more."""
    while bool(ask(folder, f"select pid {LISTENING}")) is not somebody:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def cut(folder: Path) -> None:
    """End every connection on which news is waited for."""
    assert ask(folder, f"select pg_terminate_backend(pid, 30000) {LISTENING}")


def kill(folder: Path) -> None:
    """Kill the server; nobody starts it."""
    server = EmbeddedServer(folder)
    os.kill(int((server.cluster / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    wait_for_end(server)


@asynccontextmanager
async def at_work(folder: Path) -> AsyncGenerator[tuple[RunLog, Store]]:
    """Give a run that goes on in this process, and the store of another one."""
    mine, other = await open_store(None, folder), await open_store(None, folder)
    writer = EventWriter(mine, dump_json)
    try:
        await writer.hold()
        run_log = writer.begin(new_run())
        run_log.add("started")
        await run_log.settle()
        yield run_log, other
    finally:
        await writer.close()
        await mine.close()
        await other.close()


async def test_run_is_followed_on_another_connection_where_one_was_cut(store_folder: Path) -> None:
    async with opened(store_folder) as (store, line), asyncio.timeout(LIMIT):
        run = new_run()
        await write_rows(line, [run], [entry(run, 1)])
        async with aclosing(Runs(store).follow(ANN, run.id)) as events:
            seen = [(await anext(events)).seq]
            cut(store_folder)
            await write_rows(line, [], [entry(run, 2), entry(run, 3)])
            seen.append((await anext(events)).seq)
            cut(store_folder)
            await write_rows(line, [], [entry(run, 4, "succeeded")])
            seen += [event.seq async for event in events]
        await listens(store_folder, somebody=False)
    assert seen == [1, 2, 3, 4]


async def test_run_is_followed_to_its_end_over_a_server_that_died(data_folder: Path) -> None:
    async with at_work(data_folder) as (run_log, other), asyncio.timeout(LIMIT):
        seen: list[str] = []
        first = asyncio.Event()

        async def follow() -> None:
            async for event in Runs(other).follow(ANN, run_log.run.id):
                seen.append(event.kind)
                first.set()

        following = asyncio.create_task(follow())
        await first.wait()
        kill(data_folder)
        await listens(data_folder, somebody=True)
        await asyncio.sleep(0.5)  # the run's own process has not found the server yet
        assert not following.done()
        run_log.add("note")
        run_log.finish("succeeded", {})
        await run_log.settle()
        await following
    assert seen == ["started", "note", "finished"]


async def test_who_follows_is_told_of_a_store_that_stays_away(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_words: object) -> None:
        raise StoreError("PostgreSQL cannot be reached.", next_step="Start it.")

    monkeypatch.setattr(reading, "PATIENCE", 0.5)
    async with opened(store_folder) as (store, line), asyncio.timeout(LIMIT):
        run = new_run()
        await write_rows(line, [run], [entry(run, 1)])
        async with aclosing(Runs(store).follow(ANN, run.id)) as events:
            assert (await anext(events)).seq == 1
            monkeypatch.setattr(Store, "connect", refuse)
            cut(store_folder)
            with pytest.raises(StoreError, match="Start it"):
                await anext(events)
