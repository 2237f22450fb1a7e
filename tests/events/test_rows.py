"""Runs and events of one batch: stored whole, once, and only by who has the run."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from host.domain.principal import Principal
from host.events.rows import Entry, write_rows
from host.events.run import Event, Run, RunStatus, Usage, new_run_id, utc_now
from host.events.runs import Runs
from host.events.writer import WRITER
from host.secrets.redaction import dump_json
from host.storage.line import Line
from host.storage.store import Store, open_store

ANN = Principal("ann", "cursor")
pytestmark = pytest.mark.anyio


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[tuple[Store, Line]]:
    store = await open_store(None, folder)
    line = Line(store, WRITER)
    yield store, line
    await line.close()
    await store.close()


def new_run() -> Run:
    name, now = new_run_id(), utc_now()
    return Run(
        id=name,
        user_id=ANN.user,
        client=ANN.client,
        name="reader",
        model="scripted:demo",
        title="Hello",
        parent=None,
        root=name,
        thread=name,
        depth=0,
        definition="",
        started=now,
        heartbeat=now,
    )


def entry(run: Run, seq: int, status: RunStatus = "running", *, epoch: int = 1) -> Entry:
    event = Event(run.id, seq, "note", utc_now(), {})
    return Entry(event, f'{{"number": {seq}}}', epoch, status, None, Usage(seq, 10, 20, 0.5))


async def test_run_and_its_first_events_are_stored_at_once_as_they_end(store_folder: Path) -> None:
    async with opened(store_folder) as (store, line):
        run = new_run()
        live = await write_rows(line, [run], [entry(run, 1), entry(run, 2, "succeeded")])
        [found] = [await Runs(store).get(ANN, run.id)]
        events = await Runs(store).events(ANN, run.id)
    assert live == {run.id}
    assert (found.status, found.steps, found.input_tokens, found.cost) == ("succeeded", 2, 10, 0.5)
    assert found.ended is not None
    assert [(event.seq, event.data) for event in events] == [(1, {"number": 1}), (2, {"number": 2})]


async def test_data_of_an_event_comes_back_as_it_was_whatever_its_texts_hold(
    store_folder: Path,
) -> None:
    said = {"a\nb": 'say "no"\r\n\\ {x,y}', "none": None, "marks": "\x1f\x7f\u2028ü,NULL"}
    async with opened(store_folder) as (store, line):
        run = new_run()
        odd = [
            replace(entry(run, seq), text=dump_json(said | {"seq": seq}).decode()) for seq in (1, 2)
        ]
        await write_rows(line, [run], odd)
        events = await Runs(store).events(ANN, run.id)
    assert [event.data for event in events] == [said | {"seq": 1}, said | {"seq": 2}]


async def test_run_without_events_is_stored_as_it_begins(store_folder: Path) -> None:
    async with opened(store_folder) as (store, line):
        run = new_run()
        assert await write_rows(line, [run], []) == {run.id}
        found = await Runs(store).get(ANN, run.id)
    assert (found.status, found.steps, found.ended) == ("running", 0, None)


async def test_batch_that_is_written_twice_is_there_once(store_folder: Path) -> None:
    async with opened(store_folder) as (store, line):
        run = new_run()
        batch = [entry(run, 1), entry(run, 2)]
        first = await write_rows(line, [run], batch)
        again = await write_rows(line, [run], batch)
        events = await Runs(store).events(ANN, run.id)
    assert first == again == {run.id}
    assert [event.seq for event in events] == [1, 2]


async def test_writer_that_was_overtaken_adds_nothing(store_folder: Path) -> None:
    async with opened(store_folder) as (store, line):
        run = new_run()
        await write_rows(line, [run], [entry(run, 1, "failed")])
        claimed = await Runs(store).claim(ANN, await Runs(store).get(ANN, run.id))
        late = await write_rows(line, [], [entry(run, 2, "succeeded")])
        fresh = await write_rows(line, [], [entry(run, 2, epoch=claimed.epoch)])
        found = await Runs(store).get(ANN, run.id)
    assert (late, fresh) == (set(), {run.id})
    assert found.status == "running"


async def test_events_are_their_users_and_nobody_elses(store_folder: Path) -> None:
    async with opened(store_folder) as (store, line):
        run, other = new_run(), replace(new_run(), user_id="bob")
        await write_rows(line, [run, other], [entry(run, 1), entry(other, 1)])
        seen = [await Runs(store).events(ANN, one.id) for one in (run, other)]
    assert [len(events) for events in seen] == [1, 0]
