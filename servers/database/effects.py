"""Refuses what reads like a query and does something: functions with effects, COMMIT, two at once.

Data are kept by the database's own read-only session. PostgreSQL runs functions in it that change
no data and yet end other sessions, hold locks, send notices or read the server's files; the server
itself says which they are: those that it ships, or an extension does, and declares volatile.
"""

import re
from collections.abc import Callable

from servers.database.parameters import code_of
from servers.tool import RefusalError

_HARMLESS = frozenset(
    """random random_normal setseed gen_random_uuid uuidv4 uuidv7 clock_timestamp timeofday
    currval lastval pg_sleep pg_sleep_for pg_sleep_until pg_relation_size pg_total_relation_size
    pg_table_size pg_indexes_size pg_database_size pg_tablespace_size pg_current_wal_lsn
    pg_is_in_recovery pg_blocking_pids pg_last_xact_replay_timestamp uuid_generate_v1
    uuid_generate_v4""".split()  # noqa: SIM905 - one word a line reads worse
)
"""Volatile functions that only tell something; sleeping ends with the time limit."""
VOLATILE = """
SELECT DISTINCT proname FROM pg_catalog.pg_proc p
WHERE proname = ANY(%s) AND provolatile = 'v' AND (oid < 16384 OR EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'))
ORDER BY proname"""
"""Asks PostgreSQL which functions it ships, or an extension brings, may do something."""
_REFUSED_MYSQL = frozenset(
    "get_lock release_lock release_all_locks nextval setval load_file master_pos_wait".split()  # noqa: SIM905 - as above
)
_ORDINARY = r"[^\W\d][\w$]*"
_CALL = re.compile(rf'("(?:[^"]|"")*"|`(?:[^`]|``)*`|{_ORDINARY})\s*\(')
_ESCAPED_NAME = re.compile(r'(?<![\w$])[uU]&"')
_FIRST_WORD = re.compile(rf"[\s;(]*({_ORDINARY})\s*({_ORDINARY})?")
_TRANSACTION = frozenset(
    "begin start commit end rollback abort savepoint release xa".split()  # noqa: SIM905 - as above
)


def check_single(kind: str, sql: str) -> None:
    """Refuse several statements in one; definitions of routines and triggers hold others.

    Raises:
        RefusalError: Something follows the first statement.
    """
    code = code_of(kind, sql)
    _, mark, rest = code.partition(";")
    if mark and rest.strip("; \t\r\n\f\v") and _words(code)[0] != "create":
        raise RefusalError(
            "These are several statements; one at a time is run.",
            "Call the tool once for each; a `;` in a text belongs in quotes or in a parameter.",
        )


def check_change(kind: str, sql: str) -> None:
    """Refuse several statements, and those that begin or end a transaction.

    Raises:
        RefusalError: It is not one statement that changes something in its own transaction.
    """
    check_single(kind, sql)
    first, second = _words(code_of(kind, sql))
    prepares = (first, second) == ("prepare", "transaction")
    sets = first == "set" and second in {"transaction", "session", "autocommit", "local", "role"}
    unlocks = (first, second) in {("unlock", "tables"), ("lock", "tables")}
    if first in _TRANSACTION or prepares or sets or unlocks:
        shown = " ".join(word for word in (first, second) if word).upper()
        raise RefusalError(
            f"{shown} begins, ends or sets a transaction or a session.",
            "Each call is a transaction of its own, committed when it succeeds: leave this out.",
        )


def check_query(kind: str, sql: str, ask: Callable[[list[str]], list[str]]) -> None:
    """Refuse a query that calls a function with effects, or more than one statement.

    Args:
        kind: postgresql, mysql or sqlite.
        sql: The caller's statement.
        ask: Returns which of some names are `VOLATILE` functions of PostgreSQL's.

    Raises:
        RefusalError: It does.
    """
    check_single(kind, sql)
    if kind == "sqlite":
        return  # the authorizer sees every function
    called = _calls(kind, sql)
    if kind == "mysql":
        refused = sorted(called & _REFUSED_MYSQL)
    elif asked := sorted(called - _HARMLESS):
        refused = ask(asked)
    else:
        refused = []
    if refused:
        raise RefusalError(
            f"{', '.join(f'{name}()' for name in refused)} does something beside answering.",
            "Only functions that compute are run by `query` and `explain`; leave it out.",
        )


def _calls(kind: str, sql: str) -> set[str]:
    """Return the names before a bracket, as the server's catalog has them."""
    code = code_of(kind, sql)
    if kind == "postgresql" and _ESCAPED_NAME.search(code):
        raise RefusalError('A name in U&"..." is not looked into.', "Write the name itself.")
    names: set[str] = set()
    for found in _CALL.findall(code):
        quote = found[0] if found[0] in '"`' else ""
        name = found[1:-1].replace(quote * 2, quote) if quote else found.lower()
        names.add(name.lower() if kind == "mysql" else name)
    return names


def _words(code: str) -> tuple[str, str]:
    """Return a statement's first two words in small letters."""
    found = _FIRST_WORD.match(code)
    first, second = (found.group(1), found.group(2)) if found else ("", "")
    return (first or "").lower(), (second or "").lower()
