"""A compiled rule: what it asks, in which order, and what it says."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from host.policy.answer import Action, Answer, Lean
from host.policy.argument import ArgumentMatch, Demand, compile_argument, only_arguments
from host.policy.attempt import Attempt, Kind
from host.policy.code import coded
from host.policy.condition import Condition, truth
from host.policy.document import LabelsConfig, LimitConfig, MatchConfig, RuleConfig, TimesConfig
from host.policy.expression import parse_expression
from host.policy.facts import Facts, Need, whose
from host.policy.limit import CounterKey
from host.policy.pattern import Names, parse_names
from host.policy.time_window import TimeWindow, parse_clock, parse_days, parse_zone

Level = Literal["shipped", "organisation", "user", "project"]
"""Whose policy a rule is from; a project's can only tighten."""


@dataclass(frozen=True, slots=True)
class Matching:
    """A compiled `match:` or one entry of `except:`."""

    conditions: tuple[Condition, ...]
    arguments: tuple[ArgumentMatch, ...] = ()

    def answer(self, facts: Facts) -> Answer:
        """Return whether all conditions hold; those that come last are asked only if needed."""
        answer = _YES
        for condition in self.conditions:
            found = condition.check(facts)
            if found is not _YES:
                if found is _NO:
                    return found
                answer = found
        return answer

    def settled(self, facts: Facts) -> Answer | None:
        """Return the answer if it lasts; None if arguments or the time may change it."""
        lasts = True
        for condition in self.conditions:
            if not condition.lasting:
                lasts = False
            elif condition.check(facts) is _NO:
                return _NO
        return _YES if lasts else None


_YES, _NO = Answer.YES, Answer.NO


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy in force.

    Attributes:
        id: Unlike any other rule's: `file/name`, with the level in front where that is needed.
        level: Whose it is.
        file: The file that it is in.
        line: Its line there.
        config: As it is written.
        matching: What it is about.
        exceptions: What it is not about.
        limited: Whether it has limits.
        kinds: Kinds of requests; None means all.
        names: Names in the catalog; None means all.
        servers: Names of servers; None means all.
        code: Rules of plugins that it hangs on.
        demand: An expression without whose match the rule is not about a call.
    """

    id: str
    level: Level
    file: Path | None
    line: int | None
    config: RuleConfig
    matching: Matching
    exceptions: tuple[Matching, ...]
    kinds: frozenset[Kind] | None
    names: Names | None
    servers: Names | None
    needs: tuple[Need, ...] = ()
    folders: tuple[str, ...] = ()
    limited: bool = False
    code: tuple[str, ...] = ()
    demand: Demand | None = None

    def answer(self, facts: Facts) -> Answer:
        """Return whether the rule is about a call, exceptions considered."""
        answer = self.matching.answer(facts)
        if answer is Answer.NO or not self.exceptions:
            return answer
        excepted = max(one.answer(facts) for one in self.exceptions)
        return min(answer, Answer(2 - excepted))

    def settled(self, facts: Facts) -> Answer | None:
        """Return whether it is about all such calls, or none; None if that may change."""
        answer = self.matching.settled(facts)
        if answer is _NO:
            return _NO
        exceptions = [one.settled(facts) for one in self.exceptions]
        if _YES in exceptions:
            return _NO
        return None if self.limited or answer is None or None in exceptions else _YES

    def actions(self, facts: Facts) -> tuple[Action, ...]:
        """Return what the rule says about a call: nothing, its action, or what is over a limit.

        Where it cannot tell whether it is about the call, it says what is the stricter.
        """
        answer = self.matching.answer(facts)
        if answer is not _NO and self.exceptions:
            answer = self.answer(facts)
        if answer is _NO:
            return ()
        if self.exceeded(facts) is not None:
            return (self.config.over,)
        action = self.config.action
        if action == "allow" and (answer is Answer.UNKNOWN or self.level == "project"):
            return ()
        return (action,)

    def exceeded(self, facts: Facts) -> LimitConfig | None:
        """Return the first limit that one more call would be over; None if none."""
        for limit, key in zip(self.config.limits, self.counters(facts.attempt), strict=True):
            used = facts.counts.get(key)
            if used is None or used + (limit.of == "calls") > limit.most:
                return limit
            if limit.of != "calls" and used >= limit.most:
                return limit
        return None

    def counters(self, attempt: Attempt) -> tuple[CounterKey, ...]:
        """Return the counters that the rule's limits are held against."""
        return tuple(
            CounterKey(
                self.id,
                limit.of,
                limit.per,
                whose(limit.scope, attempt, session=limit.per == "session"),
            )
            for limit in self.config.limits
        )


def compile_rule(
    config: RuleConfig,
    *,
    identity: str,
    level: Level,
    file: Path | None,
    line: int | None,
    further: Sequence[MatchConfig] = (),
) -> Rule:
    """Compile a rule.

    Args:
        config: As it is written.
        identity: Its id.
        level: Whose it is.
        file: The file it is in.
        line: Its line there.
        further: Exceptions that another file makes.

    Raises:
        ValueError: It names a folder that means nothing here.
    """
    lean = Lean.LOOSEN if config.action == "allow" else Lean.TIGHTEN
    folder = str(file.parent) if file is not None and level == "project" else None
    matching = compile_match(config.match, lean, folder=folder)
    exceptions = tuple(
        compile_match(one, lean.opposite, folder=folder) for one in (*config.exceptions, *further)
    )
    arguments = [one for match in (matching, *exceptions) for one in match.arguments]
    match = config.match
    return Rule(
        id=identity,
        level=level,
        file=file,
        line=line,
        config=config,
        matching=matching,
        exceptions=exceptions,
        kinds=None if match.method is None else frozenset(match.method),
        names=None if match.name is None else parse_names(match.name),
        servers=None if match.server is None else parse_names(match.server),
        needs=tuple(one.need for one in arguments),
        limited=bool(config.limits),
        code=tuple(
            dict.fromkeys(
                one.plugin
                for one in (match, *config.exceptions, *further)
                if one.plugin is not None
            )
        ),
        demand=next((one.demand for one in matching.arguments if one.demand is not None), None),
        folders=tuple(dict.fromkeys(text for one in arguments for text in one.folders)),
    )


def compile_match(config: MatchConfig, lean: Lean, *, folder: str | None) -> Matching:
    """Compile what is to match; the cheap conditions come first, then CEL, code last."""
    arguments = tuple(
        compile_argument(text, one, lean, folder=folder) for text, one in config.arguments.items()
    )
    conditions = [*_of_call(config), *(one.condition for one in arguments)]
    if config.only_arguments:
        conditions.append(only_arguments(tuple(config.arguments)))
    if config.when is not None:
        conditions.append(_when(config.when))
    if config.plugin is not None:
        conditions.append(coded(config.plugin))
    return Matching(tuple(conditions), arguments)


def _of_call(config: MatchConfig) -> Iterable[Condition]:
    if config.method is not None:
        kinds = frozenset(config.method)
        yield truth(
            f"method: {', '.join(config.method)}",
            lambda facts: facts.kind in kinds,
            lambda facts: f"it is {facts.kind}",
        )
    for field, get in _NAMES.items():
        texts: tuple[str, ...] | None = getattr(config, field)
        if texts is not None:
            yield _named(field, texts, get)
    for field, state in _STATES.items():
        wanted: bool | None = getattr(config, field)
        if wanted is not None:
            yield _state(field, state, wanted=wanted)
    yield from _of_session(config)
    if config.annotations:
        yield _annotations(config.annotations)
    if config.times is not None:
        yield _times(config.times)


def _of_session(config: MatchConfig) -> Iterable[Condition]:
    if config.labels is not None:
        yield _labels("labels", config.labels, lambda facts: facts.labels)
    if config.taint is not None:
        yield _labels("taint", config.taint, lambda facts: facts.attempt.taint)
    if config.asked_for is not None:
        yield _asked_for(wanted=config.asked_for)


_NAMES: dict[str, Callable[[Attempt], str | None]] = {
    "server": lambda attempt: attempt.server,
    "name": lambda attempt: attempt.name,
    "tool": lambda attempt: attempt.tool,
    "user": lambda attempt: attempt.principal.user,
    "role": lambda attempt: attempt.principal.role,
    "client": lambda attempt: attempt.principal.client,
    "agent": lambda attempt: attempt.agent,
    "face": lambda attempt: attempt.face,
}
_STATES: dict[str, Callable[[Attempt], bool]] = {
    "attended": lambda attempt: attempt.principal.attended,
    "trusted": lambda attempt: attempt.trusted,
}


def _named(field: str, texts: tuple[str, ...], get: Callable[[Attempt], str | None]) -> Condition:
    match = parse_names(texts).match
    return truth(
        f"{field}: {', '.join(texts)}",
        lambda facts: match(get(facts.attempt)),
        lambda facts: f"it is {get(facts.attempt) or 'none'}",
    )


def _state(field: str, get: Callable[[Attempt], bool], *, wanted: bool) -> Condition:
    return truth(
        f"{field}: {wanted}".lower(),
        lambda facts: get(facts.attempt) is wanted,
        lambda facts: f"it is {get(facts.attempt)}".lower(),
    )


def _asked_for(*, wanted: bool) -> Condition:
    def check(facts: Facts) -> Answer:
        attempt = facts.attempt
        if attempt.provenance is None:
            return Answer.UNKNOWN
        spoken = attempt.provenance.asks_for(attempt.tool or attempt.name)
        return Answer.YES if spoken is wanted else Answer.NO

    return Condition(f"asked_for: {wanted}".lower(), check)


def _labels(field: str, config: LabelsConfig, get: Callable[[Facts], frozenset[str]]) -> Condition:
    some = None if config.any is None else frozenset(config.any)
    every, none = frozenset(config.all), frozenset(config.none)

    def test(facts: Facts) -> bool:
        found = get(facts)
        return (
            (some is None or not some.isdisjoint(found))
            and every <= found
            and none.isdisjoint(found)
        )

    said = [
        f"{word} of {', '.join(names)}"
        for word, names in (("any", config.any), ("all", config.all), ("none", config.none))
        if names
    ]
    return truth(
        f"{field}: {' and '.join(said)}",
        test,
        lambda facts: f"there are {', '.join(sorted(get(facts))) or 'none'}",
    )


def _annotations(wanted: Mapping[str, object]) -> Condition:
    def test(facts: Facts) -> bool:
        found = facts.annotations
        return all(
            name in found and type(found[name]) is type(value) and found[name] == value
            for name, value in wanted.items()
        )

    def shown(facts: Facts) -> str:
        if not facts.attempt.trusted:
            return "the server is not trusted, so its annotations do not count"
        return f"they are {dict(facts.annotations)}"

    return truth(f"annotations: {wanted}", test, shown)


def _times(config: TimesConfig) -> Condition:
    window = TimeWindow(
        days=parse_days(config.days),
        start=parse_clock(config.start),
        end=parse_clock(config.end),
        zone=None if config.zone is None else parse_zone(config.zone),
    )
    days = " ".join(config.days) or "every day"
    return truth(
        f"times: {days} {config.start} to {config.end} {config.zone or ''}".rstrip(),
        lambda facts: window.holds(facts.attempt.now),
        lambda facts: f"it is {facts.attempt.now.astimezone(window.zone):%a %H:%M}",
        lasting=False,
    )


def _when(text: str) -> Condition:
    expression = parse_expression(text)

    def check(facts: Facts) -> Answer:
        context = facts.context.get()
        if context is None:
            return Answer.UNKNOWN
        return expression.match(context, values=facts.size)

    return Condition(f"when: {text}", check)
