"""Everything that rules ask about a call, gathered once before the decision."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, cast

from host.policy.attempt import Attempt, Kind
from host.policy.expression import cel_context
from host.policy.labels import LabelTable, effective_labels, only_read, read_by_people
from host.policy.limit import CounterKey, Counters, Scope
from host.policy.path import Ground, RealPath, real_folder, real_path
from host.policy.pointer import Json, Located, Pointer, Resolved, children, elements
from host.policy.provenance import TracedValue
from host.policy.url import Url, UrlError, canonical_url

if TYPE_CHECKING:
    import cel

MOST_VALUES = 20_000
"""Most values in the arguments of a call."""
DEEPEST = 64
"""Deepest nesting of the arguments of a call."""


@dataclass(frozen=True, slots=True)
class Need:
    """A part of the arguments that some rule asks about, and as what."""

    pointer: Pointer
    path: bool = False
    url: bool = False


class Limited(Protocol):
    """What gathering needs to know of a rule with limits."""

    def counters(self, attempt: Attempt) -> tuple[CounterKey, ...]:
        """Return the counters that its limits are held against."""
        ...


class Asked(Protocol):
    """What the rules that may be about a call ask, each thing once."""

    @property
    def needs(self) -> tuple[Need, ...]:
        """Parts of the arguments."""
        ...

    @property
    def folders(self) -> tuple[str, ...]:
        """Folders that arguments may be in."""
        ...

    @property
    def limited(self) -> Sequence[Limited]:
        """Rules with limits."""
        ...


class LazyContext:
    """The variables of CEL conditions, converted when the first of them is asked for."""

    def __init__(self, facts: "Facts") -> None:
        self._facts = facts
        self._made: cel.Context | None = None
        self._failed = False

    def get(self) -> "cel.Context | None":
        """Return the variables; None where something among them cannot be expressed in CEL."""
        if self._made is None and not self._failed:
            try:
                self._made = cel_context(call_variables(self._facts))
            except (ValueError, TypeError, OverflowError, RecursionError):
                self._failed = True
        return self._made


@dataclass(slots=True)
class Facts:
    """What is known of a call; complete for the rules of one policy, named by its digest.

    Attributes:
        attempt: The call.
        kind: What kind of request it is.
        labels: Labels that rules go by.
        annotations: Those of a trusted server; empty for others.
        values: Pointer → what it finds.
        paths: Place in the arguments → the file that is named there.
        folders: Folder as a rule names it → its canonical path; None if that cannot be found out.
        urls: Place in the arguments → the URL there, or why it is none.
        counts: How much of each limit was used up.
        writes: Whether the call may change something.
        only_read: Places of paths that are only read all the same.
        size: Number of values in the arguments.
        code: Rule of a plugin → what it says, or why it does not; those that were asked.
        problems: Why the call cannot be judged; it is denied if there are any.
        policy: Digest of the policy that these are for.
        texts: Names of arguments that are known to be there for people to read.
    """

    attempt: Attempt
    kind: Kind
    labels: frozenset[str]
    annotations: Mapping[str, Any]
    values: dict[str, Resolved] = field(default_factory=dict[str, Resolved])
    paths: dict[str, RealPath] = field(default_factory=dict[str, RealPath])
    folders: dict[str, str | None] = field(default_factory=dict[str, str | None])
    urls: dict[str, Url | UrlError] = field(default_factory=dict[str, "Url | UrlError"])
    counts: dict[CounterKey, float] = field(default_factory=dict[CounterKey, float])
    writes: bool = True
    only_read: frozenset[str] = frozenset()
    size: int = 0
    code: dict[str, bool | str] = field(default_factory=dict[str, "bool | str"])
    problems: tuple[str, ...] = ()
    policy: str = ""
    texts: frozenset[str] = frozenset()
    context: LazyContext = field(init=False, repr=False)
    _traced: dict[str, tuple[TracedValue, ...]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.context = LazyContext(self)
        self._traced: dict[str, tuple[TracedValue, ...]] = {}

    def traced(self, one: Located) -> tuple[TracedValue, ...] | None:
        """Return where the decisive parts of a value were seen; None where nobody can know.

        It is found out when a rule first asks, since most calls need not know.
        """
        provenance = self.attempt.provenance
        if provenance is None:
            return None
        found = self._traced.get(one.place)
        if found is None:
            name = next((part for part in reversed(one.place.split("/")) if not part.isdigit()), "")
            found = self._traced[one.place] = tuple(
                provenance.trace(one.value, name, server=self.attempt.server, texts=self.texts)
            )
        return found

    def moved_paths(self) -> list[str]:
        """Return the places whose paths lead elsewhere by now, as after a swapped link.

        It is asked again just before the call is made, above all when an approval took its time.
        """
        ground = self.attempt.ground
        moved = [
            place
            for pointer in self.values.values()
            for one in pointer.values
            for place, value in ((part.place, part.value) for part in elements(one))
            if place in self.paths and real_path(value, ground) != self.paths[place]
        ]
        return list(dict.fromkeys(moved))


def gather_facts(
    attempt: Attempt,
    asked: Asked,
    *,
    table: LabelTable,
    policy: str,
    counters: Counters | None = None,
) -> Facts:
    """Gather what some rules ask about a call.

    Args:
        attempt: The call.
        asked: What the rules ask that may be about it.
        table: What is known of servers.
        policy: Digest of the policy that the rules are from.
        counters: What was used up; None makes every limit count as used up.
    """
    facts = known_facts(attempt, table=table, policy=policy)
    facts.size, problem = measure(attempt.arguments)
    if problem:
        facts.problems = (problem,)
        return facts
    for need in asked.needs:
        _look(facts, need)
    parents: dict[str, str] = {}
    for folder in asked.folders if facts.paths else ():
        facts.folders[folder] = _follow(folder, attempt.ground, parents)
    if counters is not None:
        for rule in asked.limited:
            facts.counts.update((key, counters.read(key)) for key in rule.counters(attempt))
    if facts.writes and facts.paths:
        facts.only_read = frozenset(
            part.place
            for pointer in only_read(attempt, table)
            for one in pointer.resolve(attempt.arguments).values
            for part in elements(one)
        )
    return facts


def known_facts(attempt: Attempt, *, table: LabelTable, policy: str) -> Facts:
    """Return what is known of a call before its arguments are looked at."""
    labels = effective_labels(attempt, table)
    return Facts(
        attempt=attempt,
        kind=attempt.kind,
        labels=labels,
        annotations=attempt.annotations if attempt.trusted else {},
        writes=bool(labels & {"changes", "destructive"}),
        policy=policy,
        texts=frozenset() if attempt.provenance is None else read_by_people(attempt, table),
    )


def whose(scope: Scope, attempt: Attempt, *, session: bool) -> str:
    """Return whom a limit counts for."""
    if session:
        return attempt.session or attempt.principal.id
    if scope == "everyone":
        return "*"
    return attempt.principal.user if scope == "user" else attempt.principal.id


def _look(facts: Facts, need: Need) -> None:
    text = need.pointer.text
    found = facts.values.get(text)
    if found is None:
        found = facts.values[text] = need.pointer.resolve(facts.attempt.arguments)
    for one in (part for value in found.values for part in elements(value)):
        if need.path and one.place not in facts.paths:
            facts.paths[one.place] = real_path(one.value, facts.attempt.ground)
        if need.url and one.place not in facts.urls:
            facts.urls[one.place] = _url(one.value)


def _url(value: Json) -> Url | UrlError:
    try:
        return canonical_url(value)
    except UrlError as error:
        return error


def _follow(folder: str, ground: Ground, parents: dict[str, str]) -> str | None:
    try:
        return real_folder(folder, ground, parents)
    except (OSError, ValueError):
        return None


def measure(arguments: Json) -> tuple[int, str | None]:
    """Return how many values some arguments have, and why they cannot be judged."""
    if isinstance(arguments, dict):
        flat = cast("dict[str, Json]", arguments)
        if all(type(value) is str or type(value) is int for value in flat.values()):
            count = 1 + len(flat)
            if count <= MOST_VALUES:
                return count, None
    level, count, depth = [Located("", arguments)], 0, 0
    while level:
        count += len(level)
        depth += 1
        if count > MOST_VALUES or depth > DEEPEST:
            limit = f"{MOST_VALUES} values" if count > MOST_VALUES else f"{DEEPEST} levels"
            return count, f"The arguments have more than {limit}, which no rule can judge."
        for one in level:
            problem = _not_json(one.value)
            if problem:
                return count, f"The argument {one.place or '/'} {problem}."
        level = [
            child for one in level if isinstance(one.value, dict | list) for child in children(one)
        ]
    return count, None


def _not_json(value: Json) -> str | None:
    if isinstance(value, float) and not math.isfinite(value):
        return "is no number that JSON has"
    if isinstance(value, str | int | float | bool | list | dict) or value is None:
        return None
    return f"is a {type(value).__name__}, which JSON does not have"


def call_variables(facts: Facts) -> dict[str, Any]:
    """Return what conditions in CEL and in code can ask of a call, by the names they use."""
    attempt = facts.attempt
    arguments = attempt.arguments
    return {
        "agent": attempt.agent or "",
        "annotations": dict(facts.annotations),
        "args": {} if arguments is None else arguments,
        "attended": attempt.principal.attended,
        "client": attempt.principal.client,
        "face": attempt.face,
        "labels": sorted(facts.labels),
        "method": facts.kind,
        "name": attempt.name,
        "now": attempt.now,
        "role": attempt.principal.role,
        "server": attempt.server or "",
        "session": attempt.session or "",
        "taint": sorted(attempt.taint),
        "tool": attempt.tool or "",
        "user": attempt.principal.user,
    }
