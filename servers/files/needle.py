"""Finds a text that every match of a regular expression must hold, to pass over files fast."""

from string import ascii_letters, digits

_ENDS = frozenset("^$.")
_DROPS_LAST = frozenset("*?{")
_LETTERS_STAND_FOR_CLASSES = frozenset(ascii_letters + digits)


def required_text(pattern: str) -> str:
    """The longest run of plain characters outside groups and classes; empty when there is none.

    Errs on the side of nothing: alternatives at the top, or any `(?`, give an empty text.
    """
    if "(?" in pattern:
        return ""
    runs: list[str] = [""]
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "|":
            return ""
        if char == "\\":
            behind = _escape(pattern, at, runs)
            if "|" in pattern[at + 2 : behind]:
                return ""
            at = behind
        elif char == "[":
            at = _behind_class(pattern, at)
            runs.append("")
        elif char == "(":
            at = _behind_group(pattern, at)
            runs.append("")
        else:
            at = _plain(pattern, at, runs)
    return max(runs, key=len)


def _escape(pattern: str, at: int, runs: list[str]) -> int:
    escaped = pattern[at + 1 : at + 2]
    if escaped in _LETTERS_STAND_FOR_CLASSES:
        runs.append("")
        # What follows may belong to the escape (`\x41`, `\12`): start behind it.
        return at + 2 if escaped in "wWdDsSbB" else len(pattern)
    runs[-1] += escaped
    return at + 2


def _plain(pattern: str, at: int, runs: list[str]) -> int:
    char = pattern[at]
    if char in _DROPS_LAST:
        runs[-1] = runs[-1][:-1]
        runs.append("")
        return pattern.find("}", at) + 1 or at + 1 if char == "{" else at + 1
    if char == "+" or char in _ENDS:
        runs.append("")
    else:
        runs[-1] += char
    return at + 1


def _behind_class(pattern: str, at: int) -> int:
    at += 2 if pattern[at + 1 : at + 2] == "^" else 1
    at += 1  # a `]` in the first place is a character
    while at < len(pattern) and pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    return at + 1


def _behind_group(pattern: str, at: int) -> int:
    depth = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            at += 1
        elif char == "[":
            at = _behind_class(pattern, at) - 1
        elif char in "()":
            depth += 1 if char == "(" else -1
            if depth == 0:
                return at + 1
        at += 1
    return at
