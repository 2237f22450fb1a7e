"""Models: what requests under way may cost, so that those at the same time keep a budget too."""

from alembic import op

from host.storage.security import grant_rights

revision = "models_0002"
down_revision = "models_0001"
branch_labels = None
depends_on = None

_TABLE = """
create table host.model_reservations (
    id bigint generated always as identity primary key,
    run text not null,
    user_name text not null,
    cost double precision not null,
    until timestamptz not null
);
create index on host.model_reservations (until);
"""


def upgrade() -> None:
    """Make the table."""
    op.execute(_TABLE)
    op.execute(grant_rights("host.model_reservations", "select", "insert", "delete"))
