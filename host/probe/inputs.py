"""Makes arguments from a tool's input schema: some that fit, some that do not, each checked."""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

import jsonschema_rs
from typing_extensions import override

from generator.pattern import text_matching
from generator.shape import FORMATS

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

_TEXTS = ("text", "", "a b", "Grüße 😀", "0", "-1", "null", "2024-02-29", "x" * 300)
_DEEPEST = 5


@dataclass(frozen=True)
class BadInput:
    """Arguments that a schema refuses, and what is wrong with them."""

    arguments: dict[str, Any]
    wrong: str


def is_valid(schema: Mapping[str, Any], value: object) -> bool | None:
    """Return whether a value fits a schema; None where the schema is none."""
    try:
        check = jsonschema_rs.validator_for(dict(schema))
        return check.is_valid(value)
    except (ValueError, TypeError):
        return None


def good_inputs(schema: Mapping[str, Any], *, seed: int, most: int = 5) -> list[dict[str, Any]]:
    """Return different arguments that fit a schema, the required ones alone first.

    Args:
        schema: The input schema.
        seed: The same seed makes the same arguments.
        most: Most of them; fewer where no more are found.
    """
    found: list[dict[str, Any]] = []
    for attempt in range(most * 8):
        chance = random.Random(f"{seed}:{attempt}") if attempt else _First(seed)  # noqa: S311 - test data
        value = _object(schema, _Maker(schema, chance, full=attempt > 0), depth=0)
        if value not in found and is_valid(schema, value):
            found.append(value)
        if len(found) == most:
            break
    return found


class _Indexed(Protocol[T_co]):
    """What `random.Random.choice` takes."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> T_co: ...


class _First(random.Random):
    """Chooses the first, which is the plainest: what an author most likely thought of."""

    @override
    def choice(self, seq: _Indexed[T]) -> T:
        return seq[0]


@dataclass
class _Maker:
    root: Mapping[str, Any]
    chance: random.Random
    full: bool
    """Whether optional properties may be there, too."""


def _object(schema: Mapping[str, Any], make: _Maker, *, depth: int) -> dict[str, Any]:
    properties = _mapping(schema.get("properties"))
    names = _listed(schema.get("required"))
    found: dict[str, Any] = {str(name): "text" for name in names if name not in properties}
    for name, inner in properties.items():
        wanted = make.full and depth < _DEEPEST and make.chance.random() < 0.5
        if name in names or wanted:
            found[name] = _value(_mapping(inner), make, depth=depth + 1)
    return found


def _value(schema: Mapping[str, Any], make: _Maker, *, depth: int) -> Any:  # noqa: ANN401 - JSON
    schema = _follow(schema, make)
    if stated := _stated(schema, make):
        return make.chance.choice(stated)
    for key in ("anyOf", "oneOf"):
        if isinstance(schema.get(key), list) and schema[key] and depth < _DEEPEST * 2:
            branch = _follow(_mapping(make.chance.choice(schema[key])), make)
            return _value(_both(schema, branch, without=key), make, depth=depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        kind = make.chance.choice(cast("list[object]", kind))
    if kind == "object" or (kind is None and "properties" in schema):
        return _object(schema, make, depth=depth)
    if kind == "array":
        return _array(schema, make, depth=depth)
    maker = _SCALARS.get(kind if isinstance(kind, str) else "")
    anything: list[Any] = ["text", 1, True, None, {}]
    return maker(schema, make.chance) if maker else make.chance.choice(anything)


def _both(schema: Mapping[str, Any], branch: Mapping[str, Any], *, without: str) -> dict[str, Any]:
    """Return a schema together with one of its alternatives."""
    rest = {key: value for key, value in schema.items() if key != without}
    properties = {**_mapping(rest.get("properties")), **_mapping(branch.get("properties"))}
    required = [*_listed(rest.get("required")), *_listed(branch.get("required"))]
    merged = {**rest, **branch}
    return {**merged, **({"properties": properties} if properties else {}), "required": required}


def _listed(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def _stated(schema: Mapping[str, Any], make: _Maker) -> list[Any]:
    """Return the values that a schema itself states; its examples only now and then."""
    if "const" in schema:
        return [schema["const"]]
    for key in ("enum", "examples"):
        values = schema.get(key)
        wanted = key == "enum" or make.chance.choice((True, False))
        if isinstance(values, list) and values and wanted:
            return cast("list[Any]", values)
    return []


def _follow(schema: Mapping[str, Any], make: _Maker) -> Mapping[str, Any]:
    for _ in range(20):
        ref = schema.get("$ref")
        if not isinstance(ref, str) or not ref.startswith("#/"):
            return schema
        node: object = make.root
        for part in ref[2:].split("/"):
            node = _mapping(node).get(part.replace("~1", "/").replace("~0", "~"))
        schema = _mapping(node)
    return {}


def _array(schema: Mapping[str, Any], make: _Maker, *, depth: int) -> list[Any]:
    least = _whole(schema.get("minItems"), 0)
    most = min(_whole(schema.get("maxItems"), least + 3), least + 3)
    number = least if depth >= _DEEPEST else make.chance.randint(least, max(least, most))
    first = [
        _value(_mapping(one), make, depth=depth + 1) for one in _listed(schema.get("prefixItems"))
    ]
    items = _mapping(schema.get("items"))
    missing = 0 if schema.get("items") is False else min(number, 50) - len(first)
    return first + [_value(items, make, depth=depth + 1) for _ in range(missing)]


def _text(schema: Mapping[str, Any], chance: random.Random) -> str:
    known = FORMATS.get(str(schema.get("format")))
    if schema.get("contentEncoding") == "base64" or schema.get("format") == "byte":
        known = "ZmlsZQ=="
    text = known or chance.choice(_TEXTS)
    least, most = _whole(schema.get("minLength"), 0), _whole(schema.get("maxLength"), 100_000)
    if isinstance(pattern := schema.get("pattern"), str):
        return text_matching(pattern, least=least, most=most) or text
    return text[:most].ljust(min(least, 100_000), "x")


def _integer(schema: Mapping[str, Any], chance: random.Random) -> int:
    low, high = _bounds(schema)
    step = _whole(schema.get("multipleOf"), 1) or 1
    edges = [min(max(low, 1), high), low, high, chance.randint(low, high)]
    return chance.choice(edges) // step * step


def _number(schema: Mapping[str, Any], chance: random.Random) -> float:
    low, high = _bounds(schema)
    plain = float(min(max(low, 1), high))
    return chance.choice([plain, float(low), float(high), round(chance.uniform(low, high), 3)])


def _bounds(schema: Mapping[str, Any]) -> tuple[int, int]:
    low = _whole(schema.get("minimum"), _whole(schema.get("exclusiveMinimum"), -1_001) + 1)
    high = _whole(schema.get("maximum"), _whole(schema.get("exclusiveMaximum"), low + 2_001) - 1)
    return low, max(low, high)


def _whole(value: object, otherwise: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return otherwise
    return int(value)


_SCALARS: dict[str, Callable[[Mapping[str, Any], random.Random], Any]] = {
    "string": _text,
    "integer": _integer,
    "number": _number,
    "boolean": lambda _, chance: chance.random() < 0.5,
    "null": lambda _, __: None,
}


_ODD: dict[str, Any] = {
    "an object": {"surprise": [None]},
    "a list of lists": [[[]]],
    "null": None,
    "a text of 200,000 characters": "x" * 200_000,
    "a very small number": -(2**70),
    "control characters": "\u0000\u202e",
}
"""Values that few arguments take: what they are, and they."""


def bad_inputs(schema: Mapping[str, Any], good: Mapping[str, Any]) -> list[BadInput]:
    """Return arguments that a schema refuses, each with one thing wrong.

    Args:
        schema: The input schema.
        good: Arguments that fit.
    """
    return [one for one in _spoiled(schema, good) if is_valid(schema, one.arguments) is False]


def _spoiled(schema: Mapping[str, Any], good: Mapping[str, Any]) -> Iterator[BadInput]:
    for name in list(good)[:8]:
        rest = {key: value for key, value in good.items() if key != name}
        yield BadInput(rest, f"{name!r} is missing")
    for name in list(_mapping(schema.get("properties")))[:8]:
        for said, value in _ODD.items():
            yield BadInput({**good, name: value}, f"{name!r} is {said}")
    yield BadInput({**good, "no_such_argument_": 1}, "an argument is there that is not known")


def _mapping(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
