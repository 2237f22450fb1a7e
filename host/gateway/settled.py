"""Decisions that hold for all calls of a tool by a caller, so that they are made once."""

from collections.abc import Callable, Hashable
from typing import TypeAlias
from weakref import WeakKeyDictionary

from host.gateway.exchange import Exchange
from host.gateway.provider import ToolProvider
from host.gateway.record import Recordable
from host.policy.attempt import Attempt
from host.policy.decision import Decision
from host.policy.policy_set import PolicySet

REMEMBERED = 2_000
"""Decisions that are kept for each server; when there are more, all are forgotten."""

Settled: TypeAlias = tuple[Decision, frozenset[str]]
"""A decision, and the labels that it went by."""


class Settlements:
    """What is allowed to whom whatever the arguments and the time.

    Which rules are about a caller and a tool is worked out once, and again when one of them, the
    policy, or what the caller has met is another.
    """

    def __init__(self) -> None:
        self._known: WeakKeyDictionary[ToolProvider, dict[Hashable, Settled | None]] = (
            WeakKeyDictionary()
        )

    def find(
        self,
        server: ToolProvider,
        likeness: Hashable | None,
        *,
        policy: PolicySet,
        attempt: Callable[[], Attempt],
    ) -> Settled | None:
        """Return that all calls like one are allowed; None where that one has to be looked at.

        Args:
            server: Who is to serve it.
            likeness: What such calls have in common, see `likeness_of`.
            policy: The policy in force.
            attempt: Returns the call as policy sees it.
        """
        if likeness is None:
            return None
        key = (policy.digest, likeness)
        known = self._known.get(server)
        if known is None:
            known = self._known[server] = {}
        if key not in known:
            if len(known) >= REMEMBERED:
                known.clear()
            found = policy.settle(attempt())
            known[key] = found if found is not None and found[0].action == "allow" else None
        return known[key]


def likeness_of(
    exchange: Exchange, method: str, goal: Recordable, *, labels: Hashable, taint: frozenset[str]
) -> Hashable | None:
    """Return all that rules ask about a call except arguments, time and limits.

    Args:
        exchange: The request.
        method: Its method.
        goal: What is to be called.
        labels: Those that the configuration gives the server.
        taint: What the caller has met.

    Returns:
        None for a call that comes back with an answer, or whose tool's definition is not known.
    """
    if goal.digest is None or "requestState" in goal.params:
        return None
    who = exchange.session.principal
    return (method, goal.name, goal.digest, labels, who, exchange.agent, exchange.face, taint)
