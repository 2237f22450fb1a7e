"""The tools of one run: which there are, what they take, what their results say."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Protocol, cast

from pydantic_ai.messages import BinaryContent
from pydantic_ai.tools import ToolDefinition

from host.agents.argument import schema_faults
from host.agents.paging import PAGE_SCHEMA, PAGE_TOOL, Pages
from host.domain.errors import NotFoundError
from host.domain.fixed import fixed
from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import object_member

OWN_PREFIX = "agent__"
HANDOFF = "hand_over_to_"
"""Beginning of the names of the tools by which an agent gives a conversation away."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as an agent sees it."""

    name: str
    description: str
    schema: Json
    reads: bool = False
    repeatable: bool = False

    @property
    def definition(self) -> ToolDefinition:
        """How the model is told of it."""
        return ToolDefinition(
            name=self.name, description=self.description, parameters_json_schema=self.schema
        )


@fixed()
class ToolAnswer:
    """What a call gave.

    Attributes:
        text: What the model reads.
        error: Whether the tool says that it failed.
        structured: The structured part of the result.
        whole: All of a text of which the model reads a page; None where it reads it all.
        files: Pictures and the like in it.
        waits: Whether it was not made, since it still waits for an approval.
    """

    text: str
    error: bool = False
    structured: Any = None
    waits: bool = False
    whole: str | None = None
    files: tuple[BinaryContent, ...] = ()


class Tools(Protocol):
    """Where an agent's tools come from: the gateway, or a recorded run."""

    async def offered(self, wanted: Sequence[str]) -> list[Tool]:
        """Return the tools that match an agent's patterns."""
        ...

    async def call(
        self, name: str, arguments: Json, call_id: str, *, seconds: float | None = None
    ) -> ToolAnswer:
        """Call a tool, and give it up after so many seconds; waits for approvals do not count.

        Raises:
            HostError: The run cannot go on; whatever the model can deal with is an answer.
        """
        ...

    async def take_up(self, run_id: str, call_id: str) -> ToolAnswer | None:
        """Go on with a run that a call had begun before this one was interrupted.

        None where nothing of it was stored, so that nothing in it had begun.
        """
        ...


@dataclass(slots=True)
class Toolbox:
    """The tools that one agent has in one run.

    Attributes:
        tools: By name.
        pages: Long results.
        handoffs: Agents that it may hand over to.
    """

    tools: dict[str, Tool]
    pages: Pages
    handoffs: tuple[str, ...] = ()
    _definitions: list[ToolDefinition] | None = field(default=None, init=False)

    def definitions(self) -> list[ToolDefinition]:
        """Return what the model is told; the tool for paging only once there is something long."""
        if self._definitions is None:
            self._definitions = [tool.definition for tool in self.tools.values()]
            self._definitions += [
                ToolDefinition(
                    name=HANDOFF + name,
                    description=f"Give the whole conversation to the agent {name}.",
                    parameters_json_schema={"type": "object", "properties": {}},
                )
                for name in self.handoffs
            ]
        if not len(self.pages):
            return self._definitions
        page = ToolDefinition(
            name=PAGE_TOOL,
            description="Read more of a long tool result.",
            parameters_json_schema=cast("dict[str, Any]", PAGE_SCHEMA),
        )
        return [*self._definitions, page]

    def handoff(self, name: str) -> str | None:
        """Return the agent that a call hands over to."""
        to = name.removeprefix(HANDOFF)
        return to if to != name and to in self.handoffs else None

    def read_on(self, name: str, arguments: Json | str | None, call_id: str) -> ToolAnswer | None:
        """Return a page of a long result; None where a call asks for something else."""
        if name != PAGE_TOOL or not len(self.pages):
            return None
        checked = self.check(PAGE_TOOL, arguments, call_id)
        if isinstance(checked, str):
            return ToolAnswer(checked, error=True)
        try:
            text = self.pages.page(str(checked["result"]), int(checked["offset"]))
        except NotFoundError as error:
            return ToolAnswer(str(error), error=True)
        return ToolAnswer(text)

    def check(self, name: str, arguments: Json | str | None, call_id: str = "") -> Json | str:
        """Return the arguments of a call as an object, or in a text what is wrong with it."""
        tool = self.tools.get(name)
        paged = name == PAGE_TOOL and len(self.pages)
        schema = cast("Json", PAGE_SCHEMA) if paged else tool.schema if tool else None
        if schema is None:
            names = ", ".join(self.tools) or "none"
            return f"There is no tool {name!r}. The tools are: {names}."
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments) if arguments.strip() else {}
            except ValueError as error:
                return f"The arguments of {name} are not JSON: {error}. Send an object."
        found = as_object(arguments if arguments is not None else {})
        if found is None:
            return f"The arguments of {name} have to be an object."
        faults = schema_faults(schema, found)
        if not faults:
            return found
        told = "\n".join(f"- {fault}" for fault in faults)
        return f"The arguments of {name} do not fit its schema:\n{told}\nCorrect them."


def tools_of(
    definitions: Iterable[Json], wanted: Sequence[str], known: Mapping[str, str]
) -> list[Tool]:
    """Return the tools that patterns choose from a catalog.

    Args:
        definitions: As they are listed.
        wanted: Catalog names, patterns, or names of servers.
        known: Server of each tool.
    """
    chosen: list[Tool] = []
    for definition in definitions:
        name = str(definition.get("name"))
        if any(fits(name, known.get(name, ""), pattern) for pattern in wanted):
            chosen.append(_tool(name, definition))
    return chosen


def fits(name: str, server: str, pattern: str) -> bool:
    """Whether a pattern chooses a tool of a server."""
    return pattern == server or fnmatchcase(name, pattern)


def _tool(name: str, definition: Json) -> Tool:
    annotations = object_member(definition, "annotations")
    reads = annotations.get("readOnlyHint") is True
    return Tool(
        name,
        str(definition.get("description") or ""),
        object_member(definition, "inputSchema") or {"type": "object", "properties": {}},
        reads,
        reads or annotations.get("idempotentHint") is True,
    )
