"""Shows what changed in a definition, line by line, with nothing hidden from its reader."""

import difflib
import json
from collections.abc import Iterator
from typing import cast

from host.domain.jsonrpc import Json
from host.pins.finding import visible

_LONG = 100_000


def render_difference(before: Json | None, after: Json | None) -> list[str]:
    """Return a unified diff of two wordings; a whole one where the other is missing."""
    old, new = _lines(before), _lines(after)
    if before is None or after is None:
        return [*(f"-{line}" for line in old), *(f"+{line}" for line in new)]
    return list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]


def _lines(definition: Json | None) -> list[str]:
    return [] if definition is None else list(_write(definition, ""))


def _write(value: object, indent: str, name: str = "") -> Iterator[str]:
    """Yield a value like YAML, its members in order, each line of a text on its own."""
    label = f"{indent}{name}:" if name else indent.rstrip()
    inner = f"{indent}  " if name else indent
    if isinstance(value, dict) and value:
        if name:
            yield label
        for key, each in sorted(cast("dict[str, object]", value).items()):
            yield from _write(each, inner, visible(key, most=200))
    elif isinstance(value, list) and value:
        if name:
            yield label
        for each in cast("list[object]", value):
            yield from _write(each, inner, "-")
    elif isinstance(value, str) and "\n" in value:
        yield f"{label} |"
        for line in value.split("\n"):
            yield f"{inner}{visible(line, most=_LONG)}"
    else:
        said = visible(value, most=_LONG) if isinstance(value, str) else json.dumps(value)
        yield f"{label} {said}".strip() if not name else f"{label} {said}"
