"""What somebody is about to do, as the call path hands it to policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from host.domain.principal import Principal
from host.policy.path import Ground
from host.policy.provenance import Provenance

Kind = Literal[
    "tool",
    "resource",
    "prompt",
    "completion",
    "sampling",
    "elicitation",
    "roots",
    "task",
    "other",
]
"""Kinds of requests that rules tell apart."""

Face = Literal["stdio", "http", "cli", "agent", "workflow", "plugin", "schedule", "web"]
"""Where a call came in."""

KINDS: Mapping[str, Kind] = {
    "tools/call": "tool",
    "resources/read": "resource",
    "resources/subscribe": "resource",
    "prompts/get": "prompt",
    "completion/complete": "completion",
    "sampling/createMessage": "sampling",
    "elicitation/create": "elicitation",
    "roots/list": "roots",
    "tasks/get": "task",
    "tasks/list": "task",
    "tasks/cancel": "task",
    "tasks/result": "task",
    "tasks/update": "task",
}
"""MCP method → kind; any other method is `other`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A request that is to be decided on.

    Attributes:
        method: The MCP method; of a request from a server (sampling, elicitation, roots), too.
        name: Name in the catalog, exactly as it is there; the URI of a resource.
        principal: Who calls, by credential; for a server's request, whose client is asked.
        server: The server's name in host.yaml; None for the host's own.
        tool: The server's own name of it.
        package: What the server is, from `identify_server`; None if that is not known, and for
            servers that a project brought.
        trusted: Whether the server's annotations count.
        annotations: The tool's annotations.
        labels: Labels of the server and the tool, from configuration and definition.
        arguments: The arguments as they will be sent; for other methods the parameters.
        agent: The agent on whose behalf it is made.
        face: Where it came in.
        session: In which session.
        taint: Labels that the session has met.
        provenance: What the session heard and read; None where the host does not hear the user.
        ground: Where the server's paths are.
        now: When, with a zone.
    """

    method: str
    name: str
    principal: Principal
    server: str | None = None
    tool: str | None = None
    package: str | None = None
    trusted: bool = False
    annotations: Mapping[str, Any] = field(default_factory=dict[str, Any])
    labels: frozenset[str] = frozenset()
    arguments: Any = None
    agent: str | None = None
    face: Face = "stdio"
    session: str | None = None
    taint: frozenset[str] = frozenset()
    provenance: Provenance | None = None
    ground: Ground = field(default_factory=Ground)
    now: datetime

    @property
    def kind(self) -> Kind:
        """What kind of request it is."""
        return KINDS.get(self.method, "other")
