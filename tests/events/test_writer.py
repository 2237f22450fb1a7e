"""What a process has not stored yet of a run, when the run is taken up again in this process."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from host.domain.errors import StaleRunError, StoreError
from host.events.run import Event, Run
from host.events.run_log import RunLog
from host.events.runs import Runs
from host.events.writer import EventWriter
from host.secrets.redaction import dump_json
from host.storage.line import Line
from host.storage.store import open_store
from tests.events.test_rows import ANN, new_run

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def taken_up(folder: Path) -> AsyncGenerator[tuple[Runs, EventWriter, RunLog, Run]]:
    """Give a run's log with one event, and the run as it was claimed without the log's knowing."""
    store = await open_store(None, folder)
    writer = EventWriter(store, dump_json)
    try:
        old = writer.begin(new_run())
        old.add("started")
        await old.settle()
        runs = Runs(store)
        claimed = await runs.claim(ANN, await runs.get(ANN, old.run.id), force=True)
        yield runs, writer, old, claimed
    finally:
        await writer.close()
        await store.close()


async def test_events_of_a_run_that_was_taken_up_are_not_lost_to_older_ones_of_their_numbers(
    store_folder: Path,
) -> None:
    async with taken_up(store_folder) as (runs, writer, old, claimed):
        number = old.last
        for text in ("late", "later"):
            old.add("note", {"text": text})
        new = writer.open(claimed, last=number)
        for kind in ("resumed", "request"):
            new.add(kind)
            await new.settle()
        events = await runs.events(ANN, claimed.id)
    assert [event.kind for event in events] == ["started", "resumed", "request"]


async def test_refused_event_of_before_does_not_stop_the_run_that_was_taken_up_here(
    store_folder: Path,
) -> None:
    async with taken_up(store_folder) as (runs, writer, old, claimed):
        number = old.last
        old.add("note", {"text": "late"})
        new = writer.open(claimed, last=number)
        await writer.flushed()
        new.add("resumed")
        await new.settle()
        events = await runs.events(ANN, claimed.id)
    assert [event.kind for event in events] == ["started", "resumed"]


async def test_only_the_newest_log_of_a_run_may_be_written_to(store_folder: Path) -> None:
    async with taken_up(store_folder) as (runs, writer, old, claimed):
        newest = writer.open(await runs.claim(ANN, claimed, force=True), last=old.last)
        for overtaken in (old, writer.open(claimed, last=old.last)):
            with pytest.raises(StaleRunError):
                overtaken.add("note", {"text": "late"})
        newest.add("resumed")
        await newest.settle()


async def test_run_is_found_as_soon_as_anybody_heard_of_it(store_folder: Path) -> None:
    store = await open_store(None, store_folder)
    heard: list[str] = []
    writer = EventWriter(store, dump_json, heard=lambda event: heard.append(event.run_id))
    runs = Runs(store, caught_up=writer.caught_up)

    async def follow(run: str) -> Event:
        async with aclosing(runs.follow(ANN, run)) as events:
            return await anext(events)

    looks: list[Callable[[str], Awaitable[object]]] = [
        lambda run: runs.get(ANN, run),
        lambda run: runs.find_thread(ANN, run),
        lambda run: runs.thread(ANN, run),
        lambda run: runs.page(ANN, thread=run),
        lambda run: runs.events(ANN, run),
        follow,
    ]
    try:
        for look in looks:
            run_log = writer.begin(new_run())
            run_log.add("started")
            assert heard[-1] == run_log.run.id
            assert await look(run_log.run.id)
            writer.release(run_log)
    finally:
        await writer.close()
        await store.close()


async def refuse(*_words: object) -> None:
    """Stand for a connection that was lost."""
    raise StoreError("The connection to PostgreSQL was lost.")


async def test_nobody_waits_for_what_a_closed_writer_could_not_store(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store(None, store_folder)
    writer = EventWriter(store, dump_json)
    kept = writer.begin(new_run())
    kept.add("started")
    with monkeypatch.context() as away:
        away.setattr(Line, "fetch", refuse)
        await writer.close()
    with pytest.raises(StoreError, match="ending"):
        await kept.settle()
    await writer.caught_up()
    await store.close()


async def test_what_cannot_be_stored_keeps_nobody_from_looking(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await open_store(None, store_folder)
    writer = EventWriter(store, dump_json)
    runs = Runs(store, caught_up=writer.caught_up)
    kept = writer.begin(new_run())
    kept.add("started")
    await kept.settle()

    try:
        with monkeypatch.context() as away:
            away.setattr(Line, "fetch", refuse)
            kept.add("note", {"text": "later"})
            before = [event.kind for event in await runs.events(ANN, kept.run.id)]
        after = [event.kind for event in await runs.events(ANN, kept.run.id)]
    finally:
        await writer.close()
        await store.close()
    assert (before, after) == (["started"], ["started", "note"])
