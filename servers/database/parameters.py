"""Finds the `:parameters` of a statement, past literals, quoted names and comments."""

import re
from collections.abc import Mapping
from typing import Any

from servers.tool import RefusalError

Parameters = Mapping[str, str | int | float | bool | None]

_PART = r"[\w$\x80-\U0010FFFF]"
"""What a name of PostgreSQL's goes on with: every letter beyond ASCII, also a sign."""
_LITERALS = {
    "postgresql": rf"""
        (?<!{_PART})[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z) | '(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z)
        | --[^\n\r]* | (?P<comment>/\*)
        | (?<!{_PART})\$(?P<tag>(?:[A-Za-z_\x80-\U0010FFFF][\w\x80-\U0010FFFF]*)?)\$.*?
          (?:\$(?P=tag)\$|\Z)""",
    "mysql": r"""
        '(?:[^'\\]|\\.|'')*(?:'|\Z) | "(?:[^"\\]|\\.|"")*(?:"|\Z) | `(?:[^`]|``)*(?:`|\Z)
        | --(?=\s|\Z)[^\n]* | \#[^\n]* | /\*.*?(?:\*/|\Z)""",
    "sqlite": r"""
        '(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z) | `(?:[^`]|``)*(?:`|\Z)
        | \[[^\]]*(?:\]|\Z) | --[^\n]* | /\*.*?(?:\*/|\Z)""",
}
"""What is not looked into, as each server's own grammar has it; unended, it goes on to the end."""
_PARAMETER = r"(?<![\w:])::*(?P<name>[^\W\d]\w*)?"
_PATTERNS = {
    kind: re.compile(f"(?:{literals}) | {_PARAMETER}", re.VERBOSE | re.DOTALL)
    for kind, literals in _LITERALS.items()
}
_COMMENT_MARK = re.compile(r"/\*|\*/")
_INT4 = range(-(2**31), 2**31)


def bind(kind: str, sql: str, given: Parameters) -> tuple[str, dict[str, Any]]:
    """Write a statement as its driver takes it, and return it with the values that it names.

    Args:
        kind: postgresql, mysql or sqlite.
        sql: The statement, with `:name` for values.
        given: The values by name.

    Raises:
        RefusalError: A parameter has no value.
    """
    doubled = "%" if kind == "sqlite" else "%%"  # what psycopg and PyMySQL take for one
    used: dict[str, Any] = {}
    pieces: list[str] = []
    place = 0
    while found := _PATTERNS[kind].search(sql, place):
        name = _name(found)
        end = _comment_end(sql, found.end()) if found.groupdict().get("comment") else found.end()
        pieces.append(sql[place : found.start()].replace("%", doubled))
        if name is None:
            pieces.append(sql[found.start() : end].replace("%", doubled))
        else:
            value = _value(name, given)
            written = _placeholder(kind, name, value)
            pieces.append(written)
            if written != "NULL":
                used[name] = value
        place = end
    pieces.append(sql[place:].replace("%", doubled))
    return "".join(pieces), used


def code_of(kind: str, sql: str) -> str:
    """Return a statement without its comments and with its literals emptied; names stay.

    Args:
        kind: postgresql, mysql or sqlite.
        sql: The statement.
    """
    pieces: list[str] = []
    place = 0
    while found := _PATTERNS[kind].search(sql, place):
        end = _comment_end(sql, found.end()) if found.groupdict().get("comment") else found.end()
        pieces.append(sql[place : found.start()])
        pieces.append(_emptied(kind, found.group()))
        place = end
    return "".join([*pieces, sql[place:]])


def _emptied(kind: str, piece: str) -> str:
    """Return what code has in place of a literal or comment; a parameter or a name is itself."""
    runs = kind == "mysql" and piece.startswith(("/*!", "/*M!"))  # a comment to others only
    if runs or piece.startswith(":") or piece[0] in "`[" or (piece[0] == '"' and kind != "mysql"):
        return piece
    return " " if piece.startswith(("--", "/*", "#")) else "''"


def _name(found: re.Match[str]) -> str | None:
    """Return a parameter's name; None for a literal, a cast (`::type`) and an assignment (`:=`)."""
    return None if found.group().startswith("::") else found.group("name")


def _comment_end(sql: str, place: int) -> int:
    """Return where a comment ends; PostgreSQL's hold others."""
    depth = 1
    while depth and (mark := _COMMENT_MARK.search(sql, place)):
        depth += 1 if mark.group() == "/*" else -1
        place = mark.end()
    return len(sql) if depth else place


def _value(name: str, given: Parameters) -> str | int | float | bool | None:
    if name in given:
        return given[name]
    known = ", ".join(given) or "none"
    raise RefusalError(
        f"The statement names :{name}, which has no value.",
        f"Give it in `parameters` (now: {known}); in a string, 'a:b' needs nothing.",
    )


def _placeholder(kind: str, name: str, value: object) -> str:
    if kind == "sqlite":
        return f":{name}"
    if kind == "postgresql" and value is None:
        return "NULL"  # sent as a value it would have no type
    if kind == "postgresql" and isinstance(value, int) and not isinstance(value, bool):
        # The driver would send 5 as smallint, and 200 * 200 would be out of range.
        return f"%({name})s::{'integer' if value in _INT4 else 'bigint'}"
    return f"%({name})s"
