"""A run and its events, as they are kept, listed and followed."""

import secrets
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from host.domain.fixed import fixed

RunStatus = Literal["running", "parked", "succeeded", "failed", "cancelled", "interrupted"]
"""`interrupted` is a run that nobody works on any more though it did not end."""

EventKind = Literal[
    "started",
    "recalled",
    "request",
    "reply",
    "call",
    "inside",
    "result",
    "question",
    "answer",
    "approval",
    "handoff",
    "compacted",
    "rejected",
    "error",
    "note",
    "cancelled",
    "resumed",
    "finished",
    "delta",
]
"""What happened, in the order in which it did; a `delta` is streamed text, which is not kept."""

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_ID_LETTERS = 12


def new_run_id() -> str:
    """Return an id that is short enough to be typed."""
    letters, number = len(_ALPHABET), secrets.randbelow(len(_ALPHABET) ** _ID_LETTERS)
    return "".join(_ALPHABET[number // letters**place % letters] for place in range(_ID_LETTERS))


def utc_now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Usage:
    """What a run has used; it only grows.

    Attributes:
        steps: Requests to a model.
        cost: US dollars, as far as prices are known.
    """

    steps: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    def copy(self) -> "Usage":
        """Return it as it stands now."""
        return Usage(self.steps, self.input_tokens, self.output_tokens, self.cost)


@fixed(kw_only=True)
class Run:
    """One execution, as it is listed.

    Attributes:
        kind: What is run: `agent`.
        name: Which one.
        title: The beginning of what was asked.
        parent: The run that started it; None for one that somebody asked for.
        root: The outermost run; its own id where there is no parent.
        thread: The conversation that it continues; its own id for the first of one.
        definition: Digest of the agent's file.
        epoch: Raised whenever somebody takes the run up; older writers are refused.
        error: Why it failed.
        hidden: Whether it was taken out of its conversation.
        held: Whether the process that works on it may live; its last sign of life tells more.
    """

    id: str
    user_id: str
    client: str
    name: str
    kind: str = "agent"
    model: str = ""
    title: str = ""
    parent: str | None = None
    root: str = ""
    thread: str = ""
    depth: int = 0
    definition: str = ""
    epoch: int = 1
    status: RunStatus = "running"
    error: str | None = None
    hidden: bool = False
    steps: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    started: datetime = field(default_factory=utc_now)
    heartbeat: datetime = field(default_factory=utc_now)
    ended: datetime | None = None
    held: bool = True

    @property
    def usage(self) -> Usage:
        """What it has used so far."""
        return Usage(self.steps, self.input_tokens, self.output_tokens, self.cost)

    def ended_with(self, status: RunStatus, usage: Usage, *, error: str | None) -> "Run":
        """Return it as it stands when it ends now."""
        return replace(
            self,
            status=status,
            error=error,
            ended=utc_now(),
            steps=usage.steps,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost=usage.cost,
        )

    def fields(self) -> dict[str, Any]:
        """Return it as JSON."""
        found = asdict(self)
        del found["held"]
        for name in ("started", "heartbeat", "ended"):
            value = found[name]
            found[name] = value.isoformat() if value is not None else None
        return found


@fixed()
class Event:
    """One thing that happened in a run.

    Attributes:
        seq: Its number in the run, counted from 1 without gaps.
        data: JSON-able; what is in it follows from the kind.
    """

    run_id: str
    seq: int
    kind: EventKind
    at: datetime
    data: dict[str, Any]

    def fields(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "run": self.run_id,
            "seq": self.seq,
            "kind": self.kind,
            "at": self.at.isoformat(),
            "data": self.data,
        }
