"""Runs and their events: what agents did, in order."""

from alembic import op

from host.storage.security import grant_rights, protect_rows

revision = "events_0001"
down_revision = None
branch_labels = ("events",)
depends_on = "store_0001"

_TABLES = """
create table host.runs (
    id text primary key,
    user_id text not null,
    client text not null,
    kind text not null,
    name text not null,
    model text not null,
    title text not null,
    parent text,
    root text not null,
    thread text not null,
    depth integer not null,
    definition text not null,
    epoch integer not null default 1,
    status text not null
        check (status in ('running', 'parked', 'succeeded', 'failed', 'cancelled')),
    error text,
    hidden boolean not null default false,
    steps bigint not null default 0,
    input_tokens bigint not null default 0,
    output_tokens bigint not null default 0,
    cost double precision not null default 0,
    started timestamptz not null,
    heartbeat timestamptz not null,
    ended timestamptz
);
create index on host.runs (user_id, started desc);
create index on host.runs (user_id, thread, started);
create index on host.runs (root) where parent is not null;

create table host.run_events (
    run_id text not null references host.runs on delete cascade,
    seq integer not null,
    user_id text not null,
    kind text not null,
    at timestamptz not null,
    data json not null,
    primary key (run_id, seq)
);

create table host.run_threads (
    user_id text not null,
    name text not null,
    thread text not null,
    saved timestamptz not null default now(),
    primary key (user_id, name)
);
"""


def upgrade() -> None:
    """Make the tables; events are added and never changed."""
    op.execute(_TABLES)
    for table in ("host.runs", "host.run_events", "host.run_threads"):
        for statement in protect_rows(table):
            op.execute(statement)
    op.execute(grant_rights("host.runs", "select", "insert", "update"))
    op.execute(grant_rights("host.run_events", "select", "insert"))
    op.execute(grant_rights("host.run_threads", "select", "insert", "update", "delete"))
