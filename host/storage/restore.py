"""Restoring a backup: beside the old database, compared, and only then put in its place."""

import shutil
import tempfile
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from host.domain.errors import StoreError
from host.storage.backup import DUMP, Manifest, read_content, read_manifest, run_client
from host.storage.connector import Connector
from host.storage.migrate import migrate

_FORCED = (
    "select relname from pg_class where relnamespace = 'host'::regnamespace and relforcerowsecurity"
)


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored.

    Attributes:
        manifest: The backup's.
        replaced: Rows that the old store had.
    """

    manifest: Manifest
    replaced: int


def restore_backup(
    connector: Connector, file: Path, *, replace: bool, tell: Callable[[str], None]
) -> Restored:
    """Put a backup in the place of the store; the old one stays until the new one is compared.

    Args:
        connector: Of a prepared server.
        file: The backup.
        replace: Whether a store that has rows may be replaced.
        tell: Told what is done.

    Raises:
        StoreError: The backup is damaged, the store is not empty, or the copy differs; nothing
            changed.
    """
    tell("checking the backup")
    manifest = read_manifest(file)
    with psycopg.connect(**connector.privileged()) as database:
        rows = sum(each.rows for each in read_content(database).values())
        name = database.info.dbname
    if rows and not replace:
        raise StoreError(
            f"The store has {rows} rows, which a restore would replace.",
            next_step="Add --replace to do so; `host backup` saves them first.",
        )
    copy = f"{name}_restore_{token_hex(4)}"
    with _server(connector) as server:
        try:
            connector.create_database(copy)
            tell("making the tables")
            migrate(connector.owner(copy), revisions=manifest.revisions)
            tell("filling the tables")
            _fill(connector, copy, file)
            tell("comparing")
            _compare(connector, copy, manifest)
            migrate(connector.owner(copy))
            tell("putting it in place")
            _swap(server, old=name, new=copy)
        except psycopg.Error as error:
            raise StoreError(
                f"The backup could not be restored: {error}", next_step="The old store is in place."
            ) from error
        finally:
            _drop(server, copy)
    return Restored(manifest, rows)


@contextmanager
def _server(connector: Connector) -> Generator[psycopg.Connection]:
    """Yield a connection to the server that is not in the store's own database."""
    with psycopg.connect(**connector.privileged("postgres"), autocommit=True) as server:
        yield server


def _fill(connector: Connector, copy: str, file: Path) -> None:
    """Run pg_restore; forced row security is lifted meanwhile, since COPY does not go with it."""
    with psycopg.connect(**connector.owner(copy)) as database:
        forced = [row[0] for row in database.execute(_FORCED).fetchall()]
        _alter_tables(database, forced, "no force row level security")
    options = ["--data-only", "--exit-on-error", "--single-transaction"]
    with tempfile.TemporaryFile() as dump:
        with zipfile.ZipFile(file) as archive, archive.open(DUMP) as packed:
            shutil.copyfileobj(packed, dump)
        dump.seek(0)
        with run_client("pg_restore", options, connector.privileged(copy), stdin=dump):
            pass
    with psycopg.connect(**connector.owner(copy)) as database:
        _alter_tables(database, forced, "force row level security")


def _alter_tables(database: psycopg.Connection, names: list[Any], change: LiteralString) -> None:
    for name in names:
        statement = sql.SQL("alter table host.{} {}").format(sql.Identifier(name), sql.SQL(change))
        database.execute(statement)


def _compare(connector: Connector, copy: str, manifest: Manifest) -> None:
    with psycopg.connect(**connector.privileged(copy)) as database:
        content = read_content(database)
    wrong = [name for name, each in manifest.tables.items() if content.get(name) != each]
    if wrong:
        raise StoreError(
            f"The restored tables differ from the backup: {', '.join(wrong)}.",
            next_step="The old store is in place.",
        )


def _swap(server: psycopg.Connection, *, old: str, new: str) -> None:
    """Exchange two databases' names; who is connected to the old one is sent away."""
    aside = f"{new}_old"
    server.execute(sql.SQL("alter database {} allow_connections false").format(sql.Identifier(old)))
    try:
        server.execute(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
            " where datname = any(%s) and pid <> pg_backend_pid()",
            [[old, new]],
        )
        with server.transaction():
            _rename(server, old, aside)
            _rename(server, new, old)
    except psycopg.Error:
        server.execute(
            sql.SQL("alter database {} allow_connections true").format(sql.Identifier(old))
        )
        raise
    _drop(server, aside)


def _rename(server: psycopg.Connection, old: str, new: str) -> None:
    server.execute(
        sql.SQL("alter database {} rename to {}").format(sql.Identifier(old), sql.Identifier(new))
    )


def _drop(server: psycopg.Connection, name: str) -> None:
    server.execute(sql.SQL("drop database if exists {} (force)").format(sql.Identifier(name)))
