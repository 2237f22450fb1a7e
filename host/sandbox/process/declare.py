"""The decorators a plugin marks its functions with, and the schemas read off their signatures."""

import dataclasses
import enum
import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from host.sandbox.process.values import Convert, converter, raw_annotations

Annotations = Callable[[Any], Mapping[str, object]]
"""Returns the annotations of a function or a class as values, by name."""

_FORMATS: Mapping[object, dict[str, Any]] = {
    date: {"type": "string", "format": "date"},
    datetime: {"type": "string", "format": "date-time"},
    time: {"type": "string", "format": "time"},
    UUID: {"type": "string", "format": "uuid"},
    Decimal: {"type": ["number", "string"]},
    frozenset: {"type": "array", "uniqueItems": True},
}

KINDS = ("tool", "hook", "evaluator", "rule")

_SIMPLE: Mapping[object, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    list: {"type": "array"},
    tuple: {"type": "array"},
    set: {"type": "array", "uniqueItems": True},
    dict: {"type": "object"},
    None: {"type": "null"},
    type(None): {"type": "null"},
}
_ARRAYS: tuple[object, ...] = (list, set, frozenset)
# A string annotation is looked up here and never evaluated: that would run code past the compiler.
_NAMED = {getattr(key, "__name__", "None"): value for key, value in _SIMPLE.items()}


class Declarations:
    """What one plugin has marked: its functions by name, and a description of each for the host."""

    def __init__(self) -> None:
        self.functions: dict[str, Callable[..., Any]] = {}
        self._converters: dict[str, dict[str, Convert]] = {}
        self._marked: list[dict[str, Any]] = []

    def decorators(self) -> dict[str, Callable[..., Any]]:
        """Returns `tool`, `hook`, `evaluator` and `rule`, usable bare or with options."""
        return {kind: self._decorator(kind) for kind in KINDS}

    def _decorator(self, kind: str) -> Callable[..., Any]:
        def mark(target: object = None, /, **options: object) -> Any:  # noqa: ANN401 - a decorator
            if isinstance(target, types.FunctionType):
                return self._add(kind, target, options)
            if target is not None:
                options["target"] = target  # @hook("before_call")

            def add(function: Callable[..., Any]) -> Callable[..., Any]:
                return self._add(kind, function, options)

            return add

        return mark

    def _add(
        self, kind: str, function: Callable[..., Any], options: dict[str, object]
    ) -> Callable[..., Any]:
        name = str(options.pop("name", function.__name__))
        problem = _unusable(name, kind, function)
        if problem:
            raise ValueError(problem)
        if name in self.functions:
            msg = f"{name} is declared twice"
            raise ValueError(msg)
        self.functions[name] = function
        described = options.pop("description", None) or inspect.cleandoc(function.__doc__ or "")
        self._marked.append(
            {"name": name, "kind": kind, "description": str(described), "options": options}
        )
        return function

    def described(self, annotations: Annotations | None = None) -> list[dict[str, Any]]:
        """Returns what was marked, for the host.

        Args:
            annotations: Resolves a function's annotations, text ones included.
        """
        resolve = annotations or raw_annotations
        described: list[dict[str, Any]] = []
        for entry in self._marked:
            function = self.functions[entry["name"]]
            named = resolve(function)
            self._converters[entry["name"]] = _converters_of(named, resolve)
            schema = parameters_schema(function, named, resolve)
            described.append({**entry, "parameters": schema})
        return described

    def call(self, name: str, arguments: dict[str, Any]) -> Any:  # noqa: ANN401 - the plugin's
        """Calls a function with the values that its annotations promise."""
        for key, convert in self._converters.get(name, _NONE).items():
            if key in arguments:
                arguments[key] = _given(key, convert, arguments[key])
        return self.functions[name](**arguments)


_NONE: Mapping[str, Convert] = {}


def _given(name: str, convert: Convert, value: object) -> object:
    try:
        return convert(value)
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        msg = f"the argument {name} does not fit: {error}"
        raise ValueError(msg) from error


def _converters_of(named: Mapping[str, object], resolve: Annotations) -> dict[str, Convert]:
    found: dict[str, Convert] = {}
    for name, annotation in named.items():
        convert = converter(annotation, resolve)
        if convert is not None and name != "return":
            found[name] = convert
    return found


def _unusable(name: str, kind: str, function: Callable[..., Any]) -> str | None:
    """Return why a function cannot be offered under a name; None if it can."""
    if not name.isidentifier():
        return f"@{kind} cannot name a function {name!r}: use letters, digits and _"
    outer, _, _ = function.__qualname__.rpartition(".")
    if outer and not outer.endswith("<locals>"):
        return f"@{kind} works on functions of the module; {function.__qualname__} is in a class"
    flags = _code_of(function).co_flags
    if flags & inspect.CO_VARARGS and not flags & inspect.CO_VARKEYWORDS:
        return f"{name} takes *arguments, and a caller names each: list the parameters"
    return None


def _code_of(function: Callable[..., Any]) -> types.CodeType:
    return _innermost(function).__code__


def parameters_schema(
    function: Callable[..., Any], named: Mapping[str, object], resolve: Annotations
) -> dict[str, Any]:
    """Derives the JSON schema of a function's arguments from its annotations and defaults.

    Args:
        function: The function, or what wraps it.
        named: Its annotations as values, by name.
        resolve: Finds those of the classes that they name.
    """
    inner = _innermost(function)
    if inner is not function:
        named = {**raw_annotations(inner), **named}
    code, defaults = inner.__code__, _defaults_of(inner)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
        known = name in named
        schema = annotation_schema(named[name], annotations=resolve) if known else {}
        if name not in defaults:
            required.append(name)
        elif isinstance(default := defaults[name], str | int | float | bool | None):
            schema = {**schema, "default": default}
        properties[name] = schema
    whole: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        whole["required"] = required
    extra = code.co_flags & inspect.CO_VARKEYWORDS
    return whole if extra else {**whole, "additionalProperties": False}


def _defaults_of(function: types.FunctionType) -> Mapping[str, object]:
    """The defaults of a function's parameters; `inspect.signature` takes ten times as long."""
    names, values = function.__code__.co_varnames, function.__defaults__ or ()
    count = function.__code__.co_argcount
    return {
        **dict(zip(names[count - len(values) : count], values, strict=True)),
        **(function.__kwdefaults__ or {}),
    }


def _innermost(function: Callable[..., Any]) -> types.FunctionType:
    """Return the function that a function wraps, or itself.

    Left to itself, `inspect` follows `__wrapped__` to objects of any kind, and evaluates the names
    in a text that such an object calls its signature.
    """
    found, seen = cast("types.FunctionType", function), set[int]()
    while id(found) not in seen:
        seen.add(id(found))
        wrapped = found.__dict__.get("__wrapped__")
        if not isinstance(wrapped, types.FunctionType):
            break
        found = wrapped
    return found


def annotation_schema(
    annotation: object, *, depth: int = 8, annotations: Annotations | None = None
) -> dict[str, Any]:
    """Derives the JSON schema of one annotation; what has no JSON form accepts anything.

    Args:
        annotation: The annotation.
        depth: How deep it may be nested.
        annotations: Resolves the annotations of the classes that it names.
    """
    if isinstance(annotation, str) or depth == 0 or annotation is Any:
        return dict(_NAMED.get(str(annotation), {}))
    if annotation is None or (isinstance(annotation, type) and annotation in _SIMPLE):
        return dict(_SIMPLE[annotation])
    if isinstance(annotation, type) and annotation in _FORMATS:
        return dict(_FORMATS[annotation])
    origin = typing.get_origin(annotation)
    if origin is not None:
        inner = functools.partial(annotation_schema, depth=depth - 1, annotations=annotations)
        return _generic_schema(origin, typing.get_args(annotation), inner)
    if isinstance(annotation, enum.EnumMeta):
        members = cast("list[enum.Enum]", list(annotation))
        return {"enum": [member.value for member in members]}
    return _record_schema(annotation, depth - 1, annotations or raw_annotations)


def _record_schema(annotation: object, depth: int, annotations: Annotations) -> dict[str, Any]:
    """A dataclass, typed dict or named tuple: an object with the annotated fields."""
    if not isinstance(annotation, type) or not getattr(annotation, "__annotations__", None):
        return {}
    named = annotations(annotation)
    inner = functools.partial(annotation_schema, depth=depth, annotations=annotations)
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {name: inner(kind) for name, kind in named.items()},
    }
    required = [name for name in named if name in _required(annotation, named)]
    return {**schema, "required": required} if required else schema


def _required(kind: Any, named: Mapping[str, object]) -> Collection[str]:  # noqa: ANN401 - a class
    """Returns the fields that have no default."""
    if dataclasses.is_dataclass(kind):
        missing = dataclasses.MISSING
        return {
            field.name
            for field in dataclasses.fields(kind)
            if field.init and field.default is missing and field.default_factory is missing
        }
    if typing.is_typeddict(kind):
        return cast("frozenset[str]", kind.__required_keys__)
    return named.keys() - getattr(kind, "_field_defaults", named).keys()


def _generic_schema(
    origin: object, arguments: tuple[Any, ...], inner: Callable[[object], dict[str, Any]]
) -> dict[str, Any]:
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is typing.Annotated:
        notes = [note for note in arguments[1:] if isinstance(note, str)]
        return {**inner(arguments[0]), **({"description": notes[0]} if notes else {})}
    if origin is typing.Union or origin is types.UnionType:
        return {"anyOf": [inner(one) for one in arguments]}
    if origin in _ARRAYS and arguments:
        return {"type": "array", "items": inner(arguments[0])}
    if origin is dict and len(arguments) == 2:
        return {"type": "object", "additionalProperties": inner(arguments[1])}
    return dict(_SIMPLE.get(origin, {}))
