"""Models: which requests their rate buckets let through, and what was spent on them."""

from alembic import op

from host.storage.security import grant_rights

revision = "models_0001"
down_revision = None
branch_labels = ("models",)
depends_on = "store_0001"

_TABLES = """
create table host.model_requests (
    id bigint generated always as identity primary key,
    bucket text not null,
    at double precision not null,
    tokens bigint not null,
    held_until double precision
);
create index on host.model_requests (bucket, at);
create table host.model_blocks (
    bucket text primary key,
    until double precision not null
);
create table host.model_expenses (
    kind text not null check (kind in ('run', 'day', 'user', 'model')),
    name text not null,
    day date not null,
    cost double precision not null,
    requests bigint not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    primary key (kind, name, day)
);
"""


def upgrade() -> None:
    """Make the tables; they count, and hold nothing that anybody said."""
    op.execute(_TABLES)
    for table in ("model_requests", "model_blocks"):
        op.execute(grant_rights(f"host.{table}", "select", "insert", "update", "delete"))
    op.execute(grant_rights("host.model_expenses", "select", "insert", "update"))
