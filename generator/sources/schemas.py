"""Resolves the references of an OpenAPI document, cycles and all, within bounds."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import unquote

from generator.literal import one_line
from generator.shape import as_list, as_object

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


_UNKNOWN = frozenset(
    {"not", "if", "patternProperties", "propertyNames", "contains", "dependentRequired"}
    | {"dependentSchemas", "unevaluatedProperties", "unevaluatedItems"}
)
MAX_PROPERTIES = 100
"""Most properties of an object that are kept."""
MAX_PATTERN = 500
"""Longest regular expression that is kept."""


@dataclass
class Resolver:
    """Follows `$ref` inside one document; what leads out of it, or nowhere, is noted."""

    document: Mapping[str, Any]
    lost: set[str] = field(default_factory=set[str])
    """References that could not be followed."""
    unsaid: set[str] = field(default_factory=set[str])
    """Keywords of schemas that are not carried over: the service has to check them."""
    cut: bool = False
    """Whether a schema went on too deep or without end."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out of schemas, a sentence each."""
        notes = [f"{one_line(ref, 80)} leads nowhere." for ref in sorted(self.lost)[:20]]
        if self.unsaid:
            words = ", ".join(f"`{word}`" for word in sorted(self.unsaid))
            notes.append(f"Left to the service, for the tools' schemas do not say it: {words}.")
        if self.cut:
            notes.append(
                "Schemas without end, or very large ones, are cut: below that anything fits."
            )
        return tuple(notes)

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
        node = self._find(ref)
        if node is None:
            self.lost.add(ref)
        return as_object(node)

    def _find(self, ref: str) -> object:
        """Return what a reference leads to, None where that is nothing, or in another file."""
        if not ref.startswith("#"):
            return None
        node: object = self.document
        for part in ref[1:].split("/")[1:]:
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            if isinstance(node, Mapping):
                node = cast("Mapping[str, object]", node).get(key)
            else:
                place = int(key) if key.isdecimal() and len(key) < 10 else -1
                node = as_list(node)[place] if 0 <= place < len(as_list(node)) else None
        return node

    def schema(self, value: object) -> dict[str, Any]:
        """Return a schema with its references put in place, cut where it goes on without end."""
        return self._inline(value, _Level())

    def _inline(self, value: object, level: "_Level") -> dict[str, Any]:
        raw = as_object(value)
        found = self.follow(raw)
        target = id(self._last(raw))
        if level.is_deep or target in level.stack or not level.budget.spend():
            self.cut = self.cut or bool(found)
            return {"type": found["type"]} if isinstance(found.get("type"), str) else {}
        inner = level.below(target)
        found = self._merge_all(found, inner)
        kept = _plain_keywords(found)
        self.unsaid |= _UNKNOWN & set(found)
        for key in ("anyOf", "oneOf"):
            choices = found.get(key)
            if isinstance(choices, list) and choices:
                self.unsaid |= {"oneOf"} if key == "oneOf" else set()
                some = cast("list[object]", choices)[:20]
                kept["anyOf"] = [self._inline(choice, inner) for choice in some]
        self._add_members(kept, found, inner)
        self._add_items(kept, found, inner)
        return kept

    def _add_members(self, kept: dict[str, Any], found: Mapping[str, Any], level: "_Level") -> None:
        """Add what is said of an object's properties."""
        properties = as_object(found.get("properties"))
        if properties:
            kept["properties"] = {
                name: self._inline(one, level)
                for name, one in list(properties.items())[:MAX_PROPERTIES]
            }
            kept.setdefault("type", "object")
        if names := list(dict.fromkeys(_texts(found.get("required")))):
            kept["required"] = names
        more = found.get("additionalProperties")
        if isinstance(more, Mapping) and more:
            kept["additionalProperties"] = self._inline(cast("object", more), level)
        elif more is False and len(properties) <= MAX_PROPERTIES:
            kept["additionalProperties"] = False

    def _add_items(self, kept: dict[str, Any], found: Mapping[str, Any], level: "_Level") -> None:
        """Add what is said of a list's items."""
        first = found.get("prefixItems")
        if isinstance(first, list) and first:
            some = cast("list[object]", first)[:20]
            kept["prefixItems"] = [self._inline(one, level) for one in some]
        if isinstance(found.get("items"), Mapping):
            kept["items"] = self._inline(found["items"], level)
        elif found.get("items") is False and "prefixItems" in kept:
            kept["items"] = False

    def _last(self, raw: dict[str, Any]) -> object:
        """Return the object that identifies a schema on the way down: the one referred to."""
        seen = 0
        node: Any = raw
        while (
            isinstance(node, Mapping)
            and isinstance(cast("Any", node).get("$ref"), str)
            and seen < 50
        ):
            node, seen = self._find(cast("Any", node)["$ref"]), seen + 1
        return cast("object", node)

    def _merge_all(self, found: dict[str, Any], level: "_Level") -> dict[str, Any]:
        """Return a schema with the parts of its `allOf` laid over each other."""
        parts = found.get("allOf")
        if not isinstance(parts, list) or level.is_deep:
            return found
        merged = {key: value for key, value in found.items() if key != "allOf"}
        properties = dict(as_object(found.get("properties")))
        required = list(_texts(found.get("required")))
        for part in cast("list[object]", parts)[:30]:
            if not level.budget.spend():
                break
            last = id(self._last(as_object(part)))
            if last in level.stack:
                continue
            whole = self._merge_all(self.follow(part), level.below(last))
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


@dataclass(frozen=True)
class _Level:
    """Where in a schema one is: what leads there, and how much of it all may be kept still."""

    stack: tuple[int, ...] = ()
    budget: _Budget = field(default_factory=_Budget)

    @property
    def is_deep(self) -> bool:
        return len(self.stack) >= MAX_DEPTH

    def below(self, target: int) -> "_Level":
        return _Level((*self.stack, target), self.budget)


def _texts(value: object) -> list[str]:
    items = cast("list[object]", value) if isinstance(value, list) else []
    return [item for item in items if isinstance(item, str)]


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
    pattern = found.get("pattern")
    if isinstance(pattern, str) and len(pattern) <= MAX_PATTERN and _is_pattern(pattern):
        kept["pattern"] = pattern
    if found.get("uniqueItems") is True:
        kept["uniqueItems"] = True
    if isinstance(found.get("format"), str):
        kept["format"] = one_line(found["format"], 40)
    if isinstance(found.get("description"), str) and found["description"].strip():
        kept["description"] = one_line(found["description"], 300)
    if _is_scalar(found.get("default")) and found.get("default") is not None:
        kept["default"] = found["default"]
    return {**kept, **_limits(found)}


def _is_pattern(text: str) -> bool:
    """Return whether a regular expression is one to Python, too, which most tools are made of."""
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


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
