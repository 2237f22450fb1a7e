"""The trace context that a request came with, as the gateway passes it on and records it.

MCP carries it in `params._meta`, under the names of the W3C headers; a client that knows nothing
of that may still send the headers over HTTP. Everything here works without OpenTelemetry.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LONGEST_VALUE = 8192
"""Characters of one value that are passed on; the W3C limit for baggage."""

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_HEADER_TEXT = re.compile(r"[\t\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Where in a trace a request stands.

    Attributes:
        trace_id: 32 hexadecimal digits; None outside of any trace.
        span_id: 16 hexadecimal digits: the caller's span.
        carrier: What is passed on, by name, as it came: safe to be put into HTTP headers.
        other: The context of the HTTP request, where `_meta` names another one.
    """

    trace_id: str | None = None
    span_id: str | None = None
    carrier: Mapping[str, str] = field(default_factory=dict[str, str])
    other: Mapping[str, str] = field(default_factory=dict[str, str])


NO_CONTEXT = TraceContext()


def read_context(meta: Mapping[str, object], headers: Mapping[str, str]) -> TraceContext:
    """Return the trace context of a request: of its `_meta`, else of its HTTP headers.

    Args:
        meta: The request's `_meta`.
        headers: HTTP headers by name in lower case; empty where it did not come over HTTP.
    """
    in_meta, in_headers = _has_context(meta), _has_context(headers)
    if not (in_meta or in_headers):
        return NO_CONTEXT
    own = _valid(meta) if in_meta else {}
    if not in_headers:
        return _context(own, {})
    outer = _valid(headers)
    theirs = outer.get("traceparent")
    if theirs is not None and own.get("traceparent", theirs) != theirs:
        return _context(own, outer)
    # Baggage is independent of the trace, so what `_meta` says of it stands.
    return _context({**outer, **own}, {})


def _has_context(source: Mapping[str, object]) -> bool:
    return "traceparent" in source or "baggage" in source


def _context(carrier: Mapping[str, str], other: Mapping[str, str]) -> TraceContext:
    parent = carrier.get("traceparent")
    # Its shape was checked: version, trace, span and flags, each of a fixed length.
    ids = (parent[3:35], parent[36:52]) if parent is not None else (None, None)
    return TraceContext(*ids, carrier, other)


def _valid(source: Mapping[str, object]) -> dict[str, str]:
    """Return the values that may be trusted as header text; without a traceparent no tracestate.

    A line break in a value would let a client write headers of its own into a request to a server.
    """
    carrier: dict[str, str] = {}
    parent = source.get("traceparent")
    if isinstance(parent, str) and _TRACEPARENT.fullmatch(parent):
        carrier["traceparent"] = parent
        _add_text(carrier, "tracestate", source.get("tracestate"))
    _add_text(carrier, "baggage", source.get("baggage"))
    return carrier


def _add_text(carrier: dict[str, str], name: str, value: object) -> None:
    if isinstance(value, str) and len(value) <= LONGEST_VALUE and _HEADER_TEXT.fullmatch(value):
        carrier[name] = value
