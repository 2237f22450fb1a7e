"""Secrets that a tool's own schema declares: parameters of format `password`, or write-only."""

from collections.abc import Iterator
from typing import cast

from host.domain.jsonrpc import as_object
from host.domain.protocol import object_member

_DEEPEST = 20


def declares_secrets(schema: object) -> bool:
    """Whether a schema says of any parameter that it is secret; wrong only towards yes."""
    text = str(schema)
    return "'password'" in text or "'writeOnly'" in text


def find_declared(schema: object, value: object, *, depth: int = 0) -> Iterator[str]:
    """Yield the texts in an argument that its schema says are secret."""
    described = as_object(schema)
    if described is None or depth > _DEEPEST:
        return
    if described.get("format") == "password" or described.get("writeOnly") is True:
        yield from texts_in(value)
        return
    if isinstance(value, dict):
        properties = object_member(described, "properties")
        for name, inner in cast("dict[str, object]", value).items():
            yield from find_declared(properties.get(name), inner, depth=depth + 1)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from find_declared(described.get("items"), inner, depth=depth + 1)
    whole = cast("object", value)
    for member in ("anyOf", "oneOf", "allOf"):
        options = described.get(member)
        for option in cast("list[object]", options) if isinstance(options, list) else ():
            yield from find_declared(option, whole, depth=depth + 1)


def texts_in(value: object, *, depth: int = 0) -> Iterator[str]:
    """Yield every text and number of a value, as it would stand elsewhere."""
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, dict):
        for inner in cast("dict[str, object]", value).values():
            yield from texts_in(inner, depth=depth + 1)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from texts_in(inner, depth=depth + 1)
