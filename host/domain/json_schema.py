"""A JSON Schema that becomes part of another one; tools' definitions and models' answers use it."""

import re
from typing import Any, cast

from host.domain.jsonrpc import Json

_POINTERS = ("$ref", "$dynamicRef", "$recursiveRef")
"""Members of a schema that may point into it."""

_DATA = ("const", "enum", "default", "examples")
"""Members that hold values and not schemas."""


def embedded(schema: Json, at: str) -> Json:
    """Return a schema whose pointers into itself hold where it is put.

    Args:
        schema: One that stood alone; one that names itself by `$id` stays as it is.
        at: Where it will be, such as `#/properties/value`.
    """
    return schema if "$id" in schema else _moved(schema, at)


def _moved(schema: Any, at: str) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(schema, list):
        return [_moved(one, at) for one in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    found: Json = {}
    for name, value in cast("Json", schema).items():
        points = name in _POINTERS and isinstance(value, str) and re.fullmatch("#(/.*)?", value)
        found[name] = at + value[1:] if points else value if name in _DATA else _moved(value, at)
    return found
