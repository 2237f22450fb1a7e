"""The rows of runs and events: how a batch of them is written in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from host.events.run import Event, Run, RunStatus, Usage
from host.storage.store import Database

CHANNEL = "host_runs"
"""Postgres channel that names the runs with new events."""

_ADD_RUNS = """
insert into host.runs (id, user_id, client, kind, name, model, title, parent, root, thread, depth,
    definition, epoch, status, started, heartbeat)
select * from json_to_recordset(%s::json) as r(id text, user_id text, client text, kind text,
    name text, model text, title text, parent text, root text, thread text, depth int,
    definition text, epoch int, status text, started timestamptz, heartbeat timestamptz)
on conflict do nothing
"""
_RUN_COLUMNS = (
    *("id", "user_id", "client", "kind", "name", "model", "title", "parent", "root", "thread"),
    *("depth", "definition", "epoch", "status", "started", "heartbeat"),
)

# The update locks each run's row and compares epochs, so a writer that was overtaken adds nothing.
_ADD_EVENTS = """
with given as (
    select * from json_to_recordset(%(ends)s::json) as g(run text, epoch int, status text,
        error text, steps bigint, input bigint, output bigint, cost double precision,
        at timestamptz)
),
live as (
    update host.runs r set
        heartbeat = greatest(r.heartbeat, g.at), status = g.status, error = g.error,
        steps = g.steps, input_tokens = g.input, output_tokens = g.output, cost = g.cost,
        ended = case when g.status in ('running', 'parked') then null else g.at end
    from given g where r.id = g.run and r.epoch = g.epoch
    returning r.id, r.user_id
),
added as (
    insert into host.run_events (run_id, seq, user_id, kind, at, data)
    select e.run, e.seq, live.user_id, e.kind, e.at, e.data::json
    from rows from (
        json_to_recordset(%(heads)s::json) as (run text, seq int, kind text, at timestamptz),
        unnest(%(data)b::text[])
    ) as e(run, seq, kind, at, data)
    join live on live.id = e.run
    on conflict do nothing
)
select id, pg_notify(%(channel)s, id) from live
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event on its way, and how its run stands after it."""

    event: Event
    text: str
    epoch: int
    status: RunStatus
    error: str | None
    usage: Usage


async def add_runs(database: Database, runs: Sequence[Run]) -> None:
    """Add runs; those that are there already stay as they are."""
    rows = [{name: _legal(getattr(run, name)) for name in _RUN_COLUMNS} for run in runs]
    await database.execute(_ADD_RUNS, [orjson.dumps(rows).decode()])


async def add_events(database: Database, entries: Sequence[Entry]) -> set[str]:
    """Add events; return the runs whose epoch was the right one."""
    last: dict[str, Entry] = {entry.event.run_id: entry for entry in entries}
    values: dict[str, Any] = {
        "ends": orjson.dumps([_end(entry) for entry in last.values()]).decode(),
        "heads": orjson.dumps([_head(entry.event) for entry in entries]).decode(),
        # Apart, as text: within the JSON of others a NUL in it could not be read.
        "data": [entry.text for entry in entries],
        "channel": CHANNEL,
    }
    rows = await (await database.execute(_ADD_EVENTS, values)).fetchall()
    return {str(row["id"]) for row in rows}


def _end(entry: Entry) -> dict[str, Any]:
    usage = entry.usage
    return {
        "run": entry.event.run_id,
        "epoch": entry.epoch,
        "status": entry.status,
        "error": _legal(entry.error),
        "steps": usage.steps,
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cost": usage.cost,
        "at": entry.event.at,
    }


def _head(event: Event) -> dict[str, Any]:
    return {"run": event.run_id, "seq": event.seq, "kind": event.kind, "at": event.at}


def _legal(value: object) -> object:
    """Return a value that PostgreSQL takes: texts without NUL and halves of surrogate pairs."""
    if not isinstance(value, str):
        return value
    return value.replace("\x00", "").encode("utf-8", "replace").decode()
