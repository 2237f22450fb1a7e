"""Who answered an approval, as rules call them."""

from alembic import op

revision = "approvals_0002"
down_revision = "approvals_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Keep what a rule may call whoever answered: the rule may change before the call is made."""
    op.execute("alter table host.approvals add column standing text[] not null default '{}'")
