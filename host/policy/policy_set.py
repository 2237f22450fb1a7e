"""The policy in force: the rules of all files, composed, indexed and known by one digest."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from host.config.document import validate_document
from host.config.shipped import shipped_folder
from host.config.yaml import Document, parse_yaml
from host.domain.errors import ConfigError, InvalidConfigError, NotFoundError, PolicyError
from host.policy.answer import Action, Answer, strictest
from host.policy.attempt import Attempt, Kind
from host.policy.case_document import CaseConfig
from host.policy.decision import Decision, decide, settle
from host.policy.document import MatchConfig, PolicyConfig, RuleConfig
from host.policy.facts import Facts, gather_facts, known_facts
from host.policy.index import Candidates, RuleIndex
from host.policy.labels import LabelTable, build_table
from host.policy.limit import Counters
from host.policy.rule import Rule, compile_rule
from host.policy.source import LABELS_FILE, Source, read_source, shipped_source


@dataclass(frozen=True, slots=True)
class PolicySet:
    """All rules that hold, ready to decide; it never changes.

    Attributes:
        rules: The rules.
        default: What happens to a call that no rule is about.
        digest: SHA-256 over all that was read, in hexadecimal.
        table: What is known of servers.
        sources: The files.
        warnings: What has no effect, in sentences for the user.
        cases: Test cases by the file that they are in.
    """

    rules: tuple[Rule, ...]
    default: Action
    digest: str
    table: LabelTable
    sources: tuple[Source, ...] = ()
    warnings: tuple[str, ...] = ()
    cases: Mapping[Path, tuple[CaseConfig, ...]] = field(
        default_factory=dict[Path, tuple[CaseConfig, ...]]
    )
    index: RuleIndex = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "index", RuleIndex(self.rules))

    @classmethod
    def load(cls, sources: Iterable[Source], *, warnings: Iterable[str] = ()) -> Self:
        """Read, check and compose policy files.

        Raises:
            PolicyError: Some cannot be read; it names every fault with file, line and field. Then
                nothing may run.
        """
        reading = _Reading()
        given = tuple(sources)
        for source in given:
            reading.read(source)
        reading.raise_problems()
        if not reading.files:
            raise PolicyError("There is no policy.", next_step="Run `host policy check`.")
        table_source = read_source(shipped_folder("policies") / LABELS_FILE, level="shipped")
        table = reading.read_table(table_source)
        rules = reading.compile()
        reading.raise_problems()
        used = {(one.source.level, one.source.file): one.source for one in reading.files}
        return cls(
            rules=tuple(rules),
            default=_default(reading.files),
            digest=_digest([*used.values(), table_source], reading.files),
            table=table,
            sources=tuple(used.values()),
            warnings=(*warnings, *reading.warnings),
            cases={one.source.file: one.config.tests for one in reading.files},
        )

    def candidates(self, kind: Kind, name: str, server: str | None) -> Candidates:
        """Return the rules that may be about a request, by its kind, name and server."""
        return self.index.candidates(kind, name, server)

    def gather(self, attempt: Attempt, counters: Counters | None = None) -> Facts:
        """Gather what the rules ask about a call: this follows links and reads counters.

        Args:
            attempt: The call.
            counters: What was used up; None makes every limit count as used up.
        """
        return gather_facts(
            attempt,
            self.candidates(attempt.kind, attempt.name, attempt.server),
            table=self.table,
            policy=self.digest,
            counters=counters,
        )

    def open_code(self, facts: Facts) -> list[str]:
        """Return the rules of plugins on which the decision hangs and which were not asked."""
        attempt = facts.attempt
        coded = self.candidates(attempt.kind, attempt.name, attempt.server).coded
        if not coded or facts.problems:
            return []
        unsure = [rule for rule in coded if rule.answer(facts) is Answer.UNKNOWN]
        names = dict.fromkeys(name for rule in unsure for name in rule.code)
        return [name for name in names if name not in facts.code]

    def settle(self, attempt: Attempt) -> tuple[Decision, frozenset[str]] | None:
        """Return the decision about all calls of one tool by one caller, and its labels.

        Args:
            attempt: Such a call; its arguments and time are not looked at.

        Returns:
            None if the decision may differ between such calls.
        """
        if self.table.varies(attempt):
            return None
        facts = known_facts(attempt, table=self.table, policy=self.digest)
        decision = settle(facts, self)
        return None if decision is None else (decision, facts.labels)

    def decide(self, attempt: Attempt, counters: Counters | None = None) -> Decision:
        """Gather the facts of a call and decide on it."""
        return decide(self.gather(attempt, counters), self)


@dataclass(frozen=True, slots=True)
class _File:
    source: Source
    document: Document
    config: PolicyConfig
    exceptions: dict[str, tuple[MatchConfig, ...]] = field(
        default_factory=dict[str, tuple[MatchConfig, ...]]
    )


def _default(files: Sequence[_File]) -> Action:
    stated: list[Action] = [one.config.default for one in files if one.config.default is not None]
    # A project's file alone cannot state one, so that adding it never loosens an unstated deny.
    if all(one.source.level == "project" for one in files if one.config.default is not None):
        return "deny"
    return strictest(stated, "deny")


def _digest(sources: Sequence[Source], files: Sequence[_File]) -> str:
    parts = sorted(
        f"{one.level}\0{one.file}\0{hashlib.sha256(one.content).hexdigest()}" for one in sources
    )
    # The same files taken over with other exceptions are another policy; those are in a file, too.
    parts.append(str(len(files)))
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


class _Reading:
    """What one call of `PolicySet.load` gathers."""

    def __init__(self) -> None:
        self.files: list[_File] = []
        self.problems: list[ConfigError] = []
        self.warnings: list[str] = []

    def raise_problems(self) -> None:
        """Raise all faults found so far as one error."""
        if self.problems:
            said = "\n".join(f"  {one}" for one in self.problems)
            raise PolicyError(
                f"The policy cannot be read, so nothing runs:\n{said}",
                problems=self.problems,
            )

    def read(self, source: Source) -> None:
        """Read a file, and the shipped policies that it extends."""
        parsed = self._parse(source)
        if parsed is None:
            return
        self.files.append(parsed)
        if source.level == "project":
            self._check_project(parsed)
            return
        for position, extended in enumerate(parsed.config.extends):
            try:
                inner = self._parse(shipped_source(extended.policy))
            except NotFoundError as error:
                place = ("extends", position)
                self.problems.append(parsed.document.error(str(error), place=place))
                continue
            if inner is not None:
                self._extend(parsed, position, inner)

    def read_table(self, source: Source) -> LabelTable:
        """Return the table of known servers, the files' own entries included."""
        shipped = self._parse(source)
        self.raise_problems()
        own = [one.config.labels for one in self.files if one.source.level != "project"]
        return build_table([*([shipped.config.labels] if shipped else []), *own])

    def compile(self) -> list[Rule]:
        """Compile all rules."""
        rules: list[Rule] = []
        taken: set[str] = set()
        for one in self.files:
            for position, config in enumerate(one.config.rules):
                rule = self._compile(one, position, config, taken)
                if rule is not None:
                    taken.add(rule.id)
                    rules.append(rule)
        return rules

    def _compile(
        self, one: _File, position: int, config: RuleConfig, taken: set[str]
    ) -> Rule | None:
        level = one.source.level
        identity = f"{one.source.name}/{config.name}"
        if level in ("organisation", "project") or identity in taken:
            identity = f"{level}:{identity}"
        while identity in taken:  # a file taken over twice, or two files whose names begin alike
            identity += "+"
        place = ("rules", position)
        if level == "project" and config.action == "allow" and not config.limits:
            line = one.document.line(place)
            self.warnings.append(
                f"{one.source.file}:{line}: {config.name!r} has no effect: a project's policy can "
                "only tighten."
            )
        try:
            return compile_rule(
                config,
                identity=identity,
                level=level,
                file=one.source.file,
                line=one.document.line(place),
                further=one.exceptions.get(config.name, ()),
            )
        except ValueError as error:
            self.problems.append(one.document.error(f"{error}.", place=place))
            return None

    def _parse(self, source: Source) -> _File | None:
        document: Document
        try:
            document = parse_yaml(source.content, file=source.file)
            config = validate_document(PolicyConfig, document)
        except InvalidConfigError as error:
            self.problems.extend(error.problems)
            return None
        except ConfigError as error:
            self.problems.append(error)
            return None
        names = [rule.name for rule in config.rules]
        for position, name in enumerate(names):
            if name in names[:position]:
                place = ("rules", position, "name")
                problem = document.error(f"There is a rule {name!r} already.", place=place)
                self.problems.append(problem)
        return _File(source, document, config)

    def _extend(self, parsed: _File, position: int, inner: _File) -> None:
        exceptions = parsed.config.extends[position].exceptions
        names = [rule.name for rule in inner.config.rules]
        for name in exceptions:
            if name not in names:
                place = ("extends", position, "except", name)
                error = NotFoundError("rule", name, names)
                self.problems.append(parsed.document.error(str(error), place=place))
        self.files.append(_File(inner.source, inner.document, inner.config, exceptions))

    def _check_project(self, parsed: _File) -> None:
        for field_name in ("extends", "labels"):
            if getattr(parsed.config, field_name):
                self.problems.append(
                    parsed.document.error(
                        "A project's policy has rules only, since it can only tighten.",
                        place=(field_name,),
                        next_step="Put this into a policy of your own.",
                    )
                )


def load_policy_file(file: Path) -> PolicySet:
    """Return the policy that one file alone is, as its test cases see it.

    Raises:
        PolicyError: It cannot be read.
    """
    return PolicySet.load([read_source(file, level="user")])
