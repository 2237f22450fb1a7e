"""The parameters of HTTP operations: read from a document, then given names and types."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from generator.literal import one_line
from generator.naming import identifier, title, unique
from generator.shape import as_object, or_none, shape_of
from generator.sources.schemas import Resolver
from generator.spec import Param

_OWN_HEADERS = {"accept", "content-type", "authorization", "host", "content-length", "cookie"}
_PAGES = {
    "page",
    "offset",
    "cursor",
    "page_token",
    "starting_after",
    "after",
    "next_token",
    "marker",
}
MAX_OPTIONAL = 60
"""Most parameters of a tool; more optional ones than these are left out."""


_FILE = {"type": "string", "contentEncoding": "base64"}
"""What a tool takes for a file."""


@dataclass(frozen=True)
class Draft:
    """One parameter as the document has it."""

    wire: str
    place: str
    schema: Mapping[str, Any]
    required: bool = False
    description: str = ""
    exploded: bool = True
    """Whether a list is repeated (`a=1&a=2`) or joined (`a=1,2`)."""


def draft_parameter(raw: Mapping[str, Any], resolver: Resolver) -> Draft | None:
    """Return a parameter, None where it is a body, or a header of HTTP's own."""
    wire, place = raw.get("name"), raw.get("in")
    if not isinstance(wire, str) or place not in ("path", "query", "header", "cookie"):
        return None
    if not wire.strip() or any(letter in wire for letter in "\r\n\0"):
        return None
    if place in ("header", "cookie") and not is_token(wire):
        return None
    if place == "header" and wire.lower() in _OWN_HEADERS:
        return None
    content = as_object(raw.get("content"))
    if content:
        schema = resolver.schema(as_object(next(iter(content.values()))).get("schema"))
    else:
        schema = resolver.schema(raw.get("schema", raw))
    description = raw.get("description")
    exploded = raw.get("explode", raw.get("style", "form") == "form")
    if "collectionFormat" in raw or ("schema" not in raw and not content):
        exploded = raw.get("collectionFormat") == "multi"
    return Draft(
        wire,
        str(place),
        schema,
        required=place == "path" or raw.get("required") is True,
        description=description if isinstance(description, str) else "",
        exploded=exploded is True,
    )


def is_token(text: str) -> bool:
    """Return whether a text can be the name of a header or cookie."""
    return text.isascii() and all(c.isalnum() or c in "!#$%&'*+-.^_`|~" for c in text)


def finish(drafts: Iterable[Draft], path: str = "") -> tuple[Param, ...]:
    """Return the parameters with legal names of their own."""
    taken: set[str] = set()
    params: list[Param] = []
    listed = list(drafts)
    if len(listed) > MAX_OPTIONAL:
        needed = [draft for draft in listed if draft.required]
        rest = [draft for draft in listed if not draft.required]
        listed = needed + rest[: max(0, MAX_OPTIONAL - len(needed))]
    for draft in listed:
        name = unique(identifier(draft.wire, otherwise=draft.place), taken)
        taken.add(name)
        params.append(_param(name, draft))
    return tuple(params)


def _param(name: str, draft: Draft) -> Param:
    schema = _FILE if draft.place == "file" else draft.schema
    if draft.place == "path" and schema.get("type") == "string" and "enum" not in schema:
        schema = {"minLength": 1, **schema}  # an empty part would be another path
    shape = shape_of(schema)
    default = _default(draft, shape.sample, shape.type_name)
    annotation = shape.annotation
    if not draft.required and default is None:
        annotation = or_none(annotation)
    about = one_line(draft.description or str(draft.schema.get("description", "")), 300)
    if name in _PAGES and draft.place == "query":
        about = f"{about.rstrip('.') or 'Where to go on'}. Call again with the next one for more."
    return Param(
        name,
        draft.wire,
        annotation,
        draft.required,
        default,
        about or f"{title(draft.wire) or title(name)}.",
        draft.place,
        shape.type_name,
        shape.sample,
        shape.wrong,
        {"exploded": draft.exploded},
    )


def _default(draft: Draft, sample: object, type_name: str) -> Any:  # noqa: ANN401 - a JSON value
    """Return the default that the schema states, where it is of the type that it states, too."""
    value = draft.schema.get("default")
    if draft.required or value is None or draft.place == "body":
        return None
    values = draft.schema.get("enum")
    if isinstance(values, list):
        return value if value in values and isinstance(value, str) else None
    expected = {"string": str, "integer": int, "boolean": bool, "number": float}.get(type_name)
    limited = {
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "pattern",
        "exclusiveMinimum",
        "exclusiveMaximum",
    }
    if expected is None or type(value) is not expected or limited & set(draft.schema):
        return None
    return value
