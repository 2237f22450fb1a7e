"""Resolves the references of an OpenAPI document, cycles and all, within bounds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import unquote

from generator.literal import one_line
from generator.shape import as_object

MAX_DEPTH = 7
"""Deepest level of a schema that is kept; below it anything fits."""
MAX_NODES = 150
"""Most schemas that are kept within one; beyond them anything fits."""

_NUMBERS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
)


@dataclass
class Resolver:
    """Follows `$ref` inside one document; what leads out of it, or nowhere, is noted."""

    document: Mapping[str, Any]
    lost: set[str] = field(default_factory=set[str])
    """References that could not be followed."""

    def follow(self, value: object) -> dict[str, Any]:
        """Return an object, or what its chain of references ends at."""
        found, seen = as_object(value), set[str]()
        while isinstance(ref := found.get("$ref"), str):
            if ref in seen or len(seen) > 50:
                self.lost.add(ref)
                return {}
            seen.add(ref)
            beside = {key: one for key, one in found.items() if key != "$ref"}
            found = {
                **self._look_up(ref),
                **{k: v for k, v in beside.items() if k == "description"},
            }
        return found

    def _look_up(self, ref: str) -> dict[str, Any]:
        if not ref.startswith("#"):
            self.lost.add(ref)
            return {}
        node: object = self.document
        for part in ref[1:].split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(node, Mapping) and key in node:
                node = cast("Mapping[str, object]", node)[key]
            elif (
                isinstance(node, list) and key.isdigit() and int(key) < len(cast("list[Any]", node))
            ):
                node = cast("list[object]", node)[int(key)]
            else:
                self.lost.add(ref)
                return {}
        return as_object(node)

    def schema(self, value: object) -> dict[str, Any]:
        """Return a schema with its references put in place, cut where it goes on without end."""
        return self._inline(value, (), _Budget())

    def _inline(self, value: object, stack: tuple[int, ...], budget: "_Budget") -> dict[str, Any]:
        raw = as_object(value)
        found = self.follow(raw)
        target = id(self._last(raw))
        if target in stack or len(stack) >= MAX_DEPTH or not budget.spend():
            return {"type": found["type"]} if isinstance(found.get("type"), str) else {}
        inner = (*stack, target)
        found = self._merge_all(found, inner, budget)
        kept = _plain_keywords(found)
        for key in ("anyOf", "oneOf"):
            choices = found.get(key)
            if isinstance(choices, list) and choices:
                some = cast("list[object]", choices)[:20]
                kept["anyOf"] = [self._inline(choice, inner, budget) for choice in some]
        properties = as_object(found.get("properties"))
        if properties:
            kept["properties"] = {
                name: self._inline(one, inner, budget)
                for name, one in list(properties.items())[:100]
            }
            kept.setdefault("type", "object")
            kept["required"] = _names(found.get("required"), kept["properties"])
        if isinstance(found.get("items"), Mapping):
            kept["items"] = self._inline(found["items"], inner, budget)
        more = found.get("additionalProperties")
        if isinstance(more, Mapping) and more:
            kept["additionalProperties"] = self._inline(cast("object", more), inner, budget)
        return kept

    def _last(self, raw: dict[str, Any]) -> object:
        """Return the object that identifies a schema on the way down: the one referred to."""
        seen = 0
        node: Any = raw
        while (
            isinstance(node, Mapping)
            and isinstance(cast("Any", node).get("$ref"), str)
            and seen < 50
        ):
            node, seen = self._raw(cast("Any", node)["$ref"]), seen + 1
        return cast("object", node)

    def _raw(self, ref: str) -> object:
        node: object = self.document
        for part in ref[1:].split("/")[1:] if ref.startswith("#") else ["?"]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            node = (
                cast("Mapping[str, object]", node).get(key) if isinstance(node, Mapping) else None
            )
        return node

    def _merge_all(
        self, found: dict[str, Any], stack: tuple[int, ...], budget: "_Budget"
    ) -> dict[str, Any]:
        """Return a schema with the parts of its `allOf` laid over each other."""
        parts = found.get("allOf")
        if not isinstance(parts, list) or len(stack) >= MAX_DEPTH:
            return found
        merged = {key: value for key, value in found.items() if key != "allOf"}
        properties = dict(as_object(found.get("properties")))
        required = list(_texts(found.get("required")))
        for part in cast("list[object]", parts)[:30]:
            if not budget.spend():
                break
            last = id(self._last(as_object(part)))
            if last in stack:
                continue
            whole = self._merge_all(self.follow(part), (*stack, last), budget)
            properties = {**as_object(whole.get("properties")), **properties}
            required += _texts(whole.get("required"))
            merged = {**whole, **merged}
        if properties:
            merged["properties"] = properties
            merged["required"] = list(dict.fromkeys(required))
        return merged


@dataclass
class _Budget:
    left: int = MAX_NODES

    def spend(self) -> bool:
        self.left -= 1
        return self.left >= 0


def _texts(value: object) -> list[str]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [item for item in items if isinstance(item, str)]


def _names(value: object, properties: Mapping[str, Any]) -> list[str]:
    return [name for name in dict.fromkeys(_texts(value)) if name in properties]


def _plain_keywords(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a schema is no schema itself, in JSON Schema's own words."""
    kept: dict[str, Any] = {}
    kind = found.get("type")
    known = {"string", "integer", "number", "boolean", "array", "object", "null"}
    kinds = [k for k in ([kind] if isinstance(kind, str) else _texts(kind)) if k in known]
    if found.get("nullable") is True and kinds:
        kinds.append("null")
    if kinds:
        kept["type"] = kinds[0] if len(kinds) == 1 else list(dict.fromkeys(kinds))
    values = found.get("enum")
    if (
        isinstance(values, list)
        and values
        and all(_is_scalar(v) for v in cast("list[object]", values))
    ):
        kept["enum"] = values
    elif "const" in found and _is_scalar(found["const"]):
        kept["enum"] = [found["const"]]
    if isinstance(found.get("format"), str):
        kept["format"] = one_line(found["format"], 40)
    if isinstance(found.get("description"), str) and found["description"].strip():
        kept["description"] = one_line(found["description"], 300)
    if _is_scalar(found.get("default")) and found.get("default") is not None:
        kept["default"] = found["default"]
    return {**kept, **_limits(found)}


def _limits(found: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key in _NUMBERS:
        value = found.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53:
            kept[key] = value
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if found.get(exclusive) is True and limit in kept:
            kept[exclusive] = kept.pop(limit)
    return kept


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
