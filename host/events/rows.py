"""The rows of runs and events: how a batch of them is written in one statement."""

from collections.abc import Sequence
from typing import Any

import orjson

from host.domain.fixed import fixed
from host.events.run import Event, Run, RunStatus, Usage
from host.storage.line import Line

CHANNEL = "host_runs"
"""Postgres channel that names the runs with new events."""

# One statement, so one round trip and a transaction of its own. The update locks each run's row and
# compares epochs, so a writer that was overtaken adds nothing; it does not see the runs that the
# same statement adds, which are added as they stand at the end of it.
_WRITE = """
with given as (
    select * from json_to_recordset(%(ends)s::json) as g(run text, epoch int, status text,
        error text, steps bigint, input bigint, output bigint, cost double precision,
        at timestamptz)
),
begun as (
    insert into host.runs (id, user_id, client, kind, name, model, title, parent, root, thread,
        depth, definition, epoch, started, heartbeat, status, error, steps, input_tokens,
        output_tokens, cost, ended, holder)
    select r.id, r.user_id, r.client, r.kind, r.name, r.model, r.title, r.parent, r.root, r.thread,
        r.depth, r.definition, r.epoch, r.started, greatest(r.heartbeat, g.at),
        coalesce(g.status, r.status), g.error, coalesce(g.steps, 0), coalesce(g.input, 0),
        coalesce(g.output, 0), coalesce(g.cost, 0),
        case when g.status in ('running', 'parked') then null else g.at end, %(holder)s::bigint
    from json_to_recordset(%(runs)s::json) as r(id text, user_id text, client text, kind text,
        name text, model text, title text, parent text, root text, thread text, depth int,
        definition text, epoch int, status text, started timestamptz, heartbeat timestamptz)
    left join given g on g.run = r.id
    on conflict do nothing
    returning id, user_id
),
known as (
    update host.runs r set
        heartbeat = greatest(r.heartbeat, g.at), status = g.status, error = g.error,
        steps = g.steps, input_tokens = g.input, output_tokens = g.output, cost = g.cost,
        ended = case when g.status in ('running', 'parked') then null else g.at end
    from given g where r.id = g.run and r.epoch = g.epoch
    returning r.id, r.user_id
),
live as (select id, user_id from known union all select id, user_id from begun),
added as (
    insert into host.run_events (run_id, seq, user_id, kind, at, data)
    select e.run, e.seq, live.user_id, e.kind, e.at, e.data::json
    from rows from (
        json_to_recordset(%(heads)s::json) as (run text, seq int, kind text, at timestamptz),
        unnest(string_to_array(%(data)s, chr(10)))
    ) as e(run, seq, kind, at, data)
    join live on live.id = e.run
    on conflict do nothing
)
select id, pg_notify(%(channel)s, id) from live
"""
_RUN_COLUMNS = (
    *("id", "user_id", "client", "kind", "name", "model", "title", "parent", "root", "thread"),
    *("depth", "definition", "epoch", "status", "started", "heartbeat"),
)


@fixed()
class Entry:
    """An event on its way, and how its run stands after it.

    Attributes:
        text: Its data as JSON on one line.
    """

    event: Event
    text: str
    epoch: int
    status: RunStatus
    error: str | None
    usage: Usage


async def write_rows(
    line: Line, runs: Sequence[Run], entries: Sequence[Entry], *, holder: int | None = None
) -> set[str]:
    """Add runs that are not there yet, and events; return the runs whose epoch was the right one.

    Events of a run that was taken up meanwhile are left out where those of its new epoch are among
    them: they have the same numbers, and would be written in their place.

    Args:
        line: Where to.
        runs: New runs.
        entries: Events of these and others, in order.
        holder: Who works on the new runs.

    Raises:
        StoreError: The store cannot be reached; the same may be written again.
    """
    entries = _of_newest_epoch(entries)
    last: dict[str, Entry] = {entry.event.run_id: entry for entry in entries}
    begun = [{name: _legal(getattr(run, name)) for name in _RUN_COLUMNS} for run in runs]
    values: dict[str, Any] = {
        "runs": orjson.dumps(begun).decode(),
        "ends": orjson.dumps([_end(entry) for entry in last.values()]).decode(),
        "heads": orjson.dumps([_head(entry.event) for entry in entries]).decode(),
        # Apart, as lines: within the JSON of others a NUL in it could not be read.
        "data": "\n".join(entry.text for entry in entries),
        "channel": CHANNEL,
        "holder": holder,
    }
    return {str(row["id"]) for row in await line.fetch(_WRITE, values)}


def _of_newest_epoch(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries of each run that have its highest epoch: the others are overtaken."""
    newest: dict[str, int] = {}
    for entry in entries:
        newest[entry.event.run_id] = max(entry.epoch, newest.get(entry.event.run_id, 0))
    return [entry for entry in entries if entry.epoch == newest[entry.event.run_id]]


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
    if not isinstance(value, str) or (value.isascii() and "\x00" not in value):
        return value
    return value.replace("\x00", "").encode("utf-8", "replace").decode()
