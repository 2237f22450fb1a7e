"""Decides on a call from its facts and a policy, and explains how; nothing here reads or waits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from host.domain.errors import PolicyError
from host.policy.answer import STRICTNESS, Action, Answer, strictest
from host.policy.attempt import Kind
from host.policy.facts import Facts
from host.policy.index import Candidates
from host.policy.limit import CounterKey
from host.policy.rule import Matching, Rule

Verdict = Literal["applies", "does not apply", "excepted", "cannot tell"]
"""How a rule stands to a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to become of a call.

    Attributes:
        action: Allowed, to be asked about, or denied.
        rule: Id of the rule that decided; None if it was the default, or if nothing could decide.
        reasons: Why, in sentences for callers and approvers; the deciding rule's first.
        rules: Ids of all rules with the deciding action.
        approvers: Groups of `role:…`, `user:…`, `client:…`; who answers has to be in each group.
        every_time: Whether a remembered approval must not answer.
        constrained: Whether only one may answer that says something of the arguments.
        counters: What to count once the call is made, whichever rule decided.
        policy: Digest of the policy.
    """

    action: Action
    rule: str | None
    reasons: tuple[str, ...]
    rules: tuple[str, ...] = ()
    approvers: tuple[frozenset[str], ...] = ()
    every_time: bool = False
    constrained: bool = False
    counters: tuple[CounterKey, ...] = ()
    policy: str


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """How one rule stands to a call.

    Attributes:
        rule: The rule's id.
        action: What it says; of a rule over its limit, what is then.
        verdict: How it stands.
        why: What decided that, in the order in which it was asked.
        place: File and line.
    """

    rule: str
    action: Action
    verdict: Verdict
    why: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision, and how each rule of the policy stands to it."""

    decision: Decision
    rules: tuple[RuleTrace, ...]


class DecidingPolicy(Protocol):
    """What a decision needs of a policy."""

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules."""
        ...

    @property
    def default(self) -> Action:
        """What happens to a call that no rule is about."""
        ...

    @property
    def digest(self) -> str:
        """By which the policy is known."""
        ...

    @property
    def candidates(self) -> Callable[[Kind, str, str | None], Candidates]:
        """Returns the rules that may be about a kind of request, a name and a server."""
        ...


def decide(facts: Facts, policy: DecidingPolicy) -> Decision:
    """Return what is to become of a call: deny over ask over allow, whatever the rules' order.

    Raises:
        PolicyError: The facts were gathered for another policy.
    """
    if facts.policy != policy.digest:
        raise PolicyError(
            "The policy changed after the facts were gathered.", next_step="Gather them again."
        )
    if facts.problems:
        return Decision(action="deny", rule=None, reasons=facts.problems, policy=policy.digest)
    attempt = facts.attempt
    applied: list[tuple[Rule, Action]] = []
    counters: list[CounterKey] = []
    for rule in policy.candidates(facts.kind, attempt.name, attempt.server).possible(facts):
        actions = rule.actions(facts)
        if actions:
            applied.append((rule, actions[0]))
        if rule.limited and rule.answer(facts) is not Answer.NO:
            counters.extend(rule.counters(attempt))
    return _conclude(applied, tuple(counters), facts, policy)


def settle(facts: Facts, policy: DecidingPolicy) -> Decision | None:
    """Return what is to become of all calls like this one; None if that may differ.

    Args:
        facts: Those of a call without arguments: who makes it and of which tool.
        policy: The policy.
    """
    applied: list[tuple[Rule, Action]] = []
    attempt = facts.attempt
    for rule in policy.candidates(facts.kind, attempt.name, attempt.server).rules:
        settled = rule.settled(facts)
        if settled is None:
            return None
        actions = rule.actions(facts) if settled is Answer.YES else ()
        if actions:
            applied.append((rule, actions[0]))
    return _conclude(applied, (), facts, policy)


def _conclude(
    applied: list[tuple[Rule, Action]],
    counters: tuple[CounterKey, ...],
    facts: Facts,
    policy: DecidingPolicy,
) -> Decision:
    own: list[Action] = [said for rule, said in applied if rule.level != "project"]
    # A project's rule comes on top of the default; another's, such as an `ask`, replaces a `deny`.
    base = strictest(own, policy.default)
    action = strictest([base, *(said for _, said in applied)], base)
    deciding = sorted((rule for rule, said in applied if said == action), key=lambda one: one.id)
    if not deciding:
        reason = f"No rule is about this {facts.kind}, and the default is {action}."
        return Decision(
            action=action, rule=None, reasons=(reason,), counters=counters, policy=policy.digest
        )
    return Decision(
        action=action,
        rule=deciding[0].id,
        reasons=tuple(dict.fromkeys(_reason(rule, facts) for rule in deciding)),
        rules=tuple(rule.id for rule in deciding),
        approvers=tuple(
            frozenset(rule.config.approvers)
            for rule in deciding
            if action == "ask" and rule.config.approvers
        ),
        every_time=action == "ask" and any(rule.config.every_time is True for rule in deciding),
        constrained=action == "ask" and any(rule.config.every_time for rule in deciding),
        counters=counters,
        policy=policy.digest,
    )


def _reason(rule: Rule, facts: Facts) -> str:
    limit = rule.exceeded(facts)
    if limit is not None:
        return f"Rule {rule.id}: more than {limit.most:g} {limit.of} per {limit.per}."
    said = rule.config.because or "it is about this call"
    if rule.answer(facts) is Answer.UNKNOWN:
        said += _unsure(rule, facts)
    return f"Rule {rule.id}: {said.removesuffix('.')}."


def _unsure(rule: Rule, facts: Facts) -> str:
    problems = [facts.code.get(name) for name in rule.code]
    why = "; ".join(dict.fromkeys(one for one in problems if isinstance(one, str)))
    return f" (it cannot tell whether it is about this call{why and f': {why}'}, so it counts)"


def explain(facts: Facts, policy: DecidingPolicy) -> Explanation:
    """Return the decision and how each rule stands to it, those that decide first."""
    decision = decide(facts, policy)
    if facts.problems:
        return Explanation(decision, ())
    attempt = facts.attempt
    asked = {rule.id for rule in policy.candidates(facts.kind, attempt.name, attempt.server).rules}
    traces = [
        _trace(rule, facts) if rule.id in asked else _unasked(rule, facts) for rule in policy.rules
    ]
    order = {name: index for index, name in enumerate(_ORDER)}
    return Explanation(
        decision,
        tuple(
            sorted(traces, key=lambda one: (order[one.verdict], -STRICTNESS[one.action], one.rule))
        ),
    )


_ORDER: tuple[Verdict, ...] = ("applies", "cannot tell", "excepted", "does not apply")


def _place(rule: Rule) -> str:
    return f"{rule.file}:{rule.line}" if rule.line else str(rule.file or "")


def _unasked(rule: Rule, facts: Facts) -> RuleTrace:
    """Explain a rule that the index ruled out: by kind, name or server."""
    for condition in rule.matching.conditions:
        indexed = condition.what.startswith(("method:", "name:", "server:"))
        if indexed and condition.check(facts) is Answer.NO:
            why = (_line(condition.what, "no", condition.shown and condition.shown(facts)),)
            return RuleTrace(rule.id, rule.config.action, "does not apply", why, _place(rule))
    raise AssertionError(f"{rule.id} was left out of the index")


def _trace(rule: Rule, facts: Facts) -> RuleTrace:
    why = _why(rule.matching, facts)
    matched = rule.matching.answer(facts)
    answer = rule.answer(facts)
    verdict: Verdict
    if matched is Answer.NO:
        verdict = "does not apply"
    elif answer is Answer.NO:
        verdict = "excepted"
    else:
        verdict = "applies" if answer is Answer.YES else "cannot tell"
    if matched is not Answer.NO:
        for number, exception in enumerate(rule.exceptions, start=1):
            why.extend(f"except {number}: {line}" for line in _why(exception, facts))
    said = rule.actions(facts)
    if answer is Answer.UNKNOWN:
        why.append(f"it counts as {'applying' if said else 'not applying'}, the stricter")
    if answer is Answer.YES and not said:
        why.append("a project's policy can only tighten, so its 'allow' has no effect")
    limit = rule.exceeded(facts) if answer is not Answer.NO else None
    if limit is not None:
        why.append(f"more than {limit.most:g} {limit.of} per {limit.per}")
    action = said[0] if said else rule.config.action
    return RuleTrace(rule.id, action, verdict, tuple(why), _place(rule))


def _why(matching: Matching, facts: Facts) -> list[str]:
    lines: list[str] = []
    for condition in matching.conditions:
        answer = condition.check(facts)
        word = {Answer.YES: "yes", Answer.NO: "no", Answer.UNKNOWN: "cannot tell"}[answer]
        lines.append(_line(condition.what, word, condition.shown and condition.shown(facts)))
        if answer is Answer.NO:
            break
    return lines


def _line(what: str, word: str, shown: str | None) -> str:
    return f"{what} → {word}" + (f" ({shown})" if shown else "")
