"""A grant: an approval that is remembered, with a scope, limits and a way to take it back."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from host.domain.errors import AccessError
from host.domain.jsonrpc import Json

Scope = Literal["session", "agent", "always"]
"""For whom it holds: the caller in one session, one agent of the caller's, the caller for good."""

MOST_USES = 10_000
"""Largest use count of a grant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantTerms:
    """What is to be remembered of an approval.

    Attributes:
        scope: For whom it holds.
        exact: Whether it holds for exactly the approved arguments only.
        matchers: JSON pointer → typed matcher of a policy's `arguments:`; arguments that no
            pointer names must be absent.
        expires: Seconds for which it holds; None is for as long as its pin and its scope.
        most: Most calls that it lets through; None is any number.
    """

    scope: Scope
    exact: bool = True
    matchers: Json | None = None
    expires: float | None = None
    most: int | None = None

    @property
    def says_arguments(self) -> bool:
        """Whether it says anything of the arguments."""
        return self.exact or bool(self.matchers)

    def check(self, needs: "GrantNeeds", *, agent: str, session: str) -> None:
        """Raise AccessError where a call like this cannot be granted like that."""
        if needs.every_time:
            raise _refusal(
                "The rule asks every time, so this cannot be granted.", "Approve it once."
            )
        if self.scope == "agent" and not agent:
            raise _refusal("No agent made this call.", "Grant it for this session or always.")
        if self.scope == "session" and not session:
            raise _refusal("This call came in no session.", "Grant it for this agent or always.")
        if self.exact and self.matchers is not None:
            raise _refusal("A grant has either exact arguments or matchers.", "Leave one out.")
        if self.most is not None and not 1 <= self.most <= MOST_USES:
            raise _refusal(f"A count is from 1 to {MOST_USES}.", "Choose another.")
        if self.expires is not None and self.expires <= 0:
            raise _refusal("An expiry lies ahead.", "Write it like 30m or 8h.")
        bounded = self.expires is not None and self.most is not None
        if needs.destructive and not (bounded and self.says_arguments):
            raise _refusal(
                "What may destroy something is granted only for constrained arguments, for a time "
                "and a number of calls.",
                "Give --expires and --count, and --exact or --where.",
            )
        if needs.constrained and not self.says_arguments:
            raise _refusal(
                "A grant for any arguments would not answer the next call: once strangers' words "
                "were read, the policy wants to know with which arguments the tool may be called.",
                "Give --exact or --where.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantNeeds:
    """What a grant for a call has to be.

    Attributes:
        every_time: Whether none may answer.
        constrained: Whether it has to say something of the arguments.
        destructive: Whether it needs that, an expiry and a count.
    """

    every_time: bool = False
    constrained: bool = False
    destructive: bool = False


def _refusal(message: str, next_step: str) -> AccessError:
    return AccessError(message, next_step=next_step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A grant as it stands.

    Attributes:
        arguments: Digest of the only arguments that it holds for; None where it has matchers or
            holds for any.
        approver: Who gave it.
        approval: The approval with which it was given.
    """

    id: str
    user: str
    client: str
    scope: Scope
    session: str
    agent: str
    method: str
    name: str
    definition: str
    arguments: str | None
    matchers: Json | None
    destructive: bool
    created: datetime
    expires: datetime | None
    most: int | None
    used: int
    revoked: datetime | None
    approver: str
    approval: str | None

    def show(self) -> Json:
        """Return it for `--json` and records."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        for name in ("created", "expires", "revoked"):
            fields[name] = fields[name].isoformat() if fields[name] else None
        return fields
