"""JSON Schemas of rules, bounded: no reference leaves the schema, none goes round in a circle."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import jsonschema_rs

from host.policy.answer import Answer
from host.policy.pointer import Json, Located, children

MOST_PARTS = 2_000
"""Most values in a schema, counting each use of a reference in full."""
MOST_REFERENCES = 30
"""Longest chain of references inside references."""


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """A compiled schema."""

    validator: Any

    def match(self, value: Json) -> Answer:
        """Return whether a value is valid."""
        try:
            return Answer.YES if self.validator.is_valid(value) else Answer.NO
        except ValueError:
            return Answer.UNKNOWN


def parse_schema(schema: Mapping[str, Json]) -> JsonSchema:
    """Compile a schema whose patterns run in linear time and which reads nothing from elsewhere.

    Raises:
        ValueError: It is not a schema, too large, refers elsewhere, or refers to itself.
    """
    _Measure(dict(schema)).check()
    try:
        validator = jsonschema_rs.validator_for(
            dict(schema), pattern_options=jsonschema_rs.RegexOptions(), offline=True
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(f"This is not a usable JSON Schema: {first}") from None
    return JsonSchema(validator)


class _Measure:
    """Counts the values of a schema as if each reference were written out."""

    def __init__(self, schema: dict[str, Json]) -> None:
        self._schema = schema
        self._left = MOST_PARTS

    def check(self) -> None:
        """Raise ValueError where the schema is too large, circular or refers elsewhere."""
        self._count(self._schema, trail=())

    def _count(self, value: Json, trail: tuple[str, ...]) -> None:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"The JSON Schema has more than {MOST_PARTS} parts")
        if isinstance(value, dict):
            members = cast("dict[str, Json]", value)
            for name in ("$ref", "$dynamicRef", "$recursiveRef"):
                if name in members:
                    self._follow(members[name], trail)
            if "$id" in members:
                raise ValueError("A JSON Schema in a rule cannot have '$id'")
        for child in children(Located("", value)):
            self._count(child.value, trail)

    def _follow(self, target: Json, trail: tuple[str, ...]) -> None:
        text = target if isinstance(target, str) else ""
        if not text.startswith("#/"):
            raise ValueError(f"The reference {target!r} has to be inside the schema: '#/…'")
        if text in trail:
            raise ValueError(f"The reference {text!r} goes round in a circle")
        if len(trail) >= MOST_REFERENCES:
            raise ValueError(f"References go deeper than {MOST_REFERENCES} levels")
        node: Json = self._schema
        for part in text[2:].split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            node = cast("dict[str, Json]", node).get(key) if isinstance(node, dict) else None
            if node is None:
                raise ValueError(f"The reference {text!r} points to nothing")
        self._count(node, (*trail, text))
