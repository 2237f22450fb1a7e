"""Turns JSON Schemas into Python types, values that fit and values that do not."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from generator.literal import Code, one_line, python
from generator.pattern import text_matching

_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_WRONG: dict[str, Any] = {
    "string": [],
    "integer": "no number",
    "number": "no number",
    "boolean": "perhaps",
}
_NUMBERS = {"minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt"}
_LENGTHS = {"minLength": "min_length", "maxLength": "max_length"}
_HINTS = ("contentEncoding", "format", "multipleOf", "pattern", "uniqueItems")
"""What a schema says that its Python type does not check: the tool's schema has it all the same."""
FORMATS = {
    "date": "2024-02-29",
    "date-time": "2024-02-29T12:00:00Z",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
    "email": "ann@example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "hostname": "example.com",
}
"""Formats that are told, and a text of each."""
MAX_ENUM = 40
"""More values than these are left to the service to check."""


@dataclass(frozen=True)
class Shape:
    """A type: as Python source, in words, with a value that fits and one that does not."""

    annotation: Code
    type_name: str
    sample: Any
    wrong: Any = None
    plain: bool = False
    """Whether the annotation says all that the schema does."""


def as_object(value: object) -> dict[str, Any]:
    """Return a value where it is an object with text keys, and an empty one where it is not."""
    if not isinstance(value, Mapping):
        return {}
    return {k: v for k, v in cast("Mapping[Any, Any]", value).items() if isinstance(k, str)}


def as_list(value: object) -> list[Any]:
    """Return a value where it is a list, and an empty one where it is not."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def shape_of(schema: Mapping[str, Any], *, indent: int = 4) -> Shape:
    """Return the shape of a schema without references.

    Args:
        schema: A JSON Schema, or an OpenAPI one, of any quality.
        indent: Spaces before the line on which the annotation begins.
    """
    kinds, nullable = _kinds(schema)
    found = _enum(as_list(schema.get("enum")), indent)
    if found is None and len(kinds) == 1:
        found = _single(kinds[0], schema, indent)
    if found is None:
        found = _free(schema, indent)
    if nullable:
        return Shape(
            or_none(found.annotation),
            f"{found.type_name} or null",
            found.sample,
            found.wrong,
        )
    return found


def or_none(annotation: Code) -> Code:
    """Return a type that takes None, too, laid out as `ruff format` would."""
    first, comma, rest = annotation.partition(",\n")
    if (
        annotation.endswith(("| None", "None,\n]"))
        or annotation in ("Any", "None")
        or "| None" in first
    ):
        return annotation
    if annotation.startswith("Annotated["):
        return Code(f"{first} | None{comma}{rest}")
    if annotation.startswith("Literal[\n"):
        inner = re.search(r"\n( +)", annotation)
        margin = inner[1] if inner else ""
        body, _, closing = annotation.rpartition("\n")
        return Code(f"{body}\n{margin}None,\n{closing}")
    return Code(f"{annotation} | None")


def _kinds(schema: Mapping[str, Any]) -> tuple[list[str], bool]:
    stated = schema.get("type")
    kinds = [stated] if isinstance(stated, str) else as_list(stated)
    texts = [kind for kind in kinds if isinstance(kind, str)]
    nullable = schema.get("nullable") is True or "null" in texts
    return [kind for kind in texts if kind != "null"], nullable


def _enum(values: list[Any], indent: int) -> Shape | None:
    texts = list(dict.fromkeys(v for v in values if isinstance(v, str)))
    if (
        not texts
        or len(texts) != len([v for v in values if v is not None])
        or len(texts) > MAX_ENUM
    ):
        return None
    parts = [str(python(text)) for text in texts]
    words = " or ".join(one_line(text, 40) for text in texts[:6])
    more = " or …" if len(texts) > 6 else ""
    return Shape(_choice(parts, indent), f"{words}{more}", texts[0], [], plain=True)


def _choice(parts: list[str], indent: int) -> Code:
    short = f"Literal[{', '.join(parts)}]"
    if len(short) <= 40:
        return Code(short)
    margin = " " * (indent + 4)
    return Code("Literal[\n" + "".join(f"{margin}{p},\n" for p in parts) + " " * indent + "]")


def _single(kind: str, schema: Mapping[str, Any], indent: int) -> Shape | None:
    if kind in _PLAIN:
        return _scalar(kind, schema, indent)
    if kind == "array":
        items = as_object(schema.get("items"))
        inner = shape_of(items, indent=indent) if items and "prefixItems" not in schema else None
        if inner is not None and inner.plain and "\n" not in inner.annotation:
            return _list_of(inner, schema, indent)
    return None


def _list_of(inner: Shape, schema: Mapping[str, Any], indent: int) -> Shape:
    least, most = (_number_of(schema.get(key)) for key in ("minItems", "maxItems"))
    if least is not None and (least > 20 or (most is not None and most < least)):
        least = most = None
    limits = {"min_length": least, "max_length": most}
    said: dict[str, Any] = {key: value for key, value in limits.items() if value}
    if schema.get("uniqueItems") is True:
        said["json_schema_extra"] = {"uniqueItems": True}
    annotation = f"list[{inner.annotation}]"
    return Shape(
        _annotated(annotation, said, indent) if said else Code(annotation),
        f"list of {inner.type_name}",
        [inner.sample] * max(1, least or 0),
        5,
        plain=not said,
    )


def _number_of(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= 100_000 else None


def _annotated(annotation: str, said: Mapping[str, object], indent: int) -> Code:
    """Return a type with a `Field`; what may be long stands on lines of its own."""
    margin = " " * (indent + 4)
    if {"pattern", "json_schema_extra"} & set(said):
        inner = f"{margin}    "
        lines = [f"{inner}{key}={python(one, indent + 8)},\n" for key, one in said.items()]
        field = f"Field(\n{''.join(lines)}{margin})"
    else:
        field = f"Field({', '.join(f'{key}={python(one)}' for key, one in said.items())})"
    return Code(f"Annotated[\n{margin}{annotation},\n{margin}{field},\n{' ' * indent}]")


def _scalar(kind: str, schema: Mapping[str, Any], indent: int) -> Shape:
    said: dict[str, object] = dict(_limits(kind, schema))
    hints = {key: schema[key] for key in _HINTS if key in schema and _is_hint(key, schema[key])}
    sample = _scalar_sample(kind, schema, _limits(kind, schema))
    annotation = _PLAIN[kind]
    if sample is None:
        said, sample = {}, {"string": "text", "integer": 1, "number": 1.5}[kind]
    if kind == "string" and "pattern" in hints:
        fits = text_matching(
            hints["pattern"],
            least=_length(said.get("min_length"), 0),
            most=_length(said.get("max_length"), 1_000),
        )
        if fits is not None:  # one that Python and Rust read alike is checked here, too
            said["pattern"], sample = hints.pop("pattern"), fits
    if hints:
        said["json_schema_extra"] = hints
    if said:
        annotation = _annotated(annotation, said, indent)
    return Shape(Code(annotation), kind, sample, _WRONG[kind], plain="Field(" not in annotation)


def _length(value: object, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _is_hint(key: str, value: object) -> bool:
    if key == "multipleOf":
        return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return isinstance(value, str) and (key != "format" or value in FORMATS)


def _limits(kind: str, schema: Mapping[str, Any]) -> dict[str, int | float]:
    names = _LENGTHS if kind == "string" else _NUMBERS if kind in ("integer", "number") else {}
    found: dict[str, int | float] = {}
    for key, argument in names.items():
        value = schema.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 2**53:
            continue
        if kind != "number" and value != int(value):
            continue
        if kind == "string" and not 0 <= value <= 100_000:
            continue
        found[argument] = value if kind == "number" else int(value)
    return found


def _scalar_sample(kind: str, schema: Mapping[str, Any], limits: Mapping[str, float]) -> Any:  # noqa: ANN401 - a JSON value
    if kind == "boolean":
        return True
    if kind == "string":
        least, most = int(limits.get("min_length", 0)), int(limits.get("max_length", 1_000_000))
        text = _formatted(schema.get("format"))
        text = text if len(text) <= most else text[:most]
        text = text.ljust(least, "x")
        return text if least <= len(text) <= most else None
    step = 1 if kind == "integer" else 0.5
    candidates = [1, limits.get("ge"), limits.get("le")]
    candidates += [limits["gt"] + step] if "gt" in limits else []
    candidates += [limits["lt"] - step] if "lt" in limits else []
    for number in candidates:
        if number is not None and _within(number, limits):
            return number
    return None


def _within(number: float, limits: Mapping[str, float]) -> bool:
    infinite = float("inf")
    return limits.get("ge", -infinite) <= number <= limits.get("le", infinite) and limits.get(
        "gt", -infinite
    ) < number < limits.get("lt", infinite)


def _formatted(kind: object) -> str:
    return FORMATS.get(kind, "text") if isinstance(kind, str) else "text"


def _free(schema: Mapping[str, Any], indent: int) -> Shape:
    """Keep the schema beside a type that takes anything; the service checks the value."""
    kinds, _ = _kinds(schema)
    told = {key: value for key, value in schema.items() if key not in ("nullable", "description")}
    kind = kinds[0] if len(kinds) == 1 else "object" if "properties" in schema else "anything"
    samples: dict[str, Any] = {"object": sample_object(schema), "array": []}
    sample = samples.get(kind, "text")
    base = {"object": "dict[str, Any]", "array": "list[Any]"}.get(kind, "Any")
    wrong = {"object": "no object", "array": 5}.get(kind)
    if kind == "array":
        sample = _sample_list(schema)
        if "prefixItems" not in schema and (one := _scalar_kind(as_object(schema.get("items")))):
            base = f"list[{_PLAIN[one]}]"
    if not told or told == {"type": "object"}:
        return Shape(Code(base), kind, sample, wrong, plain=True)
    margin = " " * (indent + 4)
    literal = python(told, indent + 8)
    annotation = (
        f"Annotated[\n{margin}{base},\n{margin}WithJsonSchema(\n"
        f"{margin}    {literal},\n{margin}),\n{' ' * indent}]"
    )
    return Shape(Code(annotation), kind, sample, wrong)


def _scalar_kind(schema: Mapping[str, Any]) -> str:
    """Return the one scalar type that a schema states, empty where there is none."""
    kinds, nullable = _kinds(schema)
    single = len(kinds) == 1 and not nullable and kinds[0] in _PLAIN
    return kinds[0] if single else ""


def _sample_list(schema: Mapping[str, Any]) -> list[Any]:
    first = [sample_of(as_object(one)) for one in as_list(schema.get("prefixItems"))]
    least = schema.get("minItems")
    missing = least - len(first) if isinstance(least, int) and 0 < least < 100 else 0
    return first + [sample_of(as_object(schema.get("items")))] * max(0, missing)


def sample_of(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a JSON value
    """Return a value that fits a schema, as far as types, enumerations and limits go."""
    return shape_of(schema).sample


def sample_object(schema: Mapping[str, Any], *, depth: int = 0) -> dict[str, Any]:
    """Return an object with the required properties of a schema."""
    properties = as_object(schema.get("properties"))
    found: dict[str, Any] = {}
    first = as_object(next(iter(as_list(schema.get("anyOf"))), None))
    properties = {**as_object(first.get("properties")), **properties}
    for name in [*as_list(schema.get("required")), *as_list(first.get("required"))]:
        if isinstance(name, str) and name in properties and depth < 6:
            inner = as_object(properties[name])
            nested = "properties" in inner
            found[name] = sample_object(inner, depth=depth + 1) if nested else sample_of(inner)
    return found
