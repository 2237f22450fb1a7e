"""A call that was decided about, on its way through the approval step."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from host.approvals.approval import Approval, Pass
from host.approvals.call import AskedCall
from host.domain.fixed import fixed
from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import CLIENT_METHODS, object_member
from host.gateway.context import describe_attempt
from host.gateway.exchange import Exchange
from host.gateway.record import Recordable
from host.policy.decision import Decision
from host.policy.facts import Facts


class Judged(Protocol):
    """A decision and what it was made from."""

    @property
    def decision(self) -> Decision | None:
        """The decision; None where there is no readable policy."""
        ...

    @property
    def facts(self) -> Facts | None:
        """The facts."""
        ...


@dataclass(frozen=True)
class Asked:
    """A call on its way, with what was decided about it.

    Attributes:
        said: The decision.
        judge: Decides again, with these parameters.
        consider: As `judge`, and asks the rules in code that it hangs on.
        ahead: What would be decided once the caller has met what this call's output is; None where
            that is nothing new.
        state: What the client brought back, opened; empty where it brought nothing.
        pages: Approvals about whose pages the client was told; it hears when they are over.
    """

    exchange: Exchange
    method: str
    goal: Recordable
    said: Judged
    judge: Callable[[Json], Judged]
    consider: Callable[[Json], Awaitable[Judged]]
    ahead: Decision | None = None
    state: Json = field(default_factory=dict[str, Any])
    pages: list[str] = field(default_factory=list[str])

    @property
    def held(self) -> Json:
        """What the state says of an approval."""
        return object_member(self.state, "approval")

    @cached_property
    def call(self) -> AskedCall:
        """What an approval of it is bound to."""
        decision, facts = self.said.decision, self.said.facts
        assert decision is not None  # noqa: S101 - only a decided call gets here
        assert facts is not None  # noqa: S101
        attempt, goal = facts.attempt, self.goal
        return AskedCall(
            principal=attempt.principal,
            method=self.method,
            # A server's own request is known by its method, and is another one from each server.
            name=f"{attempt.server}:{goal.name}" if self.method in CLIENT_METHODS else goal.name,
            arguments=as_object(attempt.arguments) or {},
            definition=goal.digest or "",
            schema=as_object(goal.definition.get("inputSchema")),
            session=attempt.session or "",
            agent=attempt.agent or "",
            rule=decision.rule,
            reasons=decision.reasons,
            approvers=decision.approvers,
            every_time=decision.every_time,
            # The call's own output is why the next one is asked about: a grant has to be for both.
            constrained=decision.constrained or (self.ahead is not None and self.ahead.constrained),
            destructive="destructive" in facts.labels,
            context=describe_attempt(
                attempt,
                folder=self.exchange.session.folder,
                policies=self.exchange.policies,
            ),
        )

    def recheck(self) -> str | None:
        """Return why a call may not be made although it was approved; None if it may.

        Time has passed: the policy may be another one, and a link may lead elsewhere.
        """
        facts = self.said.facts
        moved = facts.moved_paths() if facts is not None else []
        if moved:
            return f"The path in {', '.join(moved)} leads elsewhere than when it was asked about."
        return refusal(self.judge(self.goal.params))


@fixed()
class Admission:
    """What came of the step.

    Attributes:
        params: What the server is to get.
        passed: What let the call through; None where nobody was asked.
        question: The `input_required` that the client gets in place of a call.
        waits: The approval that it asks about.
    """

    params: Json
    passed: Pass | None = None
    question: Json | None = None
    waits: Approval | None = None


def refusal(said: Judged) -> str | None:
    """Return why a decision is a no; None where it is not."""
    if said.decision is None:
        return "There is no readable policy."
    return " ".join(said.decision.reasons) if said.decision.action == "deny" else None
