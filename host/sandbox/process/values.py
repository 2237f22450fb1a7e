"""Gives a plugin's function the values that its annotations promise, where JSON has other ones."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# Why: annotations and JSON are of any type.

import dataclasses
import enum
import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

Convert = Callable[[Any], Any]
Resolve = Callable[[Any], Mapping[str, Any]]
"""Returns the annotations of a class or function as values."""

_MOST_LEVELS = 8
_FROM_JSON: Mapping[object, tuple[type, Convert]] = {
    date: (str, date.fromisoformat),
    datetime: (str, datetime.fromisoformat),
    time: (str, time.fromisoformat),
    UUID: (str, UUID),
    float: (int, float),
}
_ARRAYS = (list, set, frozenset, tuple)


def raw_annotations(target: Any) -> Mapping[str, Any]:  # noqa: ANN401 - a function or a class
    """Returns annotations as they stand, where nobody resolves them."""
    return dict(getattr(target, "__annotations__", {}))


def converter(annotation: Any, resolve: Resolve, depth: int = _MOST_LEVELS) -> Convert | None:  # noqa: ANN401, PLR0911 - any annotation, one answer a kind
    """Returns what turns a JSON value into an annotation's; None where JSON's own will do.

    A value that is there already, a default for one, stays.
    """
    if depth == 0 or isinstance(annotation, str):
        return None
    origin = typing.get_origin(annotation)
    if origin is not None:
        return _of_generic(origin, typing.get_args(annotation), resolve, depth - 1)
    if not isinstance(annotation, type):
        return None
    if annotation in _FROM_JSON:
        kind, convert = _FROM_JSON[annotation]
        return lambda value: convert(value) if type(value) is kind else value
    if annotation is Decimal:
        return lambda value: Decimal(str(value)) if type(value) in (str, int, float) else value
    if annotation in _ARRAYS[1:]:
        return lambda value: annotation(value) if type(value) is list else value
    if issubclass(annotation, enum.Enum):
        return lambda value: value if isinstance(value, annotation) else annotation(value)
    if dataclasses.is_dataclass(annotation) or _is_record(annotation):
        return _of_record(annotation, resolve, depth - 1)
    return None


def _is_record(annotation: type) -> bool:
    return issubclass(annotation, tuple) and hasattr(annotation, "_fields")


def _of_record(kind: Any, resolve: Resolve, depth: int) -> Convert:  # noqa: ANN401 - a class
    named = resolve(kind)
    parts = {name: converter(part, resolve, depth) for name, part in named.items()}

    def convert(value: Any) -> Any:  # noqa: ANN401 - JSON
        if type(value) is not dict:
            return value
        given = cast("dict[str, Any]", value)
        return kind(**{name: _converted(parts.get(name), part) for name, part in given.items()})

    return convert


def _converted(convert: Convert | None, value: Any) -> Any:  # noqa: ANN401 - JSON
    return value if convert is None else convert(value)


def _of_generic(origin: Any, arguments: Any, resolve: Resolve, depth: int) -> Convert | None:  # noqa: ANN401 - any annotation
    if origin is typing.Annotated:
        return converter(arguments[0], resolve, depth)
    parts = [converter(one, resolve, depth) for one in arguments]
    if origin is typing.Union or origin is types.UnionType:
        return _of_union(parts, arguments)
    if origin is dict and len(arguments) == 2:
        return _of_mapping(parts[1])
    if origin is tuple and arguments[1:] != (Ellipsis,):
        return lambda value: tuple(map(_converted, parts, value)) if type(value) is list else value
    if origin in _ARRAYS and arguments:
        return _of_array(origin, parts[0])
    return None


def _of_mapping(inner: Convert | None) -> Convert | None:
    if inner is None:
        return None
    return lambda value: (
        {key: inner(part) for key, part in value.items()} if type(value) is dict else value
    )


def _of_array(kind: Any, inner: Convert | None) -> Convert | None:  # noqa: ANN401 - a class
    if kind is list and inner is None:
        return None
    return lambda value: (
        kind([_converted(inner, part) for part in value]) if type(value) is list else value
    )


def _of_union(parts: list[Convert | None], arguments: Any) -> Convert | None:  # noqa: ANN401 - its members
    if not any(parts):
        return None
    plain = tuple(
        one
        for one, part in zip(arguments, parts, strict=True)
        if part is None and type(one) is type
    )

    def convert(value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, plain):
            return value
        for part in filter(None, parts):
            try:
                found = part(value)
            except (ValueError, TypeError, KeyError):
                continue
            if found is not value:
                return found
        return value

    return convert
