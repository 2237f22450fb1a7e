"""Decides what `.gitignore` files leave out, with git's own rules."""

import re
from dataclasses import dataclass
from functools import lru_cache

from servers.files.beneath import Parts

_MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Rule:
    """One line of a `.gitignore`."""

    pattern: re.Pattern[str]
    keeps: bool
    """A line that starts with `!`."""
    folders_only: bool
    whole_path: bool
    """The pattern holds a slash, so it is matched against the path from its `.gitignore` on."""
    literal: str | None
    """The name itself when the pattern has no wildcards."""


@dataclass(frozen=True)
class Level:
    """The rules of one folder's `.gitignore`, with what tells fast that none of them matches."""

    depth: int
    """How many names its folder is below the root."""
    rules: tuple[Rule, ...]
    literals: frozenset[str]
    """Names that a rule without wildcards names."""
    names: re.Pattern[str] | None
    """All patterns for names, as one."""
    paths: re.Pattern[str] | None
    """All patterns for paths, as one."""


Levels = tuple[Level, ...]
"""The rules in force in a folder: the root's first, its own last."""


def parse_level(text: str, depth: int) -> Level:
    """Read the `.gitignore` of the folder that is `depth` names below the root."""
    rules = parse_gitignore(text)
    plain = [r for r in rules if not r.whole_path and r.literal is not None]
    names = [r.pattern.pattern for r in rules if not r.whole_path and r.literal is None]
    paths = [r.pattern.pattern for r in rules if r.whole_path]
    return Level(
        depth,
        rules,
        frozenset(r.literal for r in plain if r.literal is not None),
        re.compile("|".join(names), re.DOTALL) if names else None,
        re.compile("|".join(paths), re.DOTALL) if paths else None,
    )


def parse_gitignore(text: str) -> tuple[Rule, ...]:
    """Read the lines of a `.gitignore`; lines that are no patterns are dropped, as git does."""
    rules = (_parse_line(line) for line in text[:_MOST_BYTES].split("\n"))
    return tuple(rule for rule in rules if rule is not None)


def is_ignored(levels: Levels, parts: Parts, *, is_folder: bool) -> bool:
    """Whether the rules leave out the last of `parts`; its folders are known not to be.

    The deepest `.gitignore` decides first, and in it the last line that matches.
    """
    if parts[-1] == ".git":
        return True
    name = parts[-1]
    for level in reversed(levels):
        path = "/".join(parts[level.depth :]) if level.paths else ""
        if not (
            name in level.literals
            or (level.names and level.names.fullmatch(name))
            or (level.paths and level.paths.fullmatch(path))
        ):
            continue
        for rule in reversed(level.rules):
            if rule.folders_only and not is_folder:
                continue
            if rule.pattern.fullmatch(path if rule.whole_path else name):
                return not rule.keeps
    return False


@lru_cache(maxsize=4096)
def _parse_line(line: str) -> Rule | None:
    line = line.removesuffix("\r").removeprefix("\ufeff")
    if not line or line.startswith("#"):
        return None
    line = _strip_end(line)
    keeps = line.startswith("!")
    line = line[1:] if keeps else line
    folders_only = line.endswith("/")
    body = line.rstrip("/") if folders_only else line
    whole_path = "/" in body
    body = body.removeprefix("/")
    if not body:
        return None
    literal = None if any(c in body for c in "*?[\\") else body
    try:
        pattern = re.compile(translate_glob(body), re.DOTALL)
    except re.error:
        return None
    return Rule(pattern, keeps, folders_only, whole_path, literal)


def _strip_end(line: str) -> str:
    """Drop spaces at the end that no backslash holds."""
    while line.endswith(" ") and not line.endswith("\\ "):
        line = line[:-1]
    return line


def translate_glob(glob: str) -> str:
    """Turn a glob with git's meaning into a regular expression for a whole path.

    `*` and `?` stay within a name, `**/` is any number of folders, `/**` is everything inside.
    Every wildcard but the last is an atomic group that takes the first place where what follows
    it fits: no glob, however many stars a stranger puts in it, is tried in more than linear time
    a name.
    """
    groups: list[list[str]] = [[""]]
    at = 0
    while at < len(glob):
        end = _skip_stars(glob, at)
        deep = end - at >= 2 and _starts_name(glob, at)
        if deep and glob[end : end + 1] == "/":
            groups.append([""])
            at = end + 1
        elif deep and end == len(glob):
            groups[-1][-1] += ".+" if at else ".*"
            at = end
        elif end > at:
            groups[-1].append("")
            at = end
        else:
            piece, at = _translate_at(glob, at)
            groups[-1][-1] += piece
    out = _join_stars(groups[0])
    for group in groups[1:-1]:
        out += f"(?>(?:[^/]+/)*?{_join_stars(group)})"
    return out + f"(?:[^/]+/)*{_join_stars(groups[-1])}" if len(groups) > 1 else out


def _starts_name(glob: str, at: int) -> bool:
    return at == 0 or glob[at - 1] == "/"


def _skip_stars(glob: str, at: int) -> int:
    while at < len(glob) and glob[at] == "*":
        at += 1
    return at


def _join_stars(chunks: list[str]) -> str:
    """Join what stands between the stars of one stretch."""
    if len(chunks) == 1:
        return chunks[0]
    middle = "".join(f"(?>[^/]*?{chunk})" for chunk in chunks[1:-1])
    return f"{chunks[0]}{middle}[^/]*{chunks[-1]}"


def _translate_at(glob: str, at: int) -> tuple[str, int]:
    char = glob[at]
    if char == "?":
        return "[^/]", at + 1
    if char == "[":
        return _translate_class(glob, at)
    if char == "\\" and at + 1 < len(glob):
        return re.escape(glob[at + 1]), at + 2
    return re.escape(char), at + 1


def _translate_class(glob: str, at: int) -> tuple[str, int]:
    start = at + 1
    negated = start < len(glob) and glob[start] in "!^"
    start += negated
    end = start + 1
    while end < len(glob) and glob[end] != "]":
        end += 2 if glob[end] == "\\" else 1
    if end >= len(glob):
        return re.escape(glob[at]), at + 1
    body = glob[start:end]
    body = re.sub(r"(?<!\\)([\[&~|])", r"\\\1", body)
    if start < len(glob) and body.startswith("]"):
        body = "\\" + body
    return f"(?!/)[{'^' if negated else ''}{body}]", end + 1
