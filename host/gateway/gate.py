"""The gate before every call: what the policy says of it, and what happens when it says `ask`."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from host.approvals.approval import may_answer, name_groups, standing
from host.approvals.board import Ruling
from host.approvals.call import AskedCall
from host.approvals.grant import GrantNeeds
from host.audit.record import Face
from host.domain.errors import (
    ApprovalPendingError,
    DeniedError,
    HostError,
    OutcomeUnknownError,
    PolicyError,
    TaintError,
)
from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from host.domain.protocol import list_member, object_member
from host.gateway.approve import ApprovalStep
from host.gateway.asked import Admission, Asked
from host.gateway.constraint import compile_matchers, matching_holds
from host.gateway.context import rebuild_attempt
from host.gateway.exchange import Exchange
from host.gateway.judgement import Admitted, Edited, Goal, Judgement
from host.gateway.provider import ToolProvider
from host.gateway.record import Judged
from host.gateway.settled import Settlements, likeness_of
from host.gateway.spending import spent
from host.policy.attempt import Attempt
from host.policy.code import Findings, RuleCode
from host.policy.decision import Decision, decide
from host.policy.facts import Facts, call_variables, measure
from host.policy.labels import ABOUT_THE_CALL, ground_of, is_trusted, package_of
from host.policy.limit import Counters
from host.policy.live import LivePolicy, PolicyChange
from host.policy.policy_set import PolicySet
from host.taint.session import SessionTaint
from host.taint.store import TaintStore

REFUSALS = (DeniedError, PolicyError, ApprovalPendingError, OutcomeUnknownError)
"""Why a call is not made; its caller is to read it."""
HEARD: frozenset[Face] = frozenset({"cli", "web"})
"""Faces at which what is said comes from a person, and not from a model."""

_OURS = ("_meta", "requestState", "inputResponses")
"""Members of a request that are not its arguments."""


class Gate:
    """Decides about each call before it is made.

    Args:
        policy: Returns the policy in force for clients that work in a folder, tightened by files.
        counters: What limits are held against.
        on_change: Told when another policy holds.
        approvals: Asks people; without it, what a rule asks about is not called.
        taint: Keeps what sessions have met.
        now: The time, with a zone.
    """

    def __init__(
        self,
        policy: Callable[[Path | None, tuple[Path, ...]], LivePolicy],
        counters: Counters,
        *,
        on_change: Callable[[PolicyChange], None] = lambda change: None,
        approvals: ApprovalStep | None = None,
        taint: TaintStore,
        now: Callable[[], datetime] = lambda: datetime.now(UTC).astimezone(),
    ) -> None:
        self._policy = policy
        self._counters = counters
        self._on_change = on_change
        self._approvals = approvals
        self._taint = taint
        self._now = now
        self.code: RuleCode | None = None
        """Asks rules that plugins declare; without it, no rule in code can tell."""
        self._servers: WeakKeyDictionary[ToolProvider, dict[str, Any]] = WeakKeyDictionary()
        self._settled = Settlements()

    async def consider(self, exchange: Exchange, method: str, goal: Goal) -> Judgement:
        """Return what the policy says of a call, after asking the plugins on which that hangs."""
        said = self.judge(exchange, method, goal)
        facts, policy = said.facts, said.policy
        if facts is None or policy is None:
            return said
        found = await self._ask_code(facts, policy)
        if not found:
            return said
        # All anew: links, limits and the policy itself may have changed while plugins were asked.
        return self.judge(exchange, method, goal, code=found)

    def judge(
        self, exchange: Exchange, method: str, goal: Goal, *, code: Findings | None = None
    ) -> Judgement:
        """Return what the policy says of a call; it reads files if a policy was edited.

        Args:
            exchange: The request.
            method: Its method.
            goal: What is to be called.
            code: What rules of plugins say; those that are not in it cannot tell.
        """
        try:
            policy = self._in_force(exchange.session.folder, exchange.policies)
        except PolicyError as error:
            return Judgement(None, error=error)
        try:
            labels, taint = goal.server.config.labels, self.met(exchange).labels
            settled = self._settled.find(
                goal.server,
                likeness_of(exchange, method, goal, labels=labels, taint=taint),
                policy=policy,
                attempt=lambda: self._attempt(exchange, method, goal),
            )
            if settled is not None and measure(_arguments(method, goal.params))[1] is None:
                return Judgement(settled[0], labels=settled[1])
            attempt = self._attempt(exchange, method, goal)
        except TaintError as error:
            return Judgement(None, error=error)
        facts = policy.gather(attempt, self._counters)
        facts.code.update(code or {})
        return Judgement(decide(facts, policy), facts, facts.labels, policy=policy)

    def _in_force(self, folder: Path | None, further: tuple[Path, ...]) -> PolicySet:
        """Return the policy that holds in a folder and for some agents, as its files are now.

        Raises:
            PolicyError: It cannot be read.
        """
        live = self._policy(folder, further)
        change = live.refresh()
        if change is not None:
            self._on_change(change)
        return live.current

    async def admit(
        self, exchange: Exchange, method: str, goal: Goal, said: Judgement
    ) -> "Admitted":
        """Return once a call may be made, or what its client has to be asked first.

        Raises:
            PolicyError: There is no readable policy.
            DeniedError: The policy or a person says no, or nobody can be asked.
            ApprovalPendingError: Nobody has answered yet.
            OutcomeUnknownError: The same call was cut off by a crash; its caller learns that first.
            RpcError: A stateless client brought back a state that is not good for this.
        """
        if said.error is not None:
            raise said.error
        decision = said.decision
        assert decision is not None  # noqa: S101 - there is one where there is no error
        approvals, asks = self._approvals, decision.action == "ask"
        if decision.action == "deny" or (asks and approvals is None):
            why = ": it needs an approval, and nobody can be asked" if asks else ""
            raise DeniedError(
                f"{goal.name} was not called{why}. {' '.join(decision.reasons)}",
                next_step="`host policy explain` shows which rules decided.",
            )
        spend = self._budget(method, goal, decision) if decision.counters else None
        state = approvals.read_state(exchange, method, goal.params) if approvals else None
        if approvals is None or not (asks or state):  # there is nothing that it could wait for
            self.count(decision)
            return Admitted(said.judged, Admission(goal.params), spend=spend)
        judge = self._judge_again(exchange, method, goal, said)

        async def consider(params: Json) -> Judgement:
            return await self.consider(exchange, method, Edited(goal, params))

        ahead = self._ahead(said) if asks else None
        asked = Asked(exchange, method, goal, said, judge, consider, ahead, state or {})
        admission = await approvals.admit(asked)
        if admission.question is None:
            self.count(decision)
        return Admitted(said.judged_with(admission), admission, asked, spend)

    def _ahead(self, said: Judgement) -> Decision | None:
        """Return what would be said of a call once its caller has met what its own output is."""
        facts, policy = said.facts, said.policy
        if facts is None or policy is None:
            return None
        attempt = facts.attempt
        met = attempt.taint | (facts.labels - ABOUT_THE_CALL)
        if met == attempt.taint:
            return None
        return policy.decide(replace(attempt, taint=met), self._counters)

    async def judge_edit(
        self, caller: Principal, approver: Principal, context: Json, arguments: Json
    ) -> Ruling:
        """Return what the policy says of a call with edited arguments.

        Args:
            caller: Who made the call; its context says more.
            approver: Who edited them, and has to be one who may approve the edited call, too.
            context: See `describe_attempt`.
            arguments: In place of the caller's.
        """
        folder = context.get("folder")
        try:
            policy = self._in_force(
                Path(folder) if isinstance(folder, str) else None,
                tuple(Path(str(file)) for file in list_member(context, "policies")),
            )
        except PolicyError as error:
            return Ruling(str(error))
        attempt = rebuild_attempt(context, arguments)
        if attempt.principal.id != caller.id:
            return Ruling("They belong to another caller.")
        facts = policy.gather(attempt, self._counters)
        facts.code.update(await self._ask_code(facts, policy))
        decision = decide(facts, policy)
        if decision.action == "ask" and not may_answer(decision.approvers, standing(approver)):
            wanted = f"a call with these has to be approved by {name_groups(decision.approvers)}."
            return Ruling(f"{wanted} {' '.join(decision.reasons)}")
        if decision.action == "deny":
            return Ruling(" ".join(decision.reasons))
        needs = GrantNeeds(
            every_time=decision.every_time,
            constrained=decision.constrained,
            destructive="destructive" in facts.labels,
        )
        return Ruling(needs=needs)

    async def _ask_code(self, facts: Facts, policy: PolicySet) -> Findings:
        """Return what the rules in code say on which a decision hangs."""
        names = policy.open_code(facts) if self.code is not None else ()
        if self.code is None or not names:
            return {}
        call, principal = call_variables(facts), facts.attempt.principal.id
        return await self.code.answer(names, call, principal=principal)

    def holds(self, matchers: Json, call: AskedCall) -> bool:
        """Whether a grant's matchers are about a call; where that is not sure, they are not."""
        try:
            table = self._policy(None, ()).current.table
            matching = compile_matchers(matchers)
        except HostError:
            return False
        return matching_holds(matching, rebuild_attempt(call.context, call.arguments), table)

    async def succeed(self, admitted: "Admitted", result: Json) -> Json:
        """Note how a call ended, and return its result as the client gets it."""
        if admitted.spend is not None:
            admitted.spend(result)
        if self._approvals is None or admitted.asked is None:
            return result
        asked = admitted.asked
        return await self._approvals.close_round(
            asked, admitted.admission, result, params=asked.goal.params
        )

    async def fail(self, admitted: "Admitted", outcome: str) -> None:
        """Note that an approved call failed."""
        if self._approvals is not None:
            await self._approvals.fail(admitted.admission, outcome)

    def _judge_again(
        self, exchange: Exchange, method: str, goal: Goal, said: Judgement
    ) -> Callable[[Json], Judgement]:
        """Return what judges once more; rules in code are not asked about other arguments."""

        def judge(params: Json) -> Judgement:
            same = params is goal.params  # by identity: 1, 1.0 and True are equal in Python
            code = said.facts.code if same and said.facts is not None else None
            return self.judge(exchange, method, Edited(goal, params), code=code)

        return judge

    def count(self, decision: Decision) -> None:
        """Hold a call that is about to be made against the limits that concern it."""
        for key in decision.counters:
            if key.measure == "calls":
                self._counters.add(key)

    def _budget(self, method: str, goal: Goal, decision: Decision) -> Callable[[Json], None] | None:
        """Return what holds a call's cost against the budgets that concern it, once it ended."""
        keys = [key for key in decision.counters if key.measure != "calls"]

        def spend(result: Json) -> None:
            for key in keys:
                used = spent(key.measure, method, goal.params, result, own=goal.server.own)
                if used:
                    self._counters.add(key, used)

        return spend if keys else None

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
