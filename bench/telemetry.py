"""What trace context and spans cost a call: microseconds of CPU, exporters excluded."""

import timeit
from typing import Any

from opentelemetry.sdk.trace import TracerProvider

from host.domain.principal import Principal
from host.gateway.exchange import QuietExchange, QuietSession
from host.gateway.serving import Serving
from host.gateway.upstream.trace import peer_at, with_context
from host.telemetry.activity import note_call
from host.telemetry.context import read_context
from host.telemetry.tracing import Tracing

CALLS, REPEATS = 20_000, 7
HEADERS = {f"header-{number}": "value" for number in range(10)}
PLAIN: dict[str, Any] = {"name": "t", "arguments": {}, "_meta": {"progressToken": 1}}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CONTEXT: dict[str, Any] = {
    **PLAIN,
    "_meta": {"traceparent": PARENT, "tracestate": "a=1", "baggage": "user=ada"},
}
SESSION = QuietSession(Principal(user="u", client="c", role="user"), "http")


def _without_spans(params: dict[str, Any], exchange: QuietExchange) -> None:
    trace = read_context(params["_meta"], HEADERS)
    with Serving(exchange, "tools/call", tracing=None):
        note_call("call", "server")
        with_context(params, trace.carrier)


def _with_spans(params: dict[str, Any], tracing: Tracing) -> None:
    exchange = QuietExchange(SESSION, 1, params)
    with Serving(exchange, "tools/call", tracing=tracing):
        assert exchange.span is not None
        exchange.span.resolve("tools/call", "s__t", params)
        peer = peer_at(None, "2025-11-25")
        span = tracing.ask("tools/call", params, peer=peer, cause=exchange.span.context)
        with_context(params, span.carrier())
        span.succeed("tools/call", {})


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure the best of several rounds."""
    del arguments
    quiet = QuietExchange(SESSION, 1, PLAIN)
    tracing = Tracing(TracerProvider(shutdown_on_exit=False), redact=lambda text: text)
    cases = {
        "no spans, no context": lambda: _without_spans(PLAIN, quiet),
        "no spans, context passed on": lambda: _without_spans(CONTEXT, quiet),
        "spans": lambda: _with_spans(CONTEXT, tracing),
    }
    found: dict[str, Any] = {}
    for name, case in cases.items():
        found[name] = min(timeit.repeat(case, number=CALLS, repeat=REPEATS)) / CALLS * 1e6
        budget = "" if name == "spans" else "   (budget 5)"
        print(f"{name:<30}{found[name]:8.1f} µs a call{budget}")
    return found
