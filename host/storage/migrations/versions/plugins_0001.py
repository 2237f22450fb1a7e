"""Plugins: what each keeps for each user between calls."""

from alembic import op

from host.storage.security import grant_rights, protect_rows

revision = "plugins_0001"
down_revision = None
branch_labels = ("plugins",)
depends_on = "store_0001"


def upgrade() -> None:
    """Make the table; everybody sees their own rows only."""
    op.execute("""
create table host.plugin_state (
    plugin text not null,
    user_id text not null check (user_id not in ('', '*')),
    key text not null,
    value text not null,
    labels text[] not null,
    size bigint not null check (size >= 0),
    changed timestamptz not null default now(),
    primary key (user_id, plugin, key)
)""")
    for statement in protect_rows("host.plugin_state"):
        op.execute(statement)
    op.execute(grant_rights("host.plugin_state", "select", "insert", "update", "delete"))
