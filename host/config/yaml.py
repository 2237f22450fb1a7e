"""YAML and JSON files read safely, with the line of every value, for everyone who reads one.

Not PyYAML's loader but its event stream: so nothing recurses on a hostile file, aliases cannot blow
up, a repeated key is an error, and YAML 1.2's rules hold (`no` and `22:30` are text).
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, cast

import yaml

from host.domain.errors import ConfigError

Json: TypeAlias = Any
"""What a file can say: None, bool, int, float, str, or lists and dicts with text keys of these."""
Event: TypeAlias = Any
"""An event of PyYAML, whose stubs do not tell one kind from another."""
Place = tuple[str | int, ...]
"""Where in a file: keys and list positions from the top."""

MAX_BYTES = 1_048_576
"""Largest file that is read."""
MAX_DEPTH = 40
"""Deepest nesting of a file."""
MAX_NODES = 50_000
"""Most values of a file, counting each use of an alias in full."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = {"", "~", "null", "Null", "NULL"}
_TRUE = {"true", "True", "TRUE"}
_FALSE = {"false", "False", "FALSE"}
_INT = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,300}|0x[0-9a-fA-F]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?")
_SPECIAL = {".inf": "inf", "+.inf": "inf", "-.inf": "-inf", ".nan": "nan"}


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, and where it says it.

    Attributes:
        value: The content: None, bool, int, float, str, list or dict with text keys.
        file: The file, for messages.
        lines: Line, counted from 1, of each value by its place.
    """

    value: Json
    file: Path | None = None
    lines: dict[Place, int] = field(default_factory=dict[Place, int])

    def line(self, place: Place) -> int | None:
        """Return the line of a value, or of the nearest enclosing one that has a line."""
        for length in range(len(place), -1, -1):
            found = self.lines.get(place[:length])
            if found is not None:
                return found
        return None

    def error(
        self, message: str, *, place: Place = (), next_step: str | None = None
    ) -> ConfigError:
        """Return an error that names the file, the line and the field of a place."""
        return ConfigError(
            message,
            file=self.file,
            line=self.line(place),
            field=dotted(place) or None,
            next_step=next_step,
        )


def dotted(place: Place) -> str:
    """Return a place as people write it: `servers.github.args[1]`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def as_mapping(value: Json) -> dict[str, Json] | None:
    """Return a value as a mapping, None if it is something else."""
    return cast("dict[str, Json]", value) if isinstance(value, dict) else None


def load_yaml(file: Path) -> Document:
    """Read a YAML or JSON file.

    Raises:
        ConfigError: It cannot be read or parsed; the message names file and line.
    """
    return parse_yaml(read_bytes(file), file=file)


def read_bytes(file: Path) -> bytes:
    """Read a configuration file whole, up to `MAX_BYTES`.

    Raises:
        ConfigError: It is absent, unreadable, not a regular file, or too large.
    """
    try:
        if not file.is_file():
            problem = "is not a regular file" if file.exists() else "does not exist"
            raise ConfigError(f"The file {problem}.", file=file)
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            f"The file cannot be read: {error.strerror}.",
            file=file,
            next_step="Check its owner and its permission bits.",
        ) from error
    if len(content) > MAX_BYTES:
        raise ConfigError(f"The file is larger than {MAX_BYTES} bytes.", file=file)
    return content


def parse_yaml(content: bytes | str, *, file: Path | None = None) -> Document:
    """Parse YAML or JSON text.

    Args:
        content: The text; bytes must be UTF-8, with or without a byte-order mark.
        file: Where it came from; a name ending in `.json` makes it strict JSON.

    Returns:
        The document; an empty text has the value None.

    Raises:
        ConfigError: It cannot be parsed; the message names file and line.
    """
    text = content if isinstance(content, str) else _decode(content, file=file)
    if file is not None and file.suffix == ".json":
        return _parse_json(text, file=file)
    reader = _Reader(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        raise ConfigError(_problem(error), file=file, line=line) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"The character {error.character!r} is not allowed in YAML.", file=file, line=line
        ) from None
    return Document(reader.value, file, reader.lines)


def _decode(content: bytes, *, file: Path | None) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            "The file is not UTF-8 text.",
            file=file,
            line=content.count(b"\n", 0, error.start) + 1,
            next_step="Save it as UTF-8.",
        ) from None


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = (error.problem or "").strip()
    if "\\t" in problem or "'\t'" in problem:
        return "A tab is used for indentation; YAML takes spaces only."
    context = f" {error.context}" if error.context else ""
    return f"This is not valid YAML: {problem}{context}."


def _parse_json(text: str, *, file: Path) -> Document:
    duplicates: list[str] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(pairs)
        if len(seen) < len(pairs):
            names = [name for name, _ in pairs]
            duplicates.extend(name for name in seen if names.count(name) > 1)
        return seen

    if not text.strip():
        return Document(None, file)
    try:
        value = json.loads(text, object_pairs_hook=collect)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"This is not valid JSON: {error.msg}.", file=file, line=error.lineno
        ) from None
    except RecursionError:
        raise ConfigError(f"Nested deeper than {MAX_DEPTH} levels.", file=file) from None
    lines = _json_lines(text, file=file)
    if duplicates:
        raise ConfigError(f"The key {duplicates[0]!r} is given twice.", file=file)
    return Document(value, file, lines)


def _json_lines(text: str, *, file: Path) -> dict[Place, int]:
    # Nearly all JSON is YAML, whose reader knows lines; what is not merely lacks line numbers.
    reader = _Reader(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except yaml.YAMLError:
        return {}
    return reader.lines


@dataclass(slots=True)
class _Level:
    """A list or a mapping that is being read."""

    place: Place
    items: list[Any] | dict[str, Any]
    start: int
    anchor: str | None
    key: str | None = None
    merged: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(slots=True)
class _Anchored:
    value: Json
    size: int


_PLAIN_TAGS = (None, "!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")))
_OPEN = object()
_MERGE = "<<"


class _Reader:
    """Builds the value and the line of each place from the stream of events."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.value: Json = None
        self.lines: dict[Place, int] = {}
        self._levels: list[_Level] = []
        self._anchors: dict[str, _Anchored] = {}
        self._nodes = 0
        self._documents = 0

    def take(self, event: Event) -> None:
        """Handle one event of PyYAML's parser."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._refuse("There is a second document ('---'); one is expected.", line)
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event, line)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(str(event.anchor), line)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            self._open(event, line)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            self._close()

    def _scalar(self, event: Event, line: int) -> None:
        self._count(1, line)
        text = cast("str", event.value)
        if event.tag not in _PLAIN_TAGS:
            self._refuse(f"The tag {event.tag} is not allowed.", line)
        if self._wants_key():
            self._take_key(text, line)
            return
        plain = bool(event.implicit[0]) and event.tag is None
        value = plain_value(text) if plain else text
        self._remember(event.anchor, value, 1)
        self._put(value, line)

    def _alias(self, name: str, line: int) -> None:
        known = self._anchors.get(name)
        if known is None or known.value is _OPEN:
            self._refuse(f"The alias *{name} refers to nothing before it, or to itself.", line)
        if self._wants_key():
            self._refuse("An alias cannot be a key.", line)
        self._count(known.size, line)
        self._put(known.value, line)

    def _open(self, event: Event, line: int) -> None:
        self._count(1, line)
        if self._wants_key():
            self._refuse("A key has to be text, not a list or a mapping.", line)
        if event.tag not in _PLAIN_TAGS:
            self._refuse(f"The tag {event.tag} is not allowed.", line)
        if len(self._levels) >= MAX_DEPTH:
            self._refuse(f"Nested deeper than {MAX_DEPTH} levels.", line)
        place = self._next_place()
        self.lines.setdefault(place, line)
        items: list[Any] | dict[str, Any] = {}
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
        self._remember(event.anchor, _OPEN, 0)
        self._levels.append(_Level(place, items, self._nodes, event.anchor))

    def _close(self) -> None:
        level = self._levels.pop()
        if isinstance(level.items, dict):
            for name, value in level.merged.items():
                level.items.setdefault(name, value)
        self._remember(level.anchor, level.items, self._nodes - level.start + 1)
        self._put(level.items, self.lines[level.place])

    def _wants_key(self) -> bool:
        return (
            bool(self._levels)
            and isinstance(self._levels[-1].items, dict)
            and self._levels[-1].key is None
        )

    def _take_key(self, key: str, line: int) -> None:
        level = self._levels[-1]
        if key in level.items:
            first = self.lines.get((*level.place, key))
            self._refuse(f"The key {key!r} is given twice; first on line {first}.", line)
        level.key = key
        self.lines[(*level.place, key)] = line

    def _next_place(self) -> Place:
        if not self._levels:
            return ()
        level = self._levels[-1]
        part = len(level.items) if isinstance(level.items, list) else cast("str", level.key)
        return (*level.place, part)

    def _put(self, value: Json, line: int) -> None:
        place = self._next_place()
        if not self._levels:
            self.value = value
            self.lines.setdefault((), line)
            return
        level = self._levels[-1]
        self.lines.setdefault(place, line)
        if isinstance(level.items, list):
            level.items.append(value)
            return
        key = cast("str", level.key)
        level.key = None
        if key == _MERGE:
            self._merge(level, value, line)
        else:
            level.items[key] = value

    def _merge(self, level: _Level, value: Json, line: int) -> None:
        sources = cast("list[Any]", value) if isinstance(value, list) else [value]
        for source in sources:
            if not isinstance(source, dict):
                self._refuse("'<<' takes a mapping or a list of mappings.", line)
            for name, item in cast("dict[str, Any]", source).items():
                level.merged.setdefault(name, item)

    def _remember(self, anchor: str | None, value: Json, size: int) -> None:
        if anchor is not None:
            self._anchors[anchor] = _Anchored(value, size)

    def _count(self, nodes: int, line: int) -> None:
        # An alias counts as often as it is used: ten lines can stand for a billion values.
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._refuse(f"There are more than {MAX_NODES} values in this file.", line)

    def _refuse(self, message: str, line: int) -> NoReturn:
        raise ConfigError(message, file=self.file, line=line)


def plain_value(text: str) -> Json:
    """Return what an unquoted text stands for: None, a truth value, a number, or itself."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    if text.lower() in _SPECIAL:
        return float(_SPECIAL[text.lower()])
    return float(text) if _FLOAT.fullmatch(text) else text
