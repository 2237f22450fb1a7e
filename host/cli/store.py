"""`host store`, `host backup` and `host restore`: the database, looked at, saved and put back."""

import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from host.storage.connector import Connector
    from host.storage.store import Store

AS_JSON = typer.Option(False, "--json", help="Print JSON.")


def register(root: typer.Typer) -> None:
    """Add `store`, `backup` and `restore`."""
    app = typer.Typer(help="The database.", no_args_is_help=True)
    app.command()(status)
    app.command()(url)
    root.add_typer(app, name="store")
    root.command()(backup)
    root.command()(restore)


def status(as_json: bool = AS_JSON) -> None:
    """Say which database is used, whether it works, and what is in it."""
    found = _status()
    if as_json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<12} {value}")


def url() -> None:
    """Print the database's address; the password stays in its file.

    The embedded server runs while somebody uses it: keep the daemon running.
    """
    with _connector() as connector:
        known = connector.conninfo("owner")
        if connector.kind == "embedded":
            print(_embedded_url(known))
        else:
            from psycopg.conninfo import make_conninfo

            print(make_conninfo("", **{k: v for k, v in known.items() if k != "password"}))


def backup(
    file: Path = typer.Argument(help="A new file."),
    as_json: bool = AS_JSON,
) -> None:
    """Save the whole store to one file, while it is in use."""
    from host.storage.backup import write_backup

    _load_journal()
    with _connector() as connector:
        manifest = write_backup(connector, file.absolute(), tell=_tell)
    if as_json:
        print(json.dumps({"file": str(file), **asdict(manifest)}))
        return
    rows = sum(table.rows for table in manifest.tables.values())
    size = file.stat().st_size
    print(f"{file}: {rows} rows of {len(manifest.tables)} tables, {size} bytes.")


def restore(
    file: Path = typer.Argument(help="What `host backup` wrote."),
    replace: bool = typer.Option(False, "--replace", help="Replace a store that has rows."),
    as_json: bool = AS_JSON,
) -> None:
    """Put a backup in the store's place; the old one stays until the new one was compared."""
    from host.storage.restore import restore_backup

    with _connector() as connector:
        done = restore_backup(connector, file.absolute(), replace=replace, tell=_tell)
    if as_json:
        print(json.dumps(asdict(done)))
        return
    rows = sum(table.rows for table in done.manifest.tables.values())
    print(f"{rows} rows of {done.manifest.made} are in place of {done.replaced}.")


def configured_folder() -> Path:
    """Return the user's data folder."""
    from host.config.paths import user_paths

    return user_paths().data


def configured_url() -> str | None:
    """Return the address of the configured PostgreSQL; None is the embedded one."""
    from host.config.environment import database_url
    from host.config.load import load_settings

    return database_url(load_settings().settings.store)


async def configured_store() -> "Store":
    """Return the configured store, which is not connected yet."""
    from host.storage.store import open_store

    return await open_store(configured_url(), configured_folder())


@contextmanager
def _connector() -> "Generator[Connector]":
    """Yield the configured server, prepared."""
    import threading

    from host.storage.connector import EmbeddedConnector, SharedConnector

    address = configured_url()
    connector = SharedConnector(address) if address else EmbeddedConnector(configured_folder())
    try:
        connector.prepare(_tell, threading.Event())
        yield connector
    finally:
        connector.release()


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"host: {text}", file=sys.stderr)


def _load_journal() -> None:
    """Bring what waits in the journal into the store first, unless the daemon is doing that."""
    import anyio

    from host.audit.loader import JournalLoader

    async def run() -> None:
        store = await configured_store()
        try:
            await JournalLoader(configured_folder() / "journal", store).load_once()
        finally:
            await store.close()

    anyio.run(run)


def _status() -> dict[str, Any]:
    import psycopg

    from host.storage.backup import read_content

    with _connector() as connector, psycopg.connect(**connector.privileged()) as database:
        content = read_content(database)
        query = "select pg_database_size(current_database()), extversion from pg_extension"
        size, vector = database.execute(f"{query} where extname = 'vector'").fetchall()[0]
        return {
            "kind": connector.kind,
            "postgres": database.info.parameter_status("server_version"),
            "pgvector": vector,
            "bytes": size,
            "rows": sum(table.rows for table in content.values()),
            "where": connector.where,
        }


def _embedded_url(known: dict[str, Any]) -> str:
    from urllib.parse import quote

    place = f"host={quote(str(known['host']), safe='')}&port={known['port']}"
    return f"postgresql:///{known['dbname']}?user={known['user']}&{place}"
