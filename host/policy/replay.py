"""Recorded calls decided on again, to see what another policy would have said."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from host.config.servers import ServerConfig
from host.domain.principal import Principal
from host.policy.answer import Action
from host.policy.attempt import Attempt
from host.policy.decision import Decision
from host.policy.labels import ABOUT_THE_CALL, ground_of, is_trusted, own_package, package_of
from host.policy.limit import MemoryCounters
from host.policy.path import Ground
from host.policy.policy_set import PolicySet


@dataclass(frozen=True, slots=True)
class Replayed:
    """A recorded call and what a policy says about it.

    Attributes:
        intent: Fields of the recorded intent.
        recorded: What was decided then; None if no decision was recorded.
        decision: What the policy decides.
        notes: Why that may differ from what it would really have been.
    """

    intent: Mapping[str, Any]
    recorded: Action | None
    decision: Decision
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Replay:
    """Replays calls in their order; what a session met and used up builds up on the way.

    Not recorded, and so taken from today: servers' settings, links in paths, callers' roles.

    Attributes:
        policy: The policy that decides.
        servers: The configured servers.
    """

    policy: PolicySet
    servers: Mapping[str, ServerConfig] = field(default_factory=dict[str, ServerConfig])
    _taint: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    _at: float = 0
    _counters: MemoryCounters = field(init=False)

    def __post_init__(self) -> None:
        self._counters = MemoryCounters(clock=lambda: self._at)

    def decide(
        self, intent: Mapping[str, Any], outcome: Mapping[str, Any] | None = None
    ) -> Replayed:
        """Decide on one recorded call.

        Args:
            intent: Fields of its intent.
            outcome: Fields of its outcome, whose labels the session has met from then on.
        """
        self._at = intent["at"] / 1_000_000
        session = str(intent.get("session") or f"{intent['user']}/{intent['client']}")
        met = self._taint.setdefault(session, set())
        attempt, notes = self._attempt(intent, frozenset(met))
        facts = self.policy.gather(attempt, self._counters)
        decision = self.policy.decide(attempt, self._counters)
        if decision.action != "deny":
            for key in decision.counters:
                self._counters.add(key)
            met |= facts.labels - ABOUT_THE_CALL
            met |= set((outcome or {}).get("labels", ()))
        code = self.policy.open_code(facts)
        if code:
            notes += (f"rules in code are not asked here, so they count: {', '.join(code)}",)
        return Replayed(intent, intent.get("decision"), decision, notes)

    def decide_all(
        self, calls: Iterable[tuple[Mapping[str, Any], Mapping[str, Any] | None]]
    ) -> list[Replayed]:
        """Decide on recorded calls, oldest first."""
        return [self.decide(intent, outcome) for intent, outcome in calls]

    def _attempt(
        self, intent: Mapping[str, Any], taint: frozenset[str]
    ) -> tuple[Attempt, tuple[str, ...]]:
        notes: list[str] = []
        server = self.servers.get(str(intent.get("upstream")))
        own = own_package(intent.get("upstream"))
        if server is None and own is None and intent.get("upstream"):
            notes.append("its server is no longer configured")
        arguments = intent.get("arguments")
        if isinstance(arguments, dict) and {"cut", "bytes", "sha256"} == set(arguments):  # pyright: ignore[reportUnknownArgumentType]
            notes.append("its arguments were recorded in part only")
        attempt = Attempt(
            method=str(intent["method"]),
            name=str(intent.get("name") or intent["method"]),
            principal=Principal(str(intent["user"]), str(intent["client"])),
            server=intent.get("upstream"),
            tool=intent.get("original"),
            package=own if server is None else package_of(server),
            trusted=own is not None if server is None else is_trusted(server),
            annotations=intent.get("annotations") or {},
            labels=frozenset(intent.get("labels") or ()),
            arguments=arguments,
            face=intent["face"],
            session=intent.get("session"),
            taint=taint,
            ground=Ground() if server is None else ground_of(server),
            now=datetime.fromtimestamp(self._at, UTC),
        )
        return attempt, tuple(notes)
