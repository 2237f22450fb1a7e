"""Approvals and grants: what was asked, how it was answered, and what is remembered."""

from alembic import op

from host.storage.security import grant_rights, protect_rows

revision = "approvals_0001"
down_revision = None
branch_labels = ("approvals",)
depends_on = "store_0001"

_TABLES = """
create table host.approvals (
    id text primary key,
    user_id text not null,
    client text not null,
    agent text not null,
    session text not null,
    method text not null,
    name text not null,
    definition text not null,
    arguments text not null,
    digest text not null,
    sealed text,
    rule text,
    reasons text[] not null,
    approvers jsonb not null,
    every_time boolean not null,
    destructive boolean not null,
    state text not null default 'pending' check (state in
        ('pending', 'approved', 'denied', 'expired', 'withdrawn', 'consumed', 'unknown')),
    created timestamptz not null default now(),
    expires timestamptz not null,
    answered timestamptz,
    approver text,
    channel text,
    reason text,
    edited text,
    nonce text,
    home text,
    boot text,
    outcome text,
    ended timestamptz,
    told boolean not null default false
);
create unique index on host.approvals (digest)
    where state in ('pending', 'approved');
create index on host.approvals (digest, created);
create index on host.approvals (user_id, created);
create index on host.approvals (home) where state = 'consumed' and outcome is null;

create table host.approval_grants (
    id text primary key,
    user_id text not null,
    client text not null,
    scope text not null check (scope in ('session', 'agent', 'always')),
    session text not null,
    agent text not null,
    method text not null,
    name text not null,
    definition text not null,
    arguments text,
    matchers jsonb,
    destructive boolean not null,
    created timestamptz not null default now(),
    expires timestamptz,
    most integer check (most > 0),
    used integer not null default 0,
    revoked timestamptz,
    approval text references host.approvals,
    approver text not null,
    standing text[] not null,
    check (most is null or used <= most),
    check (arguments is null or matchers is null),
    check (not destructive or (expires is not null and most is not null
        and (arguments is not null or matchers is not null)))
);
create index on host.approval_grants (user_id, name) where revoked is null;
"""


def upgrade() -> None:
    """Make both tables; each person's rows are seen by them and by an admin."""
    op.execute(_TABLES)
    for table in ("host.approvals", "host.approval_grants"):
        for statement in protect_rows(table):
            op.execute(statement)
        op.execute(grant_rights(table, "select", "insert", "update"))
