"""Grants that have to be constrained, and the passphrase of those who answer."""

from alembic import op

from host.storage.security import grant_rights, protect_rows

revision = "approvals_0003"
down_revision = "approvals_0002"
branch_labels = None
depends_on = None

_TABLE = """
create table host.approval_passphrase (
    single boolean primary key default true check (single),
    user_id text not null,
    salt text not null,
    digest text not null,
    created timestamptz not null default now()
)
"""


def upgrade() -> None:
    """Keep what a grant has to say of arguments, and the passphrase beside what it guards."""
    op.execute("alter table host.approvals add column constrained boolean not null default false")
    op.execute(_TABLE)
    for statement in protect_rows("host.approval_passphrase"):
        op.execute(statement)
    op.execute(grant_rights("host.approval_passphrase", "select", "insert", "update", "delete"))
