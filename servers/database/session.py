"""Opens connections that the database itself keeps from changing anything."""

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from servers.database.settings import DatabaseSettings, sqlite_file
from servers.database.sqlite import confine_reading, confine_writing, open_file
from servers.launch import SettingsError
from servers.tool import RefusalError

_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_POWERFUL_POSTGRES = """
SELECT rolname FROM pg_roles WHERE rolname = current_user AND rolsuper
UNION ALL
SELECT r.rolname FROM pg_roles r
WHERE r.rolname IN ('pg_execute_server_program', 'pg_write_server_files',
    'pg_read_server_files', 'pg_signal_backend')
  AND pg_has_role(current_user, r.oid, 'MEMBER')"""
_POWERFUL_MYSQL = """
SELECT privilege_type FROM information_schema.user_privileges
WHERE REPLACE(grantee, '''', '') = CURRENT_USER() AND privilege_type IN
  ('FILE', 'SUPER', 'SHUTDOWN', 'SYSTEM_VARIABLES_ADMIN', 'CONNECTION_ADMIN', 'RELOAD')"""


def parse_url(name: str, text_url: str) -> URL:
    """Return the URL with the driver that is installed.

    Raises:
        SettingsError: It is not a URL, or of a kind that read-only mode is not known for.
    """
    try:
        url = make_url(text_url)
    except (ArgumentError, ValueError) as error:
        raise SettingsError(f"databases.{name}.url is not a database URL.") from error
    kind = url.get_backend_name()
    if kind == "postgres":
        kind = "postgresql"
    if kind not in {*_DRIVERS, "sqlite"}:
        raise SettingsError(
            f"databases.{name}.url: {kind} is not supported; use postgresql, mysql or sqlite."
        )
    if kind == "sqlite" and not url.database:
        raise SettingsError(f"databases.{name}.url names no file.")
    return url if kind == "sqlite" else url.set(drivername=_DRIVERS[kind])


class Database:
    """One configured database.

    Every statement gets a new connection: what a statement sets in its session ends with it.
    """

    def __init__(self, name: str, settings: DatabaseSettings, *, timeout: float) -> None:
        self.name = name
        self.url = parse_url(name, settings.url.get_secret_value())
        self.kind = "mysql" if "pymysql" in self.url.drivername else self.url.get_backend_name()
        self.writable = settings.access == "rw"
        self._allow_powerful = settings.allow_powerful_role
        self._timeout = timeout

    def engine(self, *, writing: bool = False) -> Engine:
        """Return an engine whose connections are read-only unless `writing`."""
        if self.kind == "sqlite":
            return create_engine(
                "sqlite://", creator=lambda: self._open_sqlite(writing=writing), poolclass=NullPool
            )
        arguments: dict[str, Any] = {"connect_timeout": max(2, int(self._timeout))}
        if self.kind == "postgresql":
            mode = "off" if writing else "on"
            arguments["options"] = (
                f"-c default_transaction_read_only={mode}"
                f" -c statement_timeout={int(self._timeout * 1000)}"
                " -c standard_conforming_strings=on"  # so that literals end where we see them end
            )
        else:
            arguments["read_timeout"] = int(self._timeout) + 1
        return create_engine(self.url, connect_args=arguments, poolclass=NullPool)

    def _open_sqlite(self, *, writing: bool) -> sqlite3.Connection:
        return open_file(sqlite_file(str(self.url.database)), writing=writing)

    @contextmanager
    def inspecting(self) -> Generator[Connection]:
        """Open a connection for the catalog; no statement of a caller runs on it."""
        engine = self.engine()
        with engine.connect() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """Open a connection on which one statement of a caller can only read."""
        engine = self.engine()
        if self.kind == "postgresql":
            # A server-side cursor: the statement travels inside DECLARE … CURSOR FOR, so that the
            # server's own grammar takes nothing but a single query.
            engine = engine.execution_options(postgresql_readonly=True, stream_results=True)
        with engine.connect() as connection:
            self._confine(connection)
            yield connection

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """Open a connection whose transaction commits when the block ends well."""
        engine = self.engine(writing=True)
        with engine.begin() as connection:
            if self.kind == "sqlite":
                confine_writing(_raw_sqlite(connection))
            yield connection

    def _confine(self, connection: Connection) -> None:
        if self.kind == "sqlite":
            confine_reading(_raw_sqlite(connection))
            return
        if self.kind == "mysql":
            _confine_mysql(connection, self._timeout)
        query = _POWERFUL_POSTGRES if self.kind == "postgresql" else _POWERFUL_MYSQL
        # Also the transaction's first query: PostgreSQL refuses to leave read-only mode after one.
        powers = list(connection.execute(text(query)).scalars())
        if powers and not self._allow_powerful:
            raise RefusalError(
                f"The role of database {self.name!r} can reach beyond data even when reading"
                f" ({', '.join(map(str, powers))}).",
                "Connect as a role that may only SELECT, or set allow_powerful_role.",
            )


def _raw_sqlite(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.driver_connection)


def _confine_mysql(connection: Connection, timeout: float) -> None:
    maria = bool(connection.dialect.__dict__.get("is_mariadb"))
    limit = (
        f"SET SESSION max_statement_time = {timeout:g}"
        if maria
        else f"SET SESSION max_execution_time = {int(timeout * 1000)}"
    )
    connection.exec_driver_sql(limit)
    connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
    connection.exec_driver_sql("START TRANSACTION READ ONLY")
