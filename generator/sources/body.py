"""The body of an HTTP operation: its properties as parameters, or one parameter for all of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from generator.shape import as_list, as_object
from generator.sources.parameter import Draft
from generator.sources.schemas import Resolver

Encoding = Literal["none", "json", "form", "multipart", "text"]
_MEDIA = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+")
MAX_PROPERTIES = 25
"""A body with more properties stays one parameter."""


@dataclass(frozen=True)
class Body:
    """How a body is sent, and the parameters that it is made of."""

    encoding: Encoding = "none"
    drafts: tuple[Draft, ...] = ()
    media: str = ""
    """The media type of a text, as the document has it; empty for the other encodings."""


def read_body(operation: Mapping[str, Any], resolver: Resolver, others: Sequence[Draft]) -> Body:
    """Return the body of an operation.

    Args:
        operation: The operation.
        resolver: For its references.
        others: Its other parameters, whose names stay theirs.
    """
    if "requestBody" not in operation:
        return _old_body(operation, resolver, others)
    body = resolver.follow(operation["requestBody"])
    content = as_object(body.get("content"))
    media = _choose(content)
    if media is None:
        return Body()
    schema = resolver.schema(as_object(content[media]).get("schema"))
    required = body.get("required") is True
    found = _from_schema(schema, _encoding(media), required=required, others=others)
    plain = media.partition(";")[0].strip().lower()
    named = found.encoding == "text" and _MEDIA.fullmatch(plain)
    return replace(found, media=plain if named else "")


def _choose(content: Mapping[str, Any]) -> str | None:
    for wanted in ("json", "form", "multipart", "text"):
        for media in content:
            if _encoding(media) == wanted:
                return media
    return None


def _encoding(media: str) -> Encoding:
    kind = media.partition(";")[0].strip().lower()
    if kind.endswith("json") or kind == "*/*":
        return "json"
    if kind == "application/x-www-form-urlencoded":
        return "form"
    return "multipart" if kind.startswith("multipart/") else "text"


def _from_schema(
    schema: dict[str, Any], encoding: Encoding, *, required: bool, others: Sequence[Draft]
) -> Body:
    properties = as_object(schema.get("properties"))
    names = as_list(schema.get("required"))
    closed = schema.get("additionalProperties", False) is False
    # Parts that are all optional cannot say how many of them there have to be.
    counted = schema.get("minProperties", 0) > len(names) or "maxProperties" in schema
    fits = 0 < len(properties) <= MAX_PROPERTIES and closed and not counted
    if encoding == "text" or not fits or not required or "anyOf" in schema:
        kind = {"type": "string"} if encoding == "text" else schema
        if encoding in ("form", "multipart") and "type" not in kind and "anyOf" not in kind:
            kind = {"type": "object", **kind}  # there is no other way to send it
        about = str(schema.get("description", "")) or "The body of the request."
        return Body(encoding, (Draft("body", "whole", kind, required=required, description=about),))
    drafts = tuple(
        Draft(name, _place(encoding, as_object(one)), as_object(one), required=name in names,
              description=str(as_object(one).get("description", "")))
        for name, one in properties.items()
    )  # fmt: skip
    return Body(encoding, drafts)


def _place(encoding: Encoding, schema: Mapping[str, Any]) -> str:
    return "file" if encoding == "multipart" and schema.get("format") == "binary" else "body"


def _old_body(operation: Mapping[str, Any], resolver: Resolver, others: Sequence[Draft]) -> Body:
    """Read the body as OpenAPI 2.0 has it: parameters `in: body` and `in: formData`."""
    found = [resolver.follow(raw) for raw in as_list(operation.get("parameters"))]
    for raw in found:
        if raw.get("in") == "body":
            schema = resolver.schema(raw.get("schema"))
            return _from_schema(schema, "json", required=raw.get("required") is True, others=others)
    fields = [
        raw for raw in found if raw.get("in") == "formData" and isinstance(raw.get("name"), str)
    ]
    if not fields:
        return Body()
    files = any(raw.get("type") == "file" for raw in fields)
    drafts = tuple(
        Draft(raw["name"], "file" if raw.get("type") == "file" else "body",
              {"type": "string"} if raw.get("type") == "file" else resolver.schema(raw),
              required=raw.get("required") is True, description=str(raw.get("description", "")))
        for raw in fields
    )  # fmt: skip
    return Body("multipart" if files else "form", drafts)
