"""Brings the tables to this program's version: Alembic, under a lock, in one transaction."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from host.domain.errors import StoreError

VERSIONS = Path(__file__).with_name("migrations") / "versions"

_NOTE = (
    "insert into host.store_state (name, value) values ('migrations', :value)"
    " on conflict (name) do update set value = excluded.value"
)
_LOCK = 0x6D61682D7461626C
"""Key of the advisory lock; the letters of `mah-tabl`."""


def migrations_digest(folder: Path = VERSIONS) -> str:
    """Return a digest of the names of all migrations; a migration's content never changes."""
    names = sorted(path.name for path in folder.glob("[a-z]*.py"))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def migrate(conninfo: dict[str, Any], *, revisions: Sequence[str] | None = None) -> bool:
    """Apply the migrations that are missing; any number of processes may do so at once.

    SQLAlchemy and Alembic are imported only when something is missing, which saves most starts
    half a second.

    Args:
        conninfo: How to connect as the owner of the tables.
        revisions: The migrations to end with, for an older state; None is all there are.

    Returns:
        Whether there was something to do.

    Raises:
        StoreError: The tables belong to a newer version, or a migration failed.
    """
    with psycopg.connect(**conninfo) as database:
        database.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
        if revisions is None and _applied(database) == migrations_digest():
            return False
        # The lock is held by this connection, while Alembic works on another.
        _upgrade(conninfo, revisions)
    return True


def _applied(database: psycopg.Connection) -> str | None:
    """Return the digest that the last migrating process left."""
    if database.execute("select to_regclass('host.store_state')").fetchone() == (None,):
        return None
    row = database.execute(
        "select value from host.store_state where name = 'migrations'"
    ).fetchone()
    return None if row is None else str(row[0])


def _upgrade(conninfo: dict[str, Any], revisions: Sequence[str] | None) -> None:
    """Run Alembic, and note the digest in the same transaction."""
    import alembic.command  # noqa: PLC0415  slow to import, seldom needed
    import alembic.config  # noqa: PLC0415
    import alembic.util  # noqa: PLC0415
    import sqlalchemy  # noqa: PLC0415
    import sqlalchemy.exc  # noqa: PLC0415

    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(**conninfo),
        poolclass=sqlalchemy.NullPool,
    )
    config = alembic.config.Config()
    config.set_main_option("script_location", str(VERSIONS.parent).replace("%", "%%"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            for revision in ("heads",) if revisions is None else revisions:
                alembic.command.upgrade(config, revision)
            if revisions is None:
                connection.execute(sqlalchemy.text(_NOTE), {"value": migrations_digest()})
    except alembic.util.CommandError as error:
        raise StoreError(
            f"The tables are of another version of this program: {error}",
            next_step="Install the version that made them, or a newer one.",
        ) from error
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise StoreError(
            f"The tables could not be brought to this version: {error}",
            next_step="Nothing was changed. Check the database's log and disk, and try again.",
        ) from error
    finally:
        engine.dispose()
