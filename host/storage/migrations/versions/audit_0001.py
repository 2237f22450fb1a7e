"""The record of calls: what journals held, line by line, and which journals have ended."""

from alembic import op

from host.storage.security import grant_rights, protect_rows

revision = "audit_0001"
down_revision = None
branch_labels = ("audit",)
depends_on = "store_0001"

_CALLS = """
create view host.audit_calls with (security_invoker = true) as
select
    i.call_id, i.at, i.user_id, i.client, i.face, i.method, i.name, i.upstream, i.decision, i.rule,
    i.writer, i.sequence, i.line as intent, o.line as outcome_line, o.at as ended, o.duration,
    o.error_code,
    coalesce(o.outcome, case when e.writer is null then 'running' else 'unknown' end) as outcome
from host.audit_entries i
left join lateral (
    select * from host.audit_entries o
    where o.call_id = i.call_id and o.kind = 'outcome'
    order by o.at, o.writer, o.sequence limit 1
) o on true
left join host.audit_ends e on e.writer = i.writer
where i.kind = 'intent'
"""


def upgrade() -> None:
    """Make the tables that only `host_audit` can add to, and nobody who works can change."""
    op.execute(
        """
        create table host.audit_entries (
            writer uuid not null,
            sequence bigint not null,
            digest text not null,
            line text not null,
            kind text not null,
            at timestamptz not null,
            call_id uuid,
            user_id text,
            client text,
            face text,
            method text,
            name text,
            upstream text,
            decision text,
            rule text,
            outcome text,
            duration bigint,
            error_code bigint,
            primary key (writer, sequence)
        )
        """
    )
    op.execute("create index on host.audit_entries (call_id)")
    op.execute("create index on host.audit_entries (at)")
    op.execute("create index on host.audit_entries (name, at) where kind = 'intent'")
    op.execute(
        """
        create table host.audit_ends (
            writer uuid primary key,
            sequence bigint not null,
            digest text not null,
            torn_bytes bigint not null,
            at timestamptz not null default now()
        )
        """
    )
    for statement in protect_rows("host.audit_entries"):
        op.execute(statement)
    op.execute(
        "create policy for_audit on host.audit_entries for insert to host_audit with check (true)"
    )
    op.execute(grant_rights("host.audit_entries", "insert", to="audit"))
    op.execute(grant_rights("host.audit_ends", "insert", to="audit"))
    op.execute(_CALLS)
    for table in ("audit_entries", "audit_ends", "audit_calls"):
        op.execute(grant_rights(f"host.{table}", "select"))
