"""One approval as it stands, who may answer it, and what an answer says."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from host.approvals.grant import GrantTerms
from host.domain.jsonrpc import Json
from host.domain.principal import Principal

State = Literal["pending", "approved", "denied", "expired", "withdrawn", "consumed", "unknown"]
"""pending → approved | denied | expired | withdrawn; approved → consumed | expired | withdrawn;
consumed → unknown, where a crash left no outcome."""

Channel = Literal["elicitation", "terminal", "cli", "tool", "web"]
"""By which way somebody answered."""

DESK = Principal("host", "approvals", role="admin")
"""As whom the host itself reads and answers rows, once it has checked who may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """An approval, without the arguments that it is about.

    Attributes:
        id: Short, to be typed.
        caller: Who called: user and client.
        digest: Digest of the whole call; an answer names it.
        arguments: Digest of the arguments.
        approver: Who answered.
        standing: What a rule may call them.
        constrained: Whether a grant has to say something of the arguments.
        edited: Digest of the arguments that the approver put in their place.
        outcome: How the approved call ended; None while that is open.
    """

    id: str
    user: str
    client: str
    agent: str
    session: str
    method: str
    name: str
    definition: str
    arguments: str
    digest: str
    rule: str | None
    reasons: tuple[str, ...]
    approvers: tuple[frozenset[str], ...]
    every_time: bool
    destructive: bool
    state: State
    created: datetime
    expires: datetime
    answered: datetime | None
    approver: str | None
    channel: str | None
    reason: str | None
    edited: str | None
    outcome: str | None
    standing: frozenset[str] = frozenset()
    constrained: bool = False

    @property
    def caller(self) -> str:
        """Who called."""
        return f"{self.user}/{self.client}"

    def show(self) -> Json:
        """Return it for `--json`, webhooks and records."""
        return {
            "id": self.id,
            "state": self.state,
            "caller": self.caller,
            "agent": self.agent or None,
            "method": self.method,
            "name": self.name,
            "rule": self.rule,
            "reasons": list(self.reasons),
            "approvers": [sorted(group) for group in self.approvers],
            "every_time": self.every_time,
            "constrained": self.constrained,
            "destructive": self.destructive,
            "digest": self.digest,
            "arguments_digest": self.arguments,
            "definition": self.definition or None,
            "created": self.created.isoformat(),
            "expires": self.expires.isoformat(),
            "answered": self.answered.isoformat() if self.answered else None,
            "approver": self.approver,
            "channel": self.channel,
            "reason": self.reason,
            "edited_digest": self.edited,
            "outcome": self.outcome,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What somebody says to an approval.

    Attributes:
        approve: Yes or no.
        by: Who says so.
        channel: By which way.
        digest: Digest of the call that they saw.
        reason: For the caller to read.
        arguments: What is to be sent in place of the caller's arguments.
        grant: What is to be remembered beyond this call.
    """

    approve: bool
    by: Principal
    channel: Channel
    digest: str
    reason: str | None = None
    arguments: Json | None = None
    grant: GrantTerms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What lets a call through.

    Attributes:
        arguments: To be sent; the approver may have edited them.
        approval: Id of the approval that was used up.
        grant: Id of the grant that was used.
        approver: Who said yes.
        channel: By which way.
    """

    arguments: Json
    approval: str | None = None
    grant: str | None = None
    approver: str | None = None
    channel: str | None = None
    edited: bool = False

    def detail(self) -> Json:
        """Return it for the record."""
        found: dict[str, Any] = {
            "approval": self.approval,
            "grant": self.grant,
            "approver": self.approver,
            "channel": self.channel,
            "edited": self.edited or None,
        }
        return {key: value for key, value in found.items() if value is not None}


def standing(who: Principal) -> frozenset[str]:
    """Return what a rule may call somebody; an admin may do what an approver may."""
    own = {f"role:{who.role}", f"user:{who.user}", f"client:{who.client}"}
    return frozenset(own | {"role:approver"} if who.role == "admin" else own)


def may_answer(groups: Iterable[frozenset[str]], own: frozenset[str]) -> bool:
    """Return whether somebody of some standing is in each group that the rules name.

    Where no rule says who, anybody may whose channel counts.
    """
    return all(not group.isdisjoint(own) for group in groups)


def name_groups(groups: Iterable[frozenset[str]]) -> str:
    """Return in words who has to answer: somebody of each group."""
    return " and ".join(" or ".join(sorted(group)) for group in groups)
