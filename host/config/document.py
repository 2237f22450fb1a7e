"""A document checked against a model: every fault at once, each with its line and a better name."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from host.config.expand import is_secret_name
from host.config.yaml import Document, Json, Place
from host.domain.errors import ConfigError, InvalidConfigError
from host.domain.names import nearest_names

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping (name: value)",
    "model_type": "a mapping (name: value)",
    "model_attributes_type": "a mapping (name: value)",
}
_SHOWN = 60
_Model = TypeVar("_Model", bound=BaseModel)


class PlacedError(ValueError):
    """What a check of several settings found, with the one that the reader is to look at.

    Args:
        message: What is wrong.
        place: Which setting, below the checked model.
    """

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.place = place


class StrictModel(BaseModel):
    """Base of what is written in YAML: unknown fields are errors, values never change."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        populate_by_name=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )


def validate_document(
    model: type[_Model],
    document: Document,
    *,
    value: Json = None,
    known: Iterable[ConfigError] = (),
) -> _Model:
    """Return the model that a document describes.

    Args:
        model: What is expected.
        document: What the file says; an empty file counts as an empty mapping.
        value: The content to check where it is not `document.value`, such as an expanded copy.
        known: Faults found before, which are reported together with those found here.

    Raises:
        InvalidConfigError: There are faults; it lists them all.
    """
    problems = list(known)
    content = document.value if value is None else value
    try:
        checked = model.model_validate({} if content is None else content)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            problem = _describe(model, details, document=document)
            # A reference that is unset was replaced by an empty text: say the cause only.
            if not any(_same_place(problem, other) for other in problems):
                problems.append(problem)
        raise InvalidConfigError(sorted(problems, key=_order)) from None
    if problems:
        raise InvalidConfigError(sorted(problems, key=_order))
    return checked


def _same_place(one: ConfigError, other: ConfigError) -> bool:
    return one.field is not None and one.field == other.field


def _order(problem: ConfigError) -> tuple[str, int]:
    return (str(problem.file or ""), problem.line or 0)


def _describe(model: type[BaseModel], details: ErrorDetails, *, document: Document) -> ConfigError:
    kind, cause = details["type"], details.get("ctx", {}).get("error")
    further = cause.place if isinstance(cause, PlacedError) else ()
    place = _real_place(document.value, (*details["loc"], *further))
    if kind == "extra_forbidden":
        known = _fields_at(model, details["loc"][:-1])
        near = nearest_names(str(place[-1]), known, most=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(sorted(known))}."
        return document.error("There is no such setting.", place=place, next_step=hint)
    if kind == "missing":
        return document.error(f"{details['loc'][-1]!r} is missing.", place=place)
    message = _expectation(details)
    shown = _show(details, place)
    said = f"{message}, but it is {shown}" if shown else message
    return document.error(said if said.endswith("?") else f"{said}.", place=place)


def _expectation(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    if kind in _WANTED:
        return f"This has to be {_WANTED[kind]}"
    if kind in ("literal_error", "enum"):
        return f"This has to be {context['expected']}"
    if kind in ("value_error", "assertion_error"):
        return str(context["error"]).removesuffix(".")
    if kind.startswith("union_tag"):
        return f"The 'type' here has to be one of {context.get('expected_tags', 'the known ones')}"
    message = details["msg"].removeprefix("Input should be ")
    return f"This has to be {message}" if message != details["msg"] else message


def _show(details: ErrorDetails, place: Place) -> str:
    value: Json = details.get("input")
    if details["type"] in ("value_error", "assertion_error"):
        return ""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "empty"
    secret = any(
        part in ("env", "headers") or (part != "auth" and is_secret_name(str(part)))
        for part in place
    )
    text = repr(value)
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return "a value that is not shown" if secret and isinstance(value, str) else short


def _real_place(value: Json, loc: Iterable[str | int]) -> Place:
    """Return a pydantic location without what pydantic added (tags of unions, `[key]`)."""
    place: list[str | int] = []
    parts = list(loc)
    for index, part in enumerate(parts):
        inside = _child(value, part)
        if inside is not _ABSENT:
            value = inside
            place.append(part)
        elif index == len(parts) - 1 and part != "[key]":
            place.append(part)
    return tuple(place)


_ABSENT = object()


def _child(value: Json, part: str | int) -> Json:
    if isinstance(value, dict) and part in value:
        return cast("dict[str | int, Any]", value)[part]
    if isinstance(value, list) and isinstance(part, int):
        items = cast("list[Any]", value)
        return items[part] if part < len(items) else _ABSENT
    return _ABSENT


def _fields_at(model: type[BaseModel], loc: Iterable[str | int]) -> list[str]:
    """Return the names allowed at a location, read from the model's own JSON Schema."""
    schema: dict[str, Any] = model.model_json_schema(by_alias=True)
    node = schema
    for part in loc:
        node = _descend(_deref(node, schema), part, schema=schema)
    return list(cast("dict[str, Any]", _deref(node, schema).get("properties", {})))


def _deref(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while True:
        if "$ref" in node:
            node = schema["$defs"][str(node["$ref"]).rsplit("/", 1)[-1]]
        elif "anyOf" in node:
            options = cast("list[dict[str, Any]]", node["anyOf"])
            node = next(one for one in options if one.get("type") != "null")
        else:
            return node


def _descend(node: dict[str, Any], part: str | int, *, schema: Mapping[str, Any]) -> dict[str, Any]:
    if "discriminator" in node:
        mapping = cast("dict[str, str]", node["discriminator"]["mapping"])
        name = mapping.get(str(part), "").rsplit("/", 1)[-1]
        return cast("dict[str, Any]", schema["$defs"].get(name, {}))
    properties = cast("dict[str, dict[str, Any]]", node.get("properties", {}))
    if part in properties:
        return properties[str(part)]
    inner = node.get("items") if isinstance(part, int) else node.get("additionalProperties")
    return cast("dict[str, Any]", inner) if isinstance(inner, dict) else {}
