"""The decorators a plugin marks its functions with, and the schemas read off their signatures."""

import enum
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, cast

Annotations = Callable[[Callable[..., Any]], Mapping[str, object]]
"""Returns a function's annotations as values, by parameter."""

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
        return [
            {**entry, "parameters": parameters_schema(self.functions[entry["name"]], annotations)}
            for entry in self._marked
        ]


def _unusable(name: str, kind: str, function: Callable[..., Any]) -> str | None:
    """Return why a function cannot be offered under a name; None if it can."""
    if not name.isidentifier():
        return f"@{kind} cannot name a function {name!r}: use letters, digits and _"
    outer, _, _ = function.__qualname__.rpartition(".")
    if outer and not outer.endswith("<locals>"):
        return f"@{kind} works on functions of the module; {function.__qualname__} is in a class"
    if inspect.CO_VARARGS & _code_of(function).co_flags:
        return f"{name} takes *arguments, and a caller names each: list the parameters"
    return None


def _code_of(function: Any) -> types.CodeType:  # noqa: ANN401 - a function, or what it wraps
    while isinstance(wrapped := function.__dict__.get("__wrapped__"), types.FunctionType):
        function = wrapped
    return function.__code__


def parameters_schema(
    function: Callable[..., Any], annotations: Annotations | None = None
) -> dict[str, Any]:
    """Derives the JSON schema of a function's arguments from its annotations and defaults."""
    resolved: Mapping[str, object] = annotations(function) if annotations else {}
    properties: dict[str, Any] = {}
    required: list[str] = []
    extra = False
    for name, parameter in _signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            extra = True
        elif parameter.kind is not parameter.VAR_POSITIONAL:
            annotation: object = resolved.get(name, parameter.annotation)
            schema = {} if annotation is parameter.empty else annotation_schema(annotation)
            if parameter.default is parameter.empty:
                required.append(name)
            elif isinstance(parameter.default, str | int | float | bool | None):
                schema = {**schema, "default": parameter.default}
            properties[name] = schema
    whole: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        whole["required"] = required
    return whole if extra else {**whole, "additionalProperties": False}


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a function or of the function that it wraps.

    Left to itself, `inspect` follows `__wrapped__` to objects of any kind, and evaluates the names
    in a text that such an object calls its signature.
    """
    seen: set[int] = set()
    while id(function) not in seen:
        seen.add(id(function))
        wrapped = function.__dict__.get("__wrapped__")
        if not isinstance(wrapped, types.FunctionType):
            break
        function = wrapped
    return inspect.signature(function, follow_wrapped=False)


def annotation_schema(annotation: object, *, depth: int = 8) -> dict[str, Any]:
    """Derives the JSON schema of one annotation; what has no JSON form accepts anything."""
    if isinstance(annotation, str) or depth == 0 or annotation is Any:
        return dict(_NAMED.get(str(annotation), {}))
    if annotation is None or (isinstance(annotation, type) and annotation in _SIMPLE):
        return dict(_SIMPLE[annotation])
    origin = typing.get_origin(annotation)
    if origin is not None:
        return _generic_schema(origin, typing.get_args(annotation), depth - 1)
    if isinstance(annotation, enum.EnumMeta):
        members = cast("list[enum.Enum]", list(annotation))
        return {"enum": [member.value for member in members]}
    return _record_schema(annotation, depth - 1)


def _record_schema(annotation: object, depth: int) -> dict[str, Any]:
    """A dataclass, typed dict or named tuple: an object with the annotated fields."""
    fields = getattr(annotation, "__annotations__", None)
    if not isinstance(annotation, type) or not isinstance(fields, dict) or not fields:
        return {}
    named = cast("dict[str, object]", fields)
    return {
        "type": "object",
        "properties": {name: annotation_schema(kind, depth=depth) for name, kind in named.items()},
    }


def _generic_schema(origin: object, arguments: tuple[Any, ...], depth: int) -> dict[str, Any]:
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is typing.Annotated:
        schema = annotation_schema(arguments[0], depth=depth)
        notes = [note for note in arguments[1:] if isinstance(note, str)]
        return {**schema, "description": notes[0]} if notes else schema
    if origin is typing.Union or origin is types.UnionType:
        return {"anyOf": [annotation_schema(a, depth=depth) for a in arguments]}
    if origin in _ARRAYS and arguments:
        return {"type": "array", "items": annotation_schema(arguments[0], depth=depth)}
    if origin is dict and len(arguments) == 2:
        return {
            "type": "object",
            "additionalProperties": annotation_schema(arguments[1], depth=depth),
        }
    return dict(_SIMPLE.get(origin, {}))
