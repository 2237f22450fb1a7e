"""Documents: which files of whose folders are indexed, and in which state."""

from alembic import op

from host.storage.security import grant_rights, protect_rows

revision = "memory_0002"
down_revision = "memory_0001"
branch_labels = None
depends_on = None

_TABLE = """
create table host.memory_documents (
    user_id text not null check (user_id <> ''),
    folder text not null,
    path text not null,
    digest text not null,
    size bigint not null,
    modified bigint not null,
    title text not null,
    problem text not null,
    passages integer not null,
    indexed timestamptz not null default now(),
    primary key (user_id, folder, path)
);
create index on host.memory_records (user_id, agent, source) where source <> '';
"""


def upgrade() -> None:
    """Make the table; each user sees their own files."""
    op.execute(_TABLE)
    for statement in protect_rows("host.memory_documents"):
        op.execute(statement)
    op.execute(grant_rights("host.memory_documents", "select", "insert", "update", "delete"))
