"""The gate before every call: what the policy says of it, and what happens when it says `ask`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from host.audit.record import Face
from host.domain.errors import DeniedError, PolicyError, TaintError
from host.domain.jsonrpc import Json
from host.domain.protocol import object_member
from host.gateway.exchange import Exchange
from host.gateway.provider import ToolProvider
from host.gateway.record import Judged
from host.policy.attempt import Attempt
from host.policy.decision import Decision, decide
from host.policy.facts import Facts
from host.policy.labels import ground_of, is_trusted, package_of
from host.policy.limit import Counters
from host.policy.live import LivePolicy, PolicyChange
from host.taint.session import SessionTaint
from host.taint.store import TaintStore

HEARD: frozenset[Face] = frozenset({"cli", "web"})
"""Faces at which what is said comes from a person, and not from a model."""

_OURS = ("_meta", "requestState", "inputResponses")
"""Members of a request that are not its arguments."""


class Goal(Protocol):
    """What the gate needs of a call's target."""

    @property
    def server(self) -> ToolProvider:
        """Who is to serve it."""
        ...

    @property
    def name(self) -> str:
        """What the client called it."""
        ...

    @property
    def original(self) -> str:
        """What the server calls it."""
        ...

    @property
    def params(self) -> Json:
        """The parameters."""
        ...

    @property
    def definition(self) -> Json:
        """How it is listed."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of server and tool."""
        ...


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the policy says of one call.

    Attributes:
        decision: Allow, ask or deny, and why; None if there is no readable policy.
        facts: What it was decided from.
        error: Why there is no decision, so that the call is not made.
    """

    decision: Decision | None
    facts: Facts | None = None
    error: PolicyError | None = None

    @property
    def judged(self) -> Judged:
        """The part of it that is recorded."""
        if self.decision is None or self.facts is None:
            return Judged("deny")
        return Judged(self.decision.action, self.decision.rule, self.facts.labels)


class Gate:
    """Decides about each call before it is made.

    Args:
        policy: Returns the policy in force for clients that work in a folder.
        counters: What limits are held against.
        on_change: Told when another policy holds.
        taint: Keeps what sessions have met.
        now: The time, with a zone.
    """

    def __init__(
        self,
        policy: Callable[[Path | None], LivePolicy],
        counters: Counters,
        *,
        on_change: Callable[[PolicyChange], None] = lambda change: None,
        taint: TaintStore,
        now: Callable[[], datetime] = lambda: datetime.now(UTC).astimezone(),
    ) -> None:
        self._policy = policy
        self._counters = counters
        self._on_change = on_change
        self._taint = taint
        self._now = now
        self._servers: WeakKeyDictionary[ToolProvider, dict[str, Any]] = WeakKeyDictionary()

    def judge(self, exchange: Exchange, method: str, goal: Goal) -> Judgement:
        """Return what the policy says of a call; it reads files if a policy was edited."""
        live = self._policy(exchange.session.folder)
        change = live.refresh()
        if change is not None:
            self._on_change(change)
        try:
            policy = live.current
        except PolicyError as error:
            return Judgement(None, error=error)
        try:
            attempt = self._attempt(exchange, method, goal)
        except TaintError as error:
            return Judgement(None, error=error)
        facts = policy.gather(attempt, self._counters)
        return Judgement(decide(facts, policy), facts)

    async def admit(self, exchange: Exchange, method: str, goal: Goal, said: Judgement) -> Judged:
        """Return once a call may be made.

        Raises:
            PolicyError: There is no readable policy.
            DeniedError: The policy says no, or asks and nobody can be asked.
        """
        if said.error is not None:
            raise said.error
        decision = said.decision
        assert decision is not None  # noqa: S101 - there is one where there is no error
        if decision.action == "deny":
            raise DeniedError(
                f"{goal.name} was not called. {' '.join(decision.reasons)}",
                next_step="`host policy explain` shows which rules decided.",
            )
        if decision.action == "ask":
            raise DeniedError(
                f"{goal.name} was not called: it needs an approval, and nobody can be asked. "
                f"{' '.join(decision.reasons)}",
                next_step="`host policy explain` shows which rules decided.",
            )
        self.count(decision)
        return said.judged

    def count(self, decision: Decision) -> None:
        """Hold a call that is about to be made against the limits that concern it."""
        for key in decision.counters:
            self._counters.add(key)

    def met(self, exchange: Exchange) -> SessionTaint:
        """Return what the caller has met: the run's, where one calls, else the principal's."""
        return exchange.taint or SessionTaint(self._taint, exchange.session.principal.id)

    def begin_run(self, exchange: Exchange, run: str) -> SessionTaint:
        """Return what a run that a request starts has met; the calls that it makes carry it.

        Where a person starts it at the terminal or in the browser, what they say to it is the
        user's word. Where a client's model does, the host does not hear the user.

        Args:
            exchange: The request; for a run inside a run, the outer run's call.
            run: The run's id; the same continues it.

        Raises:
            TaintError: It cannot be kept, so the run must not begin.
        """
        heard = exchange.depth == 0 and exchange.face in HEARD
        return self.met(exchange).child(f"run:{run}", heard=heard)

    def end_run(self, exchange: Exchange, run: SessionTaint) -> None:
        """Let the caller have met what a run has, before it gets the run's result.

        Raises:
            TaintError: It cannot be kept, so the result must not be handed out.
        """
        self.met(exchange).merge(run)
        run.end()

    def meet(self, exchange: Exchange, goal: Goal, judged: Judged) -> None:
        """Keep that a call is being made, whose output may be a stranger's or private.

        Raises:
            TaintError: It cannot be kept, so the call must not be made.
        """
        self.met(exchange).meet(judged.labels, source=goal.name)

    def check_paths(self, goal: Goal, said: Judgement) -> None:
        """Look once more where the paths of a call lead, after whatever it had to wait for.

        Raises:
            DeniedError: A link was swapped since the decision.
        """
        moved = said.facts.moved_paths() if said.facts is not None and said.facts.paths else []
        if moved:
            raise DeniedError(
                f"{goal.name} was not called: {', '.join(moved)} leads elsewhere than when it was "
                "decided about.",
                next_step="Call it again to have it decided anew.",
            )

    def reached(
        self, exchange: Exchange, method: str, goal: Goal, judged: Judged, result: Json
    ) -> None:
        """Keep what a result says, before the caller gets it."""
        self.met(exchange).reached(
            result,
            judged.labels,
            server=goal.server.name,
            arguments=_arguments(method, goal.params),
        )

    def _attempt(self, exchange: Exchange, method: str, goal: Goal) -> Attempt:
        session = exchange.session
        met = self.met(exchange)
        return Attempt(
            method=method,
            name=goal.name,
            principal=session.principal,
            server=goal.server.name,
            tool=goal.original,
            annotations=object_member(goal.definition, "annotations"),
            labels=frozenset(goal.labels),
            arguments=_arguments(method, goal.params),
            agent=exchange.agent,
            face=exchange.face,
            session=session.id,
            taint=met.labels,
            provenance=met.ledger,
            now=self._now(),
            **self._about(goal.server),
        )

    def _about(self, server: ToolProvider) -> dict[str, Any]:
        """Return what a server's configuration tells policy; worked out once."""
        about = self._servers.get(server)
        if about is None:
            config = server.config
            about = self._servers[server] = {
                "package": f"host:{server.name}" if server.own else package_of(config),
                "trusted": is_trusted(config),
                "ground": ground_of(config),
            }
        return about


def _arguments(method: str, params: Json) -> Any:  # noqa: ANN401 - any JSON
    if method == "tools/call":
        return params.get("arguments") or {}
    return {key: value for key, value in params.items() if key not in _OURS}
