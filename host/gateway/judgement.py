"""What the gate says of a call, and what it has to know of the call's target."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from host.domain.errors import PolicyError
from host.domain.fixed import fixed
from host.domain.jsonrpc import Json
from host.gateway.asked import Admission, Asked
from host.gateway.provider import ToolProvider
from host.gateway.record import Judged, Recordable
from host.policy.decision import Decision
from host.policy.facts import Facts
from host.policy.policy_set import PolicySet


class Goal(Recordable, Protocol):
    """What the gate needs of a call's target: what is recorded of it, and who is to serve it."""

    @property
    def server(self) -> ToolProvider:
        """Who is to serve it."""
        ...


@fixed()
class Judgement:
    """What the policy says of one call.

    Attributes:
        decision: Allow, ask or deny, and why; None if there is no readable policy.
        facts: What it was decided from; None where the decision is that about all such calls.
        labels: The labels that rules went by.
        error: Why there is no decision, so that the call is not made.
        policy: Which policy said so.
    """

    decision: Decision | None
    facts: Facts | None = None
    labels: frozenset[str] = frozenset()
    error: PolicyError | None = None
    policy: PolicySet | None = None

    @property
    def judged(self) -> Judged:
        """The part of it that is recorded."""
        if self.decision is None:
            return Judged("deny")
        return Judged(self.decision.action, self.decision.rule, self.labels)

    def judged_with(self, admission: Admission) -> Judged:
        """Return what is recorded, with the approval or grant that let the call through."""
        passed = admission.passed
        return (
            self.judged
            if passed is None
            else replace(self.judged, approval=passed.approval or passed.grant)
        )


@fixed()
class Admitted:
    """A call that may be made, or about which its client has to be asked first.

    Attributes:
        judged: The part that is recorded.
        admission: What it is made with.
        asked: What its end has to be told; None where nobody can be asked.
        spend: Holds what its result says that it cost against budgets; None where none concern it.
    """

    judged: Judged
    admission: Admission
    asked: Asked | None = None
    spend: Callable[[Json], None] | None = None


class Edited:
    """A target with other parameters."""

    def __init__(self, goal: Goal, params: Json) -> None:
        self.server, self.name, self.original = goal.server, goal.name, goal.original
        self.upstream = goal.upstream
        self.definition, self.labels, self.digest = goal.definition, goal.labels, goal.digest
        self.params = params
