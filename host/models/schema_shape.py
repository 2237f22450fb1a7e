"""What shape a JSON Schema has, where vendors' own ways of asking for one take less than all."""

from typing import Any, cast

Json = dict[str, Any]
_OF_KIND: dict[str, frozenset[str]] = {
    **dict.fromkeys(("minLength", "maxLength", "pattern", "format"), frozenset(("string",))),
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        frozenset(("integer", "number")),
    ),
    **dict.fromkeys(
        ("items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"),
        frozenset(("array",)),
    ),
    **dict.fromkeys(
        ("properties", "required", "additionalProperties", "patternProperties"),
        frozenset(("object",)),
    ),
}
"""Words of a schema that say something about values of these types only."""
_SCHEMAS = ("properties", "$defs")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")


def split_types(schema: Json) -> Json:
    """Return a schema that means the same and in which every `type` is one word."""
    made = {name: _inside(name, value) for name, value in schema.items()}
    kinds = made.get("type")
    if not isinstance(kinds, list) or any(name in made for name in (*_LISTS[:3], "enum", "const")):
        return made
    words = cast("list[str]", kinds)
    del made["type"]
    own = {name: made.pop(name) for name in _OF_KIND if name in made}
    branches = [
        {"type": word, **{name: own[name] for name in own if word in _OF_KIND[name]}}
        for word in words
    ]
    return {**made, **branches[0]} if len(branches) == 1 else {**made, "anyOf": branches}


def open_place(schema: Json, at: str = "#") -> str | None:
    """Return where an object of a schema may have members that it does not name; None: nowhere.

    One that names some and says nothing of others counts as closed: that is how people write them.
    """
    rest = schema.get("additionalProperties", not schema.get("properties"))
    is_object = schema.get("type") == "object"
    if is_object and (rest not in (False, None) or schema.get("patternProperties")):
        return at
    for name, inner, step in _members(schema):
        found = open_place(inner, f"{at}/{name}{step}")
        if found is not None:
            return found
    return None


def combines(schema: Json) -> bool:
    """Return whether something in a schema has to meet several others at once."""
    return "allOf" in schema or any(combines(inner) for _, inner, _ in _members(schema))


def refers_to_itself(schema: Json) -> bool:
    """Return whether a schema has values of any depth, which no grammar is made for."""
    ending: set[str] = set()  # what was followed to its end: others may refer to it many times

    def loops(node: Json, within: tuple[str, ...]) -> bool:
        ref = node.get("$ref")
        if isinstance(ref, str) and ref not in ending:
            target = _pointed(schema, ref)
            if ref in within or target is None or loops(target, (*within, ref)):
                return True
            ending.add(ref)
        return any(loops(inner, within) for name, inner, _ in _members(node) if name != "$defs")

    return loops(schema, ("#",))


def _pointed(schema: Json, ref: str) -> Json | None:
    """Return what a reference into a schema itself names; None: nothing."""
    node: Any = schema
    for step in ref.split("/")[1:]:
        node = cast("Json", node).get(step) if isinstance(node, dict) else None
    return cast("Json", node) if isinstance(node, dict) and ref.startswith("#") else None


def _members(schema: Json) -> list[tuple[str, Json, str]]:
    found: list[tuple[str, Json, str]] = []
    for name, value in schema.items():
        if name in _SCHEMAS and isinstance(value, dict):
            inner = cast("dict[str, Any]", value)
            found += [(name, one, f"/{key}") for key, one in inner.items() if isinstance(one, dict)]
        elif name in _LISTS and isinstance(value, list):
            items = cast("list[Any]", value)
            found += [(name, one, f"/{n}") for n, one in enumerate(items) if isinstance(one, dict)]
        elif name == "items" and isinstance(value, dict):
            found.append((name, cast("Json", value), ""))
    return found


def _inside(name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON
    if name in _SCHEMAS and isinstance(value, dict):
        inner = cast("dict[str, Any]", value)
        return {key: _split(one) for key, one in inner.items()}
    if name in _LISTS and isinstance(value, list):
        return [_split(one) for one in cast("list[Any]", value)]
    return _split(value) if name == "items" else value


def _split(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    return split_types(cast("Json", schema)) if isinstance(schema, dict) else schema
