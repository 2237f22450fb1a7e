"""The registry of the upstream's tools: a definition as it is on the wire, and what runs it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.conformance.upstream.call import Call
from tests.conformance.upstream.hub import JSON

Run = Callable[[Call], Awaitable[JSON]]
"""What a tool does: the call in, a result as it is on the wire out."""

EMPTY: JSON = {"type": "object", "properties": {}}
"""The input schema of a tool without arguments."""


@dataclass(frozen=True)
class UpstreamTool:
    """One tool: `definition` is listed verbatim, `run` answers calls."""

    definition: JSON
    run: Run
    sealed: bool = False

    @property
    def name(self) -> str:
        """The name it is listed and called under."""
        return self.definition["name"]


TOOLS: dict[str, UpstreamTool] = {}
"""Every tool by name, in the order of listing."""


def properties(*required: str, **kinds: str) -> JSON:
    """Return an input schema of simple properties: `properties("text", text="string")`."""
    schema: JSON = {"type": "object", "properties": {n: {"type": k} for n, k in kinds.items()}}
    return {**schema, "required": list(required)} if required else schema


def tool(
    name: str,
    description: str,
    schema: JSON | None = None,
    *,
    sealed: bool = False,
    **fields: object,
) -> Callable[[Run], Run]:
    """Register the decorated function as a tool; `fields` are added to its definition."""

    def register(run: Run) -> Run:
        definition = {
            "name": name,
            "description": description,
            "inputSchema": schema or EMPTY,
            **fields,
        }
        TOOLS[name] = UpstreamTool(definition, run, sealed)
        return run

    return register
