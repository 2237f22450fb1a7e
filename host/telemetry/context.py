"""The trace context that a request came with, as the gateway passes it on and records it.

MCP carries it in `params._meta`, under the names of the W3C headers; a client that knows nothing
of that may still send the headers over HTTP. Everything here works without OpenTelemetry.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

CONTEXT_KEYS = ("traceparent", "tracestate", "baggage")
"""Members of `_meta`, and HTTP headers, that carry context."""

LONGEST_VALUE = 8192
"""Characters of one value that are passed on; the W3C limit for baggage."""

_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}"
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
    if not any(key in meta or key in headers for key in CONTEXT_KEYS):
        return NO_CONTEXT
    own, outer = _valid(meta), _valid(headers)
    if "traceparent" not in own and "traceparent" in outer:
        # Baggage is independent of the trace, so what `_meta` says of it stands.
        return _context({**outer, **own}, {})
    other = outer if own.get("traceparent") != outer.get("traceparent") else {}
    return _context({**outer, **own} if not other else own, other)


def _context(carrier: Mapping[str, str], other: Mapping[str, str]) -> TraceContext:
    found = _TRACEPARENT.fullmatch(carrier.get("traceparent", ""))
    ids = (found.group(1), found.group(2)) if found else (None, None)
    return TraceContext(*ids, carrier, other)


def _valid(source: Mapping[str, object]) -> dict[str, str]:
    """Return the values that may be trusted as header text; a broken traceparent voids tracestate.

    A line break in a value would let a client write headers of its own into a request to a server.
    """
    carrier = {
        key: value
        for key in CONTEXT_KEYS
        if isinstance(value := source.get(key), str)
        and len(value) <= LONGEST_VALUE
        and _HEADER_TEXT.fullmatch(value)
    }
    if not _TRACEPARENT.fullmatch(carrier.get("traceparent", "")):
        carrier.pop("traceparent", None)
        carrier.pop("tracestate", None)
    return carrier
