"""The rows of runs and events: how a batch of them is written in one statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from host.events.run import Event, Run, RunStatus, Usage
from host.storage.store import Database

CHANNEL = "host_runs"
"""Postgres channel that names the runs with new events."""

_ADD_RUNS = """
insert into host.runs (id, user_id, client, kind, name, model, title, parent, root, thread, depth,
    definition, epoch, status, started, heartbeat)
select * from unnest(%(id)s::text[], %(user_id)s::text[], %(client)s::text[], %(kind)s::text[],
    %(name)s::text[], %(model)s::text[], %(title)s::text[], %(parent)s::text[], %(root)s::text[],
    %(thread)s::text[], %(depth)s::int[], %(definition)s::text[], %(epoch)s::int[],
    %(status)s::text[], %(started)s::timestamptz[], %(heartbeat)s::timestamptz[])
on conflict do nothing
"""
_RUN_COLUMNS = (
    *("id", "user_id", "client", "kind", "name", "model", "title", "parent", "root", "thread"),
    *("depth", "definition", "epoch", "status", "started", "heartbeat"),
)

# The update locks each run's row and compares epochs, so a writer that was overtaken adds nothing.
_ADD_EVENTS = """
with given as (
    select * from unnest(%(run)s::text[], %(epoch)s::int[], %(status)s::text[], %(error)s::text[],
        %(steps)s::bigint[], %(input)s::bigint[], %(output)s::bigint[],
        %(cost)s::double precision[], %(at)s::timestamptz[])
        as g(run, epoch, status, error, steps, input, output, cost, at)
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
    from unnest(%(event_run)s::text[], %(event_seq)s::int[], %(event_kind)s::text[],
        %(event_at)s::timestamptz[], %(event_data)b::text[]) as e(run, seq, kind, at, data)
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
    await database.execute(
        _ADD_RUNS, {name: [getattr(run, name) for run in runs] for name in _RUN_COLUMNS}
    )


async def add_events(database: Database, entries: Sequence[Entry]) -> set[str]:
    """Add events; return the runs whose epoch was the right one."""
    last: dict[str, Entry] = {entry.event.run_id: entry for entry in entries}
    ends = list(last.values())
    events = [entry.event for entry in entries]
    values: dict[str, list[Any] | str] = {
        "run": [entry.event.run_id for entry in ends],
        "epoch": [entry.epoch for entry in ends],
        "status": [entry.status for entry in ends],
        "error": [_legal(entry.error) for entry in ends],
        "steps": [entry.usage.steps for entry in ends],
        "input": [entry.usage.input_tokens for entry in ends],
        "output": [entry.usage.output_tokens for entry in ends],
        "cost": [entry.usage.cost for entry in ends],
        "at": [entry.event.at for entry in ends],
        "event_run": [event.run_id for event in events],
        "event_seq": [event.seq for event in events],
        "event_kind": [event.kind for event in events],
        "event_at": [event.at for event in events],
        "event_data": [entry.text for entry in entries],
        "channel": CHANNEL,
    }
    rows = await (await database.execute(_ADD_EVENTS, values)).fetchall()
    return {str(row["id"]) for row in rows}


def _legal(text: str | None) -> str | None:
    return None if text is None else text.replace("\x00", "")
