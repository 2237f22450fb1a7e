"""Measures how often a model meets a JSON Schema: at once, and after being told what is wrong."""

from dataclasses import dataclass
from typing import Any

from pydantic_ai.messages import ModelRequest, UserPromptPart
from pydantic_ai.models import Model

from host.domain.errors import ModelOutputError
from host.models.output import Mode, plan_output, request_json

_PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "email": {"type": ["string", "null"]},
    },
    "required": ["name", "age", "email"],
    "additionalProperties": False,
}
TASKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Ada Lovelace, 36, has no e-mail address.", _PERSON),
    (
        "Name three prime numbers between 10 and 30, in ascending order.",
        {"type": "array", "items": {"type": "integer"}, "minItems": 3, "maxItems": 3},
    ),
    (
        "Is this review good or bad? 'It broke on the first day.'",
        {
            "type": "object",
            "properties": {
                "verdict": {"enum": ["good", "bad", "mixed"]},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            },
            "required": ["verdict", "confidence"],
            "additionalProperties": False,
        },
    ),
    (
        "A team of two: Ada Lovelace, 36, ada@example.com, leads; Alan Turing, 41, no e-mail.",
        {
            "type": "object",
            "properties": {
                "leader": {"$ref": "#/$defs/person"},
                "members": {"type": "array", "items": {"$ref": "#/$defs/person"}, "minItems": 1},
            },
            "required": ["leader", "members"],
            "additionalProperties": False,
            "$defs": {"person": _PERSON},
        },
    ),
    (
        "Order 17: two pens at 1.20 each and one book at 15. Paid by card on 3 May 2026.",
        {
            "type": "object",
            "properties": {
                "order": {"type": "integer"},
                "paid_on": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
                "lines": {
                    "type": "array",
                    "minItems": 2,
                    "maxItems": 2,
                    "items": {
                        "type": "object",
                        "properties": {
                            "what": {"type": "string"},
                            "count": {"type": "integer", "minimum": 1},
                            "price": {"type": "number"},
                        },
                        "required": ["what", "count", "price"],
                        "additionalProperties": False,
                    },
                },
            },
            "required": ["order", "paid_on", "lines"],
            "additionalProperties": False,
        },
    ),
)
"""What is asked, from easy to nested, and the schema of the answer."""


@dataclass(frozen=True, slots=True)
class Compliance:
    """How often a model met its schemas.

    Attributes:
        mode: How it was asked.
        asked: Requests for a value.
        at_once: How many of them were met by the first reply.
        repaired: How many by a later one.
    """

    mode: Mode
    asked: int
    at_once: int
    repaired: int

    @property
    def rate(self) -> float:
        """Share that was met in the end."""
        return (self.at_once + self.repaired) / self.asked


async def measure_compliance(model: Model[Any], mode: Mode, *, repeats: int = 1) -> Compliance:
    """Ask a model for a value of every schema.

    Args:
        model: The model.
        mode: How it is asked.
        repeats: How often each is asked for.

    Raises:
        ModelError: The model could not be asked.
    """
    at_once = repaired = 0
    for text, schema in TASKS * repeats:
        plan = plan_output(model, schema, mode=mode)
        try:
            got = await request_json(model, [ModelRequest([UserPromptPart(text)])], plan)
        except ModelOutputError:
            continue
        at_once += got.repairs == 0
        repaired += got.repairs > 0
    return Compliance(mode, len(TASKS) * repeats, at_once, repaired)
