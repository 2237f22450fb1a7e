"""Who works on a run, so that it can be taken up at once when that process is gone."""

from alembic import op

revision = "events_0002"
down_revision = "events_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Name the holder of each run; null is one of before, of whom only its signs of life tell."""
    op.execute("alter table host.runs add column holder bigint")
