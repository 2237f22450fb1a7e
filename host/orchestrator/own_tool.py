"""One of the host's own tools, and what their schemas are made of."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from host.domain.jsonrpc import Json
from host.gateway.exchange import Exchange

Work = Callable[[Exchange, Json], Awaitable[Json]]

TEXT: Json = {"type": "string"}
RUN: Json = {"run": {**TEXT, "description": "A run's id, or the beginning of it."}}
COUNT: Json = {"type": "integer", "minimum": 1, "maximum": 1000}


@dataclass(frozen=True, slots=True)
class OwnTool:
    """One of the host's own tools.

    Attributes:
        changes: Whether it does more than look.
        output: Schema of its structured result; None where that is not told.
    """

    name: str
    description: str
    work: Work
    properties: Json
    required: tuple[str, ...] = ()
    changes: bool = False
    output: Json | None = None

    @property
    def schema(self) -> Json:
        """What it takes."""
        return {
            "type": "object",
            "properties": self.properties,
            "required": list(self.required),
            "additionalProperties": False,
        }

    def definition(self) -> Json:
        """How it is listed."""
        hints: Json = {
            "readOnlyHint": not self.changes,
            "destructiveHint": False,
            "openWorldHint": False,
        }
        found: Json = {
            "name": self.name,
            "description": self.description,
            "inputSchema": self.schema,
            "annotations": hints,
        }
        if self.output is not None:
            found["outputSchema"] = self.output
        return found
