"""A call that a rule asks about, as plain data: an approval is bound to it."""

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from host.domain.jsonrpc import Json
from host.domain.principal import Principal


@dataclass(frozen=True, kw_only=True)
class AskedCall:
    """A call that somebody has to say yes to.

    Attributes:
        principal: Who calls.
        method: The MCP method.
        name: Name in the catalog, or the URI of a resource.
        arguments: As they would be sent.
        definition: Digest of the definition in force; empty where there is none.
        schema: The tool's input schema, by which edited arguments are checked.
        session: The session it came in.
        agent: The agent on whose behalf it is made; empty where there is none.
        rule: The rule that asks.
        reasons: Why it asks, in sentences.
        approvers: Groups of `role:…`, `user:…`, `client:…`; who answers has to be in each group.
        every_time: Whether no grant may answer.
        constrained: Whether only a grant may answer that says something of the arguments.
        destructive: Whether a grant needs a constraint, an expiry and a count.
        context: What the policy needs to judge edited arguments; kept sealed, never shown.
    """

    principal: Principal
    method: str
    name: str
    arguments: Json
    definition: str = ""
    schema: Json | None = None
    session: str = ""
    agent: str = ""
    rule: str | None = None
    reasons: tuple[str, ...] = ()
    approvers: tuple[frozenset[str], ...] = ()
    every_time: bool = False
    constrained: bool = False
    destructive: bool = False
    context: Json = field(default_factory=dict[str, Any])

    @cached_property
    def arguments_digest(self) -> str:
        """Digest of the arguments."""
        return digest_json(self.arguments)

    @cached_property
    def digest(self) -> str:
        """Digest of all that an approval is bound to: who calls what with which arguments."""
        return digest_json(
            {
                "principal": [self.principal.user, self.principal.client],
                "agent": self.agent,
                "method": self.method,
                "name": self.name,
                "definition": self.definition,
                "arguments": self.arguments_digest,
            }
        )


def digest_json(value: Json) -> str:
    """Return a digest that is the same for the same JSON, whatever the order of its members."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
