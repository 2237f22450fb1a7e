"""What is recorded of a call: an intent before, an outcome after; and notes of other acts."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Literal

import orjson

from host.domain.fixed import fixed
from host.domain.principal import Principal
from host.secrets.redaction import Redactor, dump_json

Face = Literal["stdio", "http", "cli", "agent", "workflow", "plugin", "schedule", "web"]
"""Where a call came in."""

OutcomeKind = Literal[
    "ok", "tool_error", "error", "denied", "pending", "cancelled", "timeout", "unknown"
]
"""How a call ended; `tool_error` is a result that says so, `error` a protocol error."""

Decision = Literal["allow", "ask", "deny"]


def new_call_id() -> str:
    """Return a UUID of version 7: unique, and in order of time."""
    stamp = time.time_ns() // 1_000_000 & 0xFFFFFFFFFFFF
    noise = int.from_bytes(os.urandom(10), "big")
    high = stamp << 16 | 7 << 12 | noise & 0xFFF
    low = 2 << 62 | noise >> 18
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def now() -> int:
    """Return the time in microseconds since 1970, UTC."""
    return time.time_ns() // 1000


@fixed(kw_only=True)
class Intent:
    """A call that is about to be made, or was refused.

    Attributes:
        call_id: A UUID of version 7 from `new_call_id`.
        principal: Who calls.
        face: Where the call came in.
        method: The MCP method, such as `tools/call`.
        name: Name in the catalog, or the URI of a resource.
        upstream: The server behind it.
        original: Its name there.
        definition: Digest of the definition that was in force.
        arguments: As the caller gave them; JSON-able.
        decision: What the policy said.
        rule: Which rule said so.
        approval: The approval that let it pass.
        changes: Whether it may change something, so that the intent has to be on disk first.
        labels: Labels of server and tool.
        annotations: The tool's annotations.
        session: The client's session.
        era: The protocol revision that the client speaks.
        correlation: What belongs together; the client's, or the first call's id.
        parent: The call or run that made this call.
        trace_id: OpenTelemetry trace, 32 hexadecimal digits.
        span_id: OpenTelemetry span, 16 hexadecimal digits.
        hidden: Secrets among the arguments that no name tells.
        at: Microseconds since 1970, UTC.
    """

    call_id: str
    principal: Principal
    face: Face
    method: str
    name: str | None = None
    upstream: str | None = None
    original: str | None = None
    definition: str | None = None
    arguments: Any = None
    decision: Decision | None = None
    rule: str | None = None
    approval: str | None = None
    changes: bool = False
    labels: tuple[str, ...] = ()
    annotations: dict[str, Any] | None = None
    session: str | None = None
    era: str | None = None
    correlation: str | None = None
    parent: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    hidden: frozenset[str] = field(default_factory=frozenset[str], repr=False)
    at: int = field(default_factory=now)


@fixed(kw_only=True)
class Outcome:
    """How a call ended.

    Attributes:
        call_id: The intent's.
        principal: The intent's.
        outcome: How it ended.
        duration: Microseconds from intent to outcome.
        error_code: JSON-RPC error code.
        error_message: What the caller was told.
        result: As the caller gets it; JSON-able.
        labels: Labels that the result brought, such as `untrusted`.
        hidden: Secrets that the arguments showed; the result may repeat them.
        at: Microseconds since 1970, UTC.
    """

    call_id: str
    principal: Principal
    outcome: OutcomeKind
    duration: int = 0
    error_code: int | None = None
    error_message: str | None = None
    result: Any = None
    labels: tuple[str, ...] = ()
    hidden: frozenset[str] = field(default_factory=frozenset[str], repr=False)
    at: int = field(default_factory=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that was done to the host itself, such as an edited policy or a revoked grant.

    Attributes:
        principal: Who did it.
        name: What was done, such as `policy.changed`.
        detail: With what; JSON-able.
        at: Microseconds since 1970, UTC.
    """

    principal: Principal
    name: str
    detail: Any = None
    at: int = field(default_factory=now)


Record = Intent | Outcome | Note
"""Anything that the journal takes."""

_INSIDE = (
    *("upstream", "definition", "decision", "rule", "approval", "changes", "labels"),
    *("era", "parent", "trace_id", "span_id"),
)
_OUTSIDE = ("name", "original", "session", "correlation", "annotations")
_inside_of = attrgetter(*_INSIDE)
_outside_of = attrgetter(*_OUTSIDE)


def encode_record(record: Record, redactor: Redactor) -> bytes:
    """Return a record as one line of JSON without its sequence number, secrets hidden.

    Fields that say nothing are left out. What comes from outside is kept apart from the fields that
    the host itself makes, so that only the former is searched for secrets.
    """
    outside: dict[str, Any] = {}
    if not isinstance(record, Note) and record.hidden:
        redactor = redactor.also(record.hidden)
    if isinstance(record, Intent):
        own = _intent_fields(record)
        outside = _saying(_OUTSIDE, _outside_of(record))
        if record.arguments is not None:
            outside["arguments"] = redactor.capped(record.arguments)
    elif isinstance(record, Outcome):
        own = _outcome_fields(record)
        if record.error_message:
            outside["error_message"] = record.error_message
        if record.result is not None:
            outside["result"] = redactor.capped(record.result)
    else:
        own = {"kind": "note", "at": record.at, **_who(record.principal), "name": record.name}
        if record.detail is not None:
            outside["detail"] = redactor.capped(record.detail)
    line = dump_json(own)
    if not outside:
        return line
    hidden = redactor.redact_json(dump_json(outside))
    return line[:-1] + b"," + (hidden[1:] if hidden.startswith(b"{") else b'"hidden":true}')


def _who(principal: Principal) -> dict[str, Any]:
    return {"user": principal.user, "client": principal.client}


def _saying(names: Iterable[str], values: Iterable[object]) -> dict[str, Any]:
    return {name: value for name, value in zip(names, values, strict=True) if value}


def _intent_fields(record: Intent) -> dict[str, Any]:
    principal = record.principal
    return {
        "kind": "intent",
        "call_id": record.call_id,
        "at": record.at,
        "user": principal.user,
        "client": principal.client,
        "face": record.face,
        "method": record.method,
        **_saying(_INSIDE, _inside_of(record)),
    }


def _outcome_fields(record: Outcome) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "kind": "outcome",
        "call_id": record.call_id,
        "at": record.at,
        "user": record.principal.user,
        "client": record.principal.client,
        "outcome": record.outcome,
        "duration": record.duration,
    }
    if record.error_code is not None:
        fields["error_code"] = record.error_code
    if record.labels:
        fields["labels"] = record.labels
    return fields


def load_line(line: bytes) -> dict[str, Any]:
    """Return the fields of a recorded line."""
    return orjson.loads(line)
