"""Counts of words: in how many records of a space each occurs, so that no search counts them."""

from alembic import op

from host.storage.security import grant_rights, protect_rows

revision = "memory_0003"
down_revision = "memory_0002"
branch_labels = None
depends_on = None

_TABLE = """
create table host.memory_terms (
    space text not null,
    term text not null,
    found bigint not null check (found > 0),
    primary key (space, term)
) with (fillfactor = 70);
insert into host.memory_terms (space, term, found)
select space, term, count(*) from host.memory_postings group by space, term;

alter table host.memory_postings set (autovacuum_vacuum_insert_scale_factor = 0.02);
"""

_USER = "(select current_setting('host.user', true))"
_IS_ADMIN = "(select current_setting('host.role', true)) = 'admin'"
_SHARED = f"space = '*' and coalesce({_USER}, '') <> ''"


def upgrade() -> None:
    """Make the table from the words that there are; everybody counts the words of shared records.

    The settings that policies compare with are read once for a statement instead of once for each
    of the many rows that a search reads. New postings are vacuumed soon, since searches read the
    newest, and from the index alone where that has been done.
    """
    op.execute(_TABLE)
    for statement in protect_rows("host.memory_terms", user_column="space"):
        op.execute(statement)
    op.execute(
        "create policy for_counts on host.memory_terms to host_app"
        f" using ({_SHARED}) with check ({_SHARED})"
    )
    op.execute(grant_rights("host.memory_terms", "select", "insert", "update", "delete"))
    for table in ("host.memory_postings", "host.memory_vectors"):
        op.execute(f"alter policy for_principal on {table} using (space = {_USER} or {_IS_ADMIN})")
        op.execute(f"alter policy for_readers on {table} using ({_SHARED})")
