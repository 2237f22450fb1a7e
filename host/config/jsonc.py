"""Edits of JSON files that others own: one member changes, every other byte stays.

Comments and trailing commas, as some clients allow them, are understood and kept.
"""

import json
import re
from dataclasses import dataclass

from host.config.yaml import Json, as_mapping
from host.domain.errors import ConfigError

_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'"(?:\\.|[^"\\])*"|,(?=\s*[\]}])', re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class _Member:
    key: str
    start: int
    value: int
    end: int


@dataclass(frozen=True, slots=True)
class _Object:
    start: int
    end: int
    members: tuple[_Member, ...]


def parse_jsonc(text: str) -> Json:
    """Return what JSON with comments and trailing commas says; an empty text is an empty mapping.

    Raises:
        ConfigError: It is not JSON.
    """
    masked = _mask(text)
    if not masked.strip():
        return {}
    try:
        return json.loads(masked, strict=False)
    except json.JSONDecodeError as error:
        raise ConfigError(f"This is not valid JSON: {error.msg}.", line=error.lineno) from None
    except RecursionError:
        raise ConfigError("This JSON is nested too deeply.") from None


def set_json(text: str, path: tuple[str, ...], value: Json) -> str:
    """Return the text with the member at a path set, the objects on the way created.

    Raises:
        ConfigError: The text is not JSON, or something on the way is not an object.
    """
    wanted = _with(parse_jsonc(text), path, value)
    if not _mask(text).strip():
        text = f"{text}{{}}\n"
    return _checked(_insert(text, path, value), wanted)


def remove_json(text: str, path: tuple[str, ...]) -> str:
    """Return the text without the member at a path; if it is not there, the text as it is.

    Raises:
        ConfigError: The text is not JSON.
    """
    before = parse_jsonc(text)
    masked = _mask(text)
    if not masked.strip():
        return text
    outer, depth = _descend(masked, path[:-1])
    index = next((n for n, one in enumerate(outer.members) if one.key == path[-1]), None)
    if depth < len(path) - 1 or index is None:
        return text
    return _checked(_cut(text, outer, index), _without(before, path))


def _checked(text: str, wanted: Json) -> str:
    if parse_jsonc(text) != wanted:
        raise ConfigError(
            "The file is written in a way that cannot be edited safely.",
            next_step="Make the change by hand.",
        )
    return text


def _mask(text: str) -> str:
    """Return the text with comments and trailing commas blanked, every other offset kept."""

    def blank(found: re.Match[str]) -> str:
        token = found.group()
        return token if token.startswith('"') else re.sub(r"[^\n]", " ", token)

    return _TRAILING_COMMA.sub(blank, _TOKEN.sub(blank, text))


def _with(value: Json, path: tuple[str, ...], leaf: Json) -> Json:
    if not path:
        return leaf
    here = as_mapping(value)
    if here is None:
        raise ConfigError(f"A mapping is expected around {path[0]!r}, but something else is there.")
    return {**here, path[0]: _with(here.get(path[0], {}), path[1:], leaf)}


def _without(value: Json, path: tuple[str, ...]) -> Json:
    here = dict(as_mapping(value) or {})
    if len(path) == 1:
        here.pop(path[0])
    else:
        here[path[0]] = _without(here[path[0]], path[1:])
    return here


def _skip(text: str, at: int) -> int:
    while text[at].isspace():
        at += 1
    return at


def _object(masked: str, start: int) -> _Object:
    members: list[_Member] = []
    at = _skip(masked, start + 1)
    while masked[at] != "}":
        if masked[at] == ",":
            at = _skip(masked, at + 1)
        key, after = _DECODER.raw_decode(masked, at)
        value = _skip(masked, _skip(masked, after) + 1)
        _, end = _DECODER.raw_decode(masked, value)
        members.append(_Member(str(key), at, value, end))
        at = _skip(masked, end)
    return _Object(start, at, tuple(members))


def _descend(masked: str, path: tuple[str, ...]) -> tuple[_Object, int]:
    """Return the innermost object on the way that exists, and how many steps lead to it."""
    here = _object(masked, _skip(masked, 0))
    for depth, key in enumerate(path):
        found = next((one for one in here.members if one.key == key), None)
        if found is None or masked[found.value] != "{":
            return here, depth
        here = _object(masked, found.value)
    return here, len(path)


def _insert(text: str, path: tuple[str, ...], value: Json) -> str:
    masked = _mask(text)
    outer, depth = _descend(masked, path[:-1])
    for key in reversed(path[depth + 1 :]):
        value = {key: value}
    name, newline = path[depth], "\r\n" if "\r\n" in text else "\n"
    indent, unit = _indent(text, outer)
    old = next((one for one in outer.members if one.key == name), None)
    body = _render(value, indent=indent, unit=unit, newline=newline)
    if old is not None:
        return text[: old.value] + body + text[old.end :]
    entry = f"{newline}{indent}{json.dumps(name)}: {body}"
    if not outer.members:
        close = f"{newline}{_line_indent(text, outer.start)}"
        tail = text[outer.start + 1 :]
        gap = "" if masked[outer.start + 1 : outer.end].count("\n") else close
        return text[: outer.start + 1] + entry + gap + tail
    last = outer.members[-1].end
    trailing = re.match(r"\s*,", _blank_comments(text)[last : outer.end])
    at = _line_end(masked, last + (trailing.end() if trailing else 0))
    return text[:last] + ("" if trailing else ",") + text[last:at] + entry + text[at:]


def _line_end(masked: str, at: int) -> int:
    """Return the end of the line if only a comment is left on it, so that it stays where it is."""
    end = masked.find("\n", at)
    return end - (masked[end - 1] == "\r") if end >= 0 and not masked[at:end].strip() else at


def _render(value: Json, *, indent: str, unit: str, newline: str) -> str:
    lines = json.dumps(value, indent=unit, ensure_ascii=False).split("\n")
    return f"{newline}{indent}".join(lines)


def _line_indent(text: str, at: int) -> str:
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip())]


def _indent(text: str, outer: _Object) -> tuple[str, str]:
    """Return the indentation of an object's members, and of one level."""
    base = _line_indent(text, outer.start)
    unit = "\t" if re.search(r"\n\t", text) else "  "
    if outer.members:
        here = _line_indent(text, outer.members[-1].start)
        if len(here) > len(base):
            return here, here[len(base) :]
    return base + unit, unit


def _cut(text: str, outer: _Object, index: int) -> str:
    member = outer.members[index]
    start = len(text[: member.start].rstrip())
    after = re.match(r"\s*,", _blank_comments(text)[member.end : outer.end])
    if after:
        return text[:start] + text[member.end + after.end() :]
    if index == 0:
        return text[:start] + text[member.end :]
    comma = _blank_comments(text).rindex(",", outer.members[index - 1].end, member.start)
    return text[:comma] + text[comma + 1 : max(start, comma + 1)] + text[member.end :]


def _blank_comments(text: str) -> str:
    def blank(found: re.Match[str]) -> str:
        token = found.group()
        return token if token.startswith('"') else " " * len(token)

    return _TOKEN.sub(blank, text)
