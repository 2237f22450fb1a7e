import asyncio

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from host.domain.errors import UpstreamTimeoutError
from host.domain.jsonrpc import RpcError
from host.secrets.redaction import Redactor, dump_json
from host.telemetry.context import NO_CONTEXT, TraceContext, read_context
from host.telemetry.tracing import Peer, Tracing

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
CLIENT = Peer(over_http=True, version="2026-07-28", session="s1")
CHILD = Peer(over_http=False, version="2025-11-25")
KEY = "sk-0123456789abcdef0123"


class Spans:
    def __init__(self, *, content: bool = False) -> None:
        self._memory = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._memory))
        redactor = Redactor()

        def show(value: object) -> str:
            return redactor.redact_json(dump_json(value)).decode()

        self.tracing = Tracing(
            provider, redact=redactor.redact_text, show=show if content else None
        )

    def serve(self, method: str = "tools/call", incoming: TraceContext = NO_CONTEXT):
        return self.tracing.serve(method, request_id=7, peer=CLIENT, incoming=incoming)

    @property
    def ended(self) -> list[ReadableSpan]:
        return list(self._memory.get_finished_spans())


def test_a_tool_call_is_a_server_span_in_the_clients_trace():
    spans = Spans()
    span = spans.serve(incoming=read_context({"traceparent": PARENT}, {}))
    span.resolve("tools/call", "files__read", {"arguments": {"path": "/etc/passwd"}})
    span.succeed("tools/call", {"content": [{"type": "text", "text": "root"}]})
    (ended,) = spans.ended
    assert (ended.name, ended.kind) == ("tools/call files__read", SpanKind.SERVER)
    assert ended.parent is not None
    assert (f"{ended.parent.trace_id:032x}", f"{ended.parent.span_id:016x}") == (TRACE, SPAN)
    assert span.trace_id == TRACE
    assert dict(ended.attributes or {}) == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2026-07-28",
        "mcp.session.id": "s1",
        "jsonrpc.request.id": "7",
        "network.transport": "tcp",
        "network.protocol.name": "http",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "files__read",
    }


def test_what_a_server_is_asked_is_a_client_span_below_it():
    spans = Spans()
    outer = spans.serve()
    inner = spans.tracing.ask("tools/call", {"name": "read"}, peer=CHILD, cause=outer.context)
    carrier = inner.carrier()
    inner.succeed("tools/call", {})
    (ended,) = spans.ended
    assert (ended.name, ended.kind) == ("tools/call read", SpanKind.CLIENT)
    assert ended.parent is not None
    assert f"{ended.parent.span_id:016x}" == outer.span_id
    assert carrier["traceparent"].startswith(f"00-{outer.trace_id}-{inner.span_id}-")


def test_baggage_and_trace_state_travel_on():
    spans = Spans()
    meta = {"traceparent": PARENT, "tracestate": "a=1", "baggage": "user=ada"}
    carrier = spans.serve(incoming=read_context(meta, {})).carrier()
    assert (carrier["tracestate"], carrier["baggage"]) == ("a=1", "user=ada")


def test_the_context_of_the_http_request_is_linked():
    spans = Spans()
    other = f"00-{'a' * 32}-{'b' * 16}-01"
    spans.serve(incoming=read_context({"traceparent": PARENT}, {"traceparent": other})).succeed(
        "tools/call", {}
    )
    (link,) = spans.ended[0].links
    assert f"{link.context.trace_id:032x}" == "a" * 32


@pytest.mark.parametrize(
    ("error", "kind", "code", "told"),
    [
        (RpcError(-32602, "Unknown tool: ssh"), "-32602", "-32602", None),
        (UpstreamTimeoutError("too slow", upstream="a"), "timeout", None, "too slow"),
        (asyncio.CancelledError(), "cancelled", None, None),
        (ValueError("x"), "ValueError", None, None),
    ],
)
def test_a_failure_is_told_by_its_class(
    error: BaseException, kind: str, code: str | None, told: str | None
):
    spans = Spans()
    spans.serve().fail(error)
    (ended,) = spans.ended
    attributes = ended.attributes or {}
    assert (attributes["error.type"], attributes.get("rpc.response.status_code")) == (kind, code)
    assert ended.status.status_code is StatusCode.ERROR
    assert ended.status.description == told
    assert ended.events == ()


def test_a_tools_own_error_is_an_error():
    spans = Spans()
    spans.serve().succeed("tools/call", {"isError": True, "content": []})
    assert (spans.ended[0].attributes or {})["error.type"] == "tool_error"


def test_content_is_shown_only_where_configured_and_without_secrets():
    shown, hidden = Spans(content=True), Spans()
    for spans in (shown, hidden):
        span = spans.serve()
        span.resolve("tools/call", "t", {"arguments": {"key": KEY, "city": "Rome"}})
        span.succeed("tools/call", {"structuredContent": {"said": KEY}})
    attributes = shown.ended[0].attributes or {}
    assert attributes["gen_ai.tool.call.arguments"] == '{"key":"[redacted]","city":"Rome"}'
    assert attributes["gen_ai.tool.call.result"] == '{"structuredContent":{"said":"[redacted]"}}'
    assert not {"Rome", KEY} & set(str(dict(hidden.ended[0].attributes or {})).split("'"))
    assert not any(k.startswith("gen_ai.tool.call") for k in hidden.ended[0].attributes or {})


def test_what_a_client_makes_up_becomes_no_spans_name():
    spans = Spans()
    spans.serve("x" * 1000).fail(RpcError(-32601, "Method not found"))
    (ended,) = spans.ended
    assert ended.name == "_OTHER"
    assert (ended.attributes or {})["mcp.method.name"] == "x" * 256


def test_a_resource_is_named_without_its_query():
    spans = Spans()
    span = spans.serve("resources/read")
    span.resolve("resources/read", "db://host/table?where=secret", {})
    span.succeed("resources/read", {})
    assert (spans.ended[0].attributes or {})["mcp.resource.uri"] == "db://host/table"
    assert spans.ended[0].name == "resources/read"
