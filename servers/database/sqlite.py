"""Opens SQLite files so that SQLite itself keeps them from being changed, or from being left."""

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
}
_OWN_PRAGMAS = {"data_version", "page_size"}
"""What full-text search asks itself; without a value they change nothing."""
_FUNCTIONS_REFUSED = {"load_extension", "writefile", "readfile", "edit", "fts3_tokenizer"}
_LONGEST = 50_000_000
_MOST_VIRTUAL = 100

_held: dict[Path, sqlite3.Connection] = {}
"""See `hold_logs`."""


def open_file(path: Path, *, writing: bool) -> sqlite3.Connection:
    """Open a file that exists; what is opened for reading cannot write.

    Args:
        path: The database.
        writing: Whether it may be changed.
    """
    mode = "rw" if writing else "ro"
    connection = sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, check_same_thread=False)
    if not writing:
        connection.execute("PRAGMA query_only = ON")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    return connection


def confine_reading(connection: sqlite3.Connection) -> None:
    """Let a caller's statement select, and nothing else: no ATTACH, PRAGMA or change."""
    _load_virtual(connection)
    connection.set_authorizer(_authorize_read)


def confine_writing(connection: sqlite3.Connection) -> None:
    """Keep a caller's statement from leaving the file, also where data may be changed."""
    connection.set_authorizer(_authorize_write)


def hold_logs(paths: Iterable[Path]) -> None:
    """Keep the write-ahead logs of databases in place until this process ends.

    A process that is confined later can use only files that are there now. While a connection is
    open, whoever closes theirs leaves the log and its index where they are.
    """
    for path in paths:
        with suppress(sqlite3.Error):  # the first call will say what is wrong with it
            connection = open_file(path, writing=False)
            _held[path] = connection
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()


def _load_virtual(connection: sqlite3.Connection) -> None:
    """Load virtual tables (full text, R-trees, JSON) while their modules may still do so.

    A module declares its tables by statements of its own, which the authorizer would refuse.
    """
    with suppress(sqlite3.Error):
        connection.execute("SELECT 1 FROM json_each('1'), json_tree('1') LIMIT 0").close()
    with suppress(sqlite3.Error):
        virtual = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage = 0 LIMIT ?",
            (_MOST_VIRTUAL,),
        ).fetchall()
        for (name,) in virtual:
            quoted = str(name).replace('"', '""')
            with suppress(sqlite3.Error):
                connection.execute(f'SELECT 1 FROM "{quoted}" LIMIT 0').close()  # noqa: S608 - quoted


def _authorize_read(action: int, first: str | None, second: str | None, *_: object) -> int:
    if action == sqlite3.SQLITE_PRAGMA and first in _OWN_PRAGMAS and second is None:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and second in _FUNCTIONS_REFUSED:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _authorize_write(action: int, first: str | None, second: str | None, *_: object) -> int:
    own = action == sqlite3.SQLITE_PRAGMA and first in _OWN_PRAGMAS and second is None
    leaves = action in {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA}
    if leaves and not own:
        return sqlite3.SQLITE_DENY
    refused = action == sqlite3.SQLITE_FUNCTION and second in _FUNCTIONS_REFUSED
    return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK
