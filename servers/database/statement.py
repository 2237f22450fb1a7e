"""Runs one statement within limits of rows, bytes and time."""

import base64
import json
import math
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, CursorResult
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from servers.database.effects import VOLATILE, check_change, check_query
from servers.database.parameters import Parameters, bind
from servers.database.session import Database
from servers.tool import RefusalError

Cell = Any
_BATCH = 100


@dataclass(frozen=True)
class Limits:
    """Bounds of one answer."""

    rows: int
    bytes: int
    cell_chars: int
    seconds: float


@dataclass(frozen=True)
class Rows:
    """Rows as JSON values.

    Args:
        stopped_by: `rows` or `bytes` when there are more, else None.
    """

    columns: list[str]
    rows: list[list[Cell]]
    stopped_by: str | None


def run_query(database: Database, sql: str, parameters: Parameters, *, limits: Limits) -> Rows:
    """Run a query that can only read.

    Raises:
        RefusalError: The database refuses it, or it takes too long.
    """
    with (
        _errors(database, limits.seconds),
        database.reading() as connection,
        _deadline(database, connection, limits.seconds),
    ):
        _check(database, connection, sql)
        if database.kind == "mysql":
            # The server's own grammar lets EXPLAIN take single queries and changes of data only;
            # so COMMIT, SET, CALL and blocks of statements end here, and the transaction refuses
            # the changes.
            connection.exec_driver_sql(*bind("mysql", f"EXPLAIN {sql}", parameters))
        statement = bind(database.kind, sql, parameters)
        result = _stream(database, connection).exec_driver_sql(*statement)
        return _collect(result, limits)


def run_explain(
    database: Database, sql: str, parameters: Parameters, *, analyze: bool, limits: Limits
) -> Rows:
    """Return the plan; `analyze` also runs the query, read-only, on PostgreSQL."""
    prefix = {
        "postgresql": f"EXPLAIN ({'ANALYZE, ' if analyze else ''}COSTS) ",
        "sqlite": "EXPLAIN QUERY PLAN ",
    }.get(database.kind, "EXPLAIN ")
    with _errors(database, limits.seconds), database.reading() as connection:
        plain = connection.execution_options(stream_results=False)
        with _deadline(database, plain, limits.seconds):
            _check(database, plain, sql)
            if database.kind == "postgresql":
                # Prepared, so that the server accepts one statement only.
                cursor = cast("Any", plain.connection.driver_connection).cursor()
                cursor.execute(*bind(database.kind, prefix + sql, parameters), prepare=True)
                return Rows(["plan"], [[row[0]] for row in cursor.fetchall()], None)
            statement = bind(database.kind, prefix + sql, parameters)
            return _collect(plain.exec_driver_sql(*statement), limits)


def run_change(database: Database, sql: str, parameters: Parameters, *, limits: Limits) -> int:
    """Run a statement that may change data, in a transaction of its own; return rows changed."""
    check_change(database.kind, sql)
    with (
        _errors(database, limits.seconds),
        database.writing() as connection,
        _deadline(database, connection, limits.seconds),
    ):
        if database.kind != "postgresql":
            return connection.exec_driver_sql(*bind(database.kind, sql, parameters)).rowcount
        cursor = cast("Any", connection.connection.driver_connection).cursor()
        cursor.execute(*bind(database.kind, sql, parameters), prepare=True)
        return int(cursor.rowcount)


def _check(database: Database, connection: Connection, sql: str) -> None:
    """Refuse what only looks like one query."""

    def ask(names: list[str]) -> list[str]:
        return list(connection.exec_driver_sql(VOLATILE, (names,)).scalars())

    check_query(database.kind, sql, ask)


def _stream(database: Database, connection: Connection) -> Connection:
    if database.kind == "mysql":
        return connection.execution_options(stream_results=True)
    return connection


def _collect(result: CursorResult[Any], limits: Limits) -> Rows:
    if not result.returns_rows:
        raise RefusalError("The statement returns no rows.", "Only queries can be run here.")
    columns = list(result.keys())
    rows: list[list[Cell]] = []
    size = 0
    while batch := result.fetchmany(_BATCH):
        for row in batch:
            cells = [_cell(value, limits.cell_chars) for value in row]
            size += len(json.dumps(cells, ensure_ascii=False).encode())
            if len(rows) >= limits.rows or size > limits.bytes:
                result.close()
                return Rows(columns, rows, "rows" if len(rows) >= limits.rows else "bytes")
            rows.append(cells)
    return Rows(columns, rows, None)


def _cell(value: object, longest: int) -> Cell:
    """Return `value` as JSON has it; what JSON lacks becomes text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(cast("bytes", value))
        shown = "base64:" + base64.b64encode(raw[: longest * 3 // 4]).decode()
        return shown if len(raw) <= longest * 3 // 4 else f"{shown}… ({len(raw)} bytes)"
    if isinstance(value, list | dict):
        shown = json.dumps(value, default=str, ensure_ascii=False)
        return cast("Cell", value) if len(shown) <= longest else _cut(shown, longest)
    return _cut(str(value), longest)


def _cut(shown: str, longest: int) -> str:
    return shown if len(shown) <= longest else f"{shown[:longest]}… ({len(shown)} characters)"


@contextmanager
def _deadline(database: Database, connection: Connection, seconds: float) -> Generator[None]:
    """Cancel the statement from another thread when its time is up."""
    raw = cast("Any", connection.connection.driver_connection)
    cancel = {
        "sqlite": "interrupt",
        "postgresql": "cancel",
        "mysql": "_force_close",  # PyMySQL has no public way out of a read
    }[database.kind]
    late = threading.Event()

    def stop() -> None:
        late.set()
        with suppress(Exception):
            getattr(raw, cancel)()

    timer = threading.Timer(seconds, stop)
    timer.start()
    try:
        yield
    except Exception as error:
        if late.is_set():
            raise _too_slow(database, seconds) from error
        raise
    finally:
        timer.cancel()
        timer.join()


@contextmanager
def _errors(database: Database, seconds: float) -> Generator[None]:
    """Turn what the database says into an error for the caller, without URL or password."""
    try:
        yield
    except DBAPIError as error:
        said = _said(error.orig)
        if (
            said == "(0, '')"  # PyMySQL: a connection closed by this side, by the deadline alone
            or "statement timeout" in said
            or "max_statement_time" in said
            or "execution time exceeded" in said
        ):
            raise _too_slow(database, seconds) from error
        raise RefusalError(f"Database {database.name!r}: {said}", _next_step(said)) from error
    except SQLAlchemyError as error:
        raise RefusalError(
            f"Database {database.name!r}: {error.args[0]}", "Check names and :parameters."
        ) from error
    except Exception as error:
        if type(error).__module__.split(".")[0] in {"psycopg", "pymysql", "sqlite3"}:
            said = _said(error)
            raise RefusalError(f"Database {database.name!r}: {said}", _next_step(said)) from error
        raise


def _said(error: BaseException | None) -> str:
    """Return what the database says; of PostgreSQL's without the statement around the caller's."""
    told: Any = getattr(error, "diag", None)
    if told is not None and told.message_primary:
        return ". ".join(part for part in (told.message_primary, told.message_hint) if part)
    return str(error).strip() or type(error).__name__


def _too_slow(database: Database, seconds: float) -> RefusalError:
    return RefusalError(
        f"The statement ran longer than {seconds:g} s in {database.name!r} and was cancelled.",
        "Narrow it with WHERE, look at `explain`, or raise timeout_seconds.",
    )


def _next_step(said: str) -> str:
    low = said.lower()
    if any(w in low for w in ("no such", "does not exist", "doesn't exist", "unknown column")):
        return "Look at `list_tables` and `describe_table` for the names there are."
    if any(w in low for w in ("read-only", "readonly", "read only", "not authorized", "cursor")):
        return "`query` and `explain` can only read: run a single SELECT."
    if "data type of parameter" in low:
        return "Say its type, as in CAST(:name AS text)."
    return ""
