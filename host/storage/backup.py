"""Backups: one file with all tables and their digests, independent of the PostgreSQL that made it.

A backup holds rows and no table definitions: restoring lets this program make the tables as they
were, fills them, compares, and only then brings them to its own version. So roles, majors and
servers may differ.
"""

import hashlib
import json
import os
import subprocess
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import conninfo as parsing
from psycopg import sql

from host import __version__
from host.domain.errors import StoreError
from host.storage.binaries import find_binaries
from host.storage.connector import Connector

FORMAT = 1
DUMP = "store.dump"
MANIFEST = "manifest.json"
OWN_TABLES = ("alembic_version", "store_state")
"""Tables that say which version the others are of; made anew, not restored."""

_PIECE = 1 << 20
_CONTENT = (
    "select count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text from host.{} t"
)


@dataclass(frozen=True, slots=True)
class TableContent:
    """What a table holds, in short: equal contents have equal counts and digests."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup says of itself.

    Attributes:
        format: Version of this layout.
        made: When, in UTC.
        program: Version of the program that made it.
        postgres: Version of the server it was taken from.
        revisions: The migrations that were in force.
        tables: What each table holds.
        sha256: Digest of the dump.
    """

    format: int
    made: str
    program: str
    postgres: int
    revisions: list[str]
    tables: dict[str, TableContent]
    sha256: str


def read_content(database: psycopg.Connection) -> dict[str, TableContent]:
    """Return what each table of the store holds."""
    database.execute("set local timezone = 'UTC'")
    names = database.execute(
        "select relname from pg_class where relnamespace = 'host'::regnamespace"
        " and relkind in ('r', 'p') and not relispartition order by relname"
    ).fetchall()
    found: dict[str, TableContent] = {}
    for (name,) in names:
        if name not in OWN_TABLES:
            query = sql.SQL(_CONTENT).format(sql.Identifier(name))
            rows, digest = database.execute(query).fetchall()[0]
            found[name] = TableContent(rows, digest)
    return found


def write_backup(connector: Connector, file: Path, *, tell: Callable[[str], None]) -> Manifest:
    """Write all tables to a new file, as they were at one moment; work goes on meanwhile.

    Args:
        connector: Of a prepared server.
        file: A file that does not exist.
        tell: Told what is done.

    Raises:
        StoreError: It could not be written; no file is left.
    """
    partial = file.with_name(f"{file.name}.part")
    try:
        if file.exists():
            raise StoreError(f"{file} exists.", next_step="Name a new file.")
        with _private(partial) as out, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
            manifest = _write_archive(connector, archive, tell=tell)
        partial.replace(file)
    except OSError as error:
        raise StoreError(
            f"The backup {file} could not be written: {error.strerror}.",
            next_step="Choose a folder that can be written and has space.",
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return manifest


@contextmanager
def _private(path: Path) -> Generator[IO[bytes]]:
    """Open a new file that only its owner can read, and bring it to disk."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w+b") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _write_archive(
    connector: Connector, archive: zipfile.ZipFile, *, tell: Callable[[str], None]
) -> Manifest:
    with psycopg.connect(**connector.privileged()) as database:
        database.execute("set transaction isolation level repeatable read, read only")
        snapshot = database.execute("select pg_export_snapshot()").fetchall()[0][0]
        tell("reading the tables")
        tables = read_content(database)
        revisions = database.execute("select version_num from host.alembic_version").fetchall()
        with archive.open(DUMP, "w", force_zip64=True) as out:
            sha256 = _dump(connector.privileged(), snapshot, out)
        version = database.info.server_version
    manifest = Manifest(
        format=FORMAT,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        program=__version__,
        postgres=version // 10000,
        revisions=sorted(row[0] for row in revisions),
        tables=tables,
        sha256=sha256,
    )
    archive.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
    return manifest


def _dump(conninfo: dict[str, Any], snapshot: str, out: IO[bytes]) -> str:
    """Run pg_dump into a file; returns the digest of what it wrote."""
    options = [
        "--format=custom",
        "--data-only",
        "--schema=host",
        "--enable-row-security",
        f"--snapshot={snapshot}",
        *(f"--exclude-table-data=host.{name}" for name in OWN_TABLES),
    ]
    digest = hashlib.sha256()
    with run_client("pg_dump", options, conninfo) as process:
        while piece := process.stdout.read(_PIECE) if process.stdout else b"":
            digest.update(piece)
            out.write(piece)
    return digest.hexdigest()


@contextmanager
def run_client(
    name: str, options: list[str], conninfo: dict[str, Any], *, stdin: IO[bytes] | None = None
) -> Generator[subprocess.Popen[bytes]]:
    """Run `pg_dump` or `pg_restore` on a database; the password goes by environment.

    Raises:
        StoreError: It failed; the message is its own.
    """
    environment = dict(os.environ)
    if conninfo.get("password"):
        environment["PGPASSWORD"] = str(conninfo["password"])
    target = parsing.make_conninfo("", **{k: v for k, v in conninfo.items() if k != "password"})
    with subprocess.Popen(  # noqa: S603  a program of the installed wheel
        [find_binaries().program(name), "--no-password", f"--dbname={target}", *options],
        stdin=stdin or subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        said = b"" if process.stderr is None else process.stderr.read()
        if process.wait() != 0:
            raise StoreError(
                f"{name} failed: {said.decode('utf-8', 'replace').strip()[-600:]}",
                next_step="If the server is newer than this program's PostgreSQL, use the tools"
                " that came with the server.",
            )


def read_manifest(file: Path) -> Manifest:
    """Return what a backup says of itself, its dump checked against it.

    Raises:
        StoreError: It is no backup, or a damaged one.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            found: dict[str, Any] = json.loads(archive.read(MANIFEST))
            tables = {name: TableContent(**each) for name, each in found.pop("tables").items()}
            manifest = Manifest(**found, tables=tables)
            digest = hashlib.sha256()
            with archive.open(DUMP) as dump:
                while piece := dump.read(_PIECE):
                    digest.update(piece)
    except FileNotFoundError:
        raise StoreError(f"There is no backup {file}.", next_step="Check its name.") from None
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{file} is not a whole backup: {error}.", next_step="Use another copy of it."
        ) from error
    if manifest.format != FORMAT or digest.hexdigest() != manifest.sha256:
        raise StoreError(
            f"{file} is damaged or of a later format.", next_step="Use another copy of it."
        )
    return manifest
