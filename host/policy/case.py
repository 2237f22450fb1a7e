"""A policy's own test cases: calls, and what is to become of them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from host.config.document import validate_document
from host.config.yaml import parse_yaml, read_bytes
from host.domain.errors import ConfigError, InvalidConfigError, PolicyError
from host.domain.principal import Principal
from host.policy.attempt import KINDS, Attempt, Kind
from host.policy.case_document import CallConfig, CaseConfig, CasesConfig, SeenConfig
from host.policy.decision import Decision, decide
from host.policy.limit import FixedCounters
from host.policy.path import Ground
from host.policy.pointer import Located, descend
from host.policy.policy_set import PolicySet, load_policy_file
from host.policy.provenance import Origin
from host.policy.source import CASES_SUFFIX


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of a test case.

    Attributes:
        case: The case.
        decision: What was decided.
        problem: How that differs from what was expected; None if it does not.
    """

    case: CaseConfig
    decision: Decision
    problem: str | None


def _policy_of(cases: Path) -> Path:
    stem = cases.name.removesuffix(CASES_SUFFIX)
    names = (cases.with_name(stem + suffix) for suffix in (".yaml", ".yml", ".json"))
    return next((file for file in names if file.is_file()), cases.with_name(f"{stem}.yaml"))


def run_cases(cases: Iterable[CaseConfig], policy: PolicySet) -> list[CaseResult]:
    """Try test cases on a policy."""
    return [_run(case, policy) for case in cases]


def check_file(file: Path) -> list[CaseResult]:
    """Run the test cases of a policy file: its own, and those in `NAME.test.yaml` beside it.

    Args:
        file: A policy file, or the file of its cases.

    Raises:
        PolicyError: One of the files cannot be read.
    """
    only_cases = file.name.endswith(CASES_SUFFIX)
    policy_file = _policy_of(file) if only_cases else file
    beside = policy_file.with_name(policy_file.stem + CASES_SUFFIX)
    policy = load_policy_file(policy_file)
    own = () if only_cases else policy.cases.get(policy_file, ())
    further = load_cases(beside) if beside.is_file() else ()
    return run_cases([*own, *further], policy)


def load_cases(file: Path) -> tuple[CaseConfig, ...]:
    """Return the cases of a file of cases.

    Raises:
        PolicyError: It cannot be read.
    """
    try:
        document = parse_yaml(read_bytes(file), file=file)
        return validate_document(CasesConfig, document).tests
    except ConfigError as error:
        problems = error.problems if isinstance(error, InvalidConfigError) else (error,)
        raise PolicyError(str(error), problems=problems) from None


def attempt_of_case(call: CallConfig) -> Attempt:
    """Return the call that a case describes."""
    server, mark, tool = call.name.partition("__")
    return Attempt(
        method=method_of(call.method),
        name=call.name,
        principal=Principal(
            user=call.user, client=call.client, role=call.role, attended=call.attended
        ),
        server=call.server if call.server is not None else server if mark else None,
        tool=call.tool if call.tool is not None else tool if mark else call.name,
        package=call.package,
        trusted=call.trusted,
        annotations=call.annotations,
        labels=frozenset(call.labels),
        arguments=call.arguments,
        agent=call.agent,
        face=call.face,
        session=call.session,
        taint=frozenset(call.taint),
        provenance=None if call.seen is None else _Stated(call.seen, call.asked_for),
        ground=Ground(bases=(Path(call.folder),) if call.folder else ()),
        now=_zoned(call.at),
    )


@dataclass(frozen=True, slots=True)
class _Value:
    """A value of a test case."""

    kind: str
    text: str
    origins: frozenset[Origin]


@dataclass(frozen=True, slots=True)
class _Stated:
    """Says of values what a test case says of them."""

    seen: Mapping[str, SeenConfig]
    spoken: bool = False

    def asks_for(self, action: str) -> bool:
        """Return whether the user spoke of an action."""
        return self.spoken

    def trace(
        self,
        value: object,
        name: str = "",
        *,
        server: str | None = None,
        texts: Collection[str] = (),
    ) -> list[_Value]:
        """Return those of the stated values that are in an argument."""
        found = {
            str(one.value)
            for one in descend(Located("", value))
            if not isinstance(one.value, dict | list)
        }
        return [
            _Value(stated.kind, text, frozenset(stated.origins))
            for text, stated in self.seen.items()
            if text in found
        ]


def method_of(kind: Kind) -> str:
    """Return an MCP method of a kind."""
    return next((method for method, one in KINDS.items() if one == kind), kind)


def _zoned(moment: datetime | None) -> datetime:
    if moment is None:
        return datetime.now(UTC)
    return moment if moment.tzinfo is not None else moment.astimezone()


def _run(case: CaseConfig, policy: PolicySet) -> CaseResult:
    facts = policy.gather(attempt_of_case(case.call), FixedCounters(case.call.used))
    facts.code.update(case.call.plugins)
    decision = decide(facts, policy)
    return CaseResult(case, decision, _difference(case, decision))


def _difference(case: CaseConfig, decision: Decision) -> str | None:
    if decision.action != case.expect:
        by = decision.rule or "the default"
        return f"expected {case.expect}, but {by} says {decision.action}"
    if case.rule is not None and case.rule not in decision.rules:
        return f"expected rule {case.rule}, but it was {', '.join(decision.rules) or 'the default'}"
    every_time = decision.every_time or ("unless_constrained" if decision.constrained else False)
    if case.every_time is not None and case.every_time != every_time:
        return f"expected every_time {case.every_time}, but it is {every_time}".lower()
    return None
