"""The store's own notes: which migrations are in force."""

from alembic import op

revision = "store_0001"
down_revision = None
branch_labels = ("store",)
depends_on = None


def upgrade() -> None:
    """Make the table of notes."""
    op.execute(
        """
        create table host.store_state (
            name text primary key,
            value text not null
        )
        """
    )
    op.execute("grant select on host.store_state to host_app")
