"""A call as people look at it: its intent and outcome together, from the journal or the store."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from host.audit.note import RecordedNote
from host.audit.record import OutcomeKind, load_line
from host.domain.errors import ConfigError

State = OutcomeKind | str
"""How a call ended; `running` if it has not."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Call:
    """One recorded call.

    Attributes:
        intent: The fields of its intent.
        outcome: The fields of its outcome; None if there is none.
        state: How it ended.
        writer: Whose journal it is in.
    """

    intent: dict[str, Any]
    outcome: dict[str, Any] | None
    state: State
    writer: str

    @property
    def id(self) -> str:
        """The call's id."""
        return str(self.intent["call_id"])

    @property
    def at(self) -> datetime:
        """When it was about to be made."""
        return datetime.fromtimestamp(self.intent["at"] / 1_000_000, UTC)

    @property
    def labels(self) -> list[str]:
        """Labels of server and tool, and those that the result brought."""
        return [*self.intent.get("labels", []), *(self.outcome or {}).get("labels", [])]

    @property
    def name(self) -> str:
        """What was called."""
        return str(self.intent.get("name") or self.intent["method"])

    def as_json(self) -> dict[str, Any]:
        """Return all that is known of the call, as one object."""
        skipped = ("kind", "seq", "call_id", "at", "user", "client", "labels")
        ending = {k: v for k, v in (self.outcome or {}).items() if k not in skipped}
        own = {k: v for k, v in self.intent.items() if k not in ("kind", "seq")}
        return {
            **own,
            "at": self.at.isoformat(),
            **ending,
            "outcome": self.state,
            "result_labels": (self.outcome or {}).get("labels", []),
            "writer": self.writer,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFilter:
    """Which calls are wanted; what is None does not matter.

    Attributes:
        since: Made at this time or later.
        until: Made before this time.
        user: The principal's user.
        label: A label of server, tool or result.
        server: The upstream's name.
        tool: The catalog name, or its end after `__`.
        client: The principal's client.
        outcome: How it ended.
        text: Found anywhere in what was recorded, whatever its case.
    """

    since: datetime | None = None
    until: datetime | None = None
    user: str | None = None
    label: str | None = None
    server: str | None = None
    tool: str | None = None
    client: str | None = None
    outcome: str | None = None
    text: str | None = None

    def matches(self, call: Call) -> bool:
        """Return whether a call is wanted."""
        return (
            (self.since is None or call.at >= self.since)
            and (self.until is None or call.at < self.until)
            and self.user in (None, call.intent.get("user"))
            and (self.label is None or self.label in call.labels)
            and self.server in (None, call.intent.get("upstream"))
            and (self.tool is None or self.tool in (call.name, call.name.rpartition("__")[2]))
            and self.client in (None, call.intent.get("client"))
            and self.outcome in (None, call.state)
            and (self.text is None or self.text.casefold() in str(call.as_json()).casefold())
        )

    @property
    def wants_notes(self) -> bool:
        """Whether it says nothing that only a call has."""
        return self.outcome in (None, "note") and not any((self.label, self.server, self.tool))

    def matches_note(self, note: RecordedNote) -> bool:
        """Return whether a note is wanted."""
        return (
            self.wants_notes
            and (self.since is None or note.at >= self.since)
            and (self.until is None or note.at < self.until)
            and self.user in (None, note.fields.get("user"))
            and self.client in (None, note.fields.get("client"))
            and (self.text is None or self.text.casefold() in str(note.as_json()).casefold())
        )

    def conditions(self, *, notes: bool = False) -> tuple[list[str], list[Any]]:
        """Return the same as SQL conditions on `host.audit_calls`, and their parameters.

        Without what only a call has, they are conditions on the notes in `host.audit_entries`, too.
        """
        wanted: list[tuple[str, Any]] = [
            ("at >= %s", self.since),
            ("at < %s", self.until),
            ("user_id = %s", self.user),
            ("upstream = %s", self.server),
            ("client = %s", self.client),
            ("outcome = %s", None if notes else self.outcome),
        ]
        if self.tool is not None:
            wanted.append(("%s in (name, regexp_replace(name, '^.*__', ''))", self.tool))
        if self.label is not None:
            # A line begins with what the host itself says, so the first list of that name is meant.
            found = rf'^[^\[\]]*"labels":\[[^\]]*"{re.escape(self.label)}"'
            wanted.append(("(intent ~ %s or outcome_line ~ %s)", (found, found)))
        if self.text is not None:
            pattern = re.sub(r"([%_\\])", r"\\\1", self.text)
            said = "line" if notes else "intent || coalesce(outcome_line, '')"
            wanted.append((f"{said} ilike %s", f"%{pattern}%"))
        kept = [(text, value) for text, value in wanted if value is not None]
        values: list[Any] = []
        for _text, value in kept:
            values += list(cast("tuple[Any, ...]", value)) if isinstance(value, tuple) else [value]
        return [text for text, _value in kept], values


def parse_since(text: str, *, now: datetime) -> datetime:
    """Return the time that `7d`, `90m` or an ISO 8601 time means.

    Raises:
        ConfigError: It is neither.
    """
    span = re.fullmatch(r"(\d{1,6})([smhdw])", text.strip())
    if span is not None:
        return now - timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(
            f"{text!r} is not a time.", next_step="Write 30m, 12h, 7d, or 2026-01-31T12:00:00Z."
        ) from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def join_calls(
    entries: Iterable[tuple[str, dict[str, Any]]], *, living: frozenset[str]
) -> Iterator[Call]:
    """Put intents and outcomes together, oldest call first.

    Args:
        entries: Writers and the fields of their lines.
        living: The writers whose process runs; a call of another that has no outcome is `unknown`.
    """
    intents: dict[str, tuple[str, dict[str, Any]]] = {}
    outcomes: dict[str, dict[str, Any]] = {}
    for writer, fields in entries:
        if fields["kind"] == "intent":
            intents[fields["call_id"]] = (writer, fields)
        elif fields["kind"] == "outcome":
            outcomes.setdefault(fields["call_id"], fields)
    for call_id, (writer, intent) in sorted(intents.items(), key=lambda item: item[1][1]["at"]):
        outcome = outcomes.get(call_id)
        ended = "running" if writer in living else "unknown"
        yield Call(intent, outcome, outcome["outcome"] if outcome else ended, writer)


def call_of_row(row: dict[str, Any]) -> Call:
    """Return the call that a row of `host.audit_calls` is."""
    line = row["outcome_line"]
    return Call(
        intent=load_line(row["intent"].encode()),
        outcome=None if line is None else load_line(line.encode()),
        state=row["outcome"],
        writer=str(row["writer"]),
    )
