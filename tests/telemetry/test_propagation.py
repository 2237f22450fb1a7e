"""A real daemon between a client and real servers: what trace context arrives, what is exported."""

import json
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.conformance.host_process import REPOSITORY, RunningHost, running_host
from tests.fakes.echo_upstream import EchoUpstream, echo_upstream

TRACE, PARENT_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{PARENT_SPAN}-01"
CONTEXT = {"traceparent": PARENT, "tracestate": "rojo=1, congo=2", "baggage": "user=ada"}
ENVELOPE: dict[str, Any] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass(frozen=True)
class Setting:
    host: RunningHost
    web: EchoUpstream

    def call(
        self,
        server: str,
        *,
        meta: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        **arguments: object,
    ) -> dict[str, Any]:
        """Call the server's tool; return the response message."""
        name = f"{server}__context"
        params = {"name": name, "arguments": arguments, "_meta": {**ENVELOPE, **(meta or {})}}
        body = {"jsonrpc": "2.0", "id": "call-7", "method": "tools/call", "params": params}
        sent = {
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": "2026-07-28",
            "mcp-method": "tools/call",
            "mcp-name": name,
            **(headers or {}),
        }
        reply = httpx.post(self.host.url, json=body, headers=sent, timeout=60)
        return reply.json()

    def seen(self, server: str, **call: Any) -> dict[str, Any]:
        """Return what the server saw."""
        return self.call(server, **call)["result"]["structuredContent"]


@contextmanager
def setting(
    *, env: Mapping[str, str] | None = None, **sections: Any
) -> Generator[tuple[Setting, EchoUpstream]]:
    with echo_upstream() as web:
        config: dict[str, Any] = {
            "servers": {
                "web": {"url": f"{web.base}/mcp", "protocol": "handshake"},
                "child": {
                    "command": sys.executable,
                    "args": ["-m", "tests.fakes.echo_upstream"],
                    "env": {"PYTHONPATH": str(REPOSITORY)},
                    "protocol": "handshake",
                },
            },
            **sections,
        }
        variables = {k: v.replace("COLLECTOR", web.base) for k, v in (env or {}).items()}
        with running_host(config, env=variables) as host:
            yield Setting(host, web), web


@pytest.fixture(scope="module")
def plain() -> Generator[Setting]:
    with setting(log={"format": "json", "level": "debug"}) as (running, _):
        yield running


def test_without_spans_context_in_meta_arrives_verbatim(plain: Setting):
    for server in ("web", "child"):
        seen = plain.seen(server, meta=CONTEXT)
        assert {k: seen["meta"][k] for k in CONTEXT} == CONTEXT
        assert seen["headers"] == (CONTEXT if server == "web" else {})


def test_without_spans_context_in_headers_arrives_in_meta(plain: Setting):
    for server in ("web", "child"):
        seen = plain.seen(server, headers=CONTEXT)
        assert {k: seen["meta"][k] for k in CONTEXT} == CONTEXT


def test_a_call_without_context_gets_none(plain: Setting):
    seen = plain.seen("web")
    assert not set(CONTEXT) & {*seen["meta"], *seen["headers"]}


def test_a_forged_header_is_never_sent(plain: Setting):
    seen = plain.seen("web", meta={"traceparent": PARENT, "baggage": "a=1\r\nx-evil: 1"})
    assert seen["headers"] == {"traceparent": PARENT}


def test_calls_are_recorded_in_their_trace(plain: Setting):
    plain.seen("child", meta={"traceparent": PARENT.replace(TRACE, "c" * 32)})
    journal = "".join(
        f.read_text() for f in (plain.host.folder / "data/journal").rglob("*") if f.is_file()
    )
    lines = [line for line in journal.splitlines() if "c" * 32 in line]
    intents = [json.loads(line[line.index("{") :]) for line in lines]
    ids = [(i["trace_id"], i["span_id"]) for i in intents if i["kind"] == "intent"]
    assert ids == [("c" * 32, PARENT_SPAN)]


def test_every_line_of_the_log_is_json(plain: Setting):
    plain.call("web")
    whole, _, _begun = plain.host.log.rpartition("\n")  # it writes on
    lines = [json.loads(line) for line in whole.split("\n")]
    assert len(lines) > 1
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)


def spans_of(web: EchoUpstream) -> dict[str, Span]:
    """Return every exported span by its kind and name."""
    found: dict[str, Span] = {}
    for _, body in web.exports:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                found |= {f"{span.kind} {span.name}": span for span in scope.spans}
    return found


def attributes_of(span: Span) -> dict[str, object]:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_spans_reach_the_collector_and_servers_get_the_hosts_own_context():
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "COLLECTOR",
        "OTEL_SERVICE_NAME": "my-host",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=abc",
    }
    with setting(env=env) as (running, web):
        seen = running.seen("web", meta=CONTEXT)
        failed = running.call("child", meta=CONTEXT, fail=True)
        folder = running.host.folder / "data/journal"
        journal = "".join(f.read_text() for f in folder.rglob("*") if f.is_file())
    assert failed["error"]["code"] == -32050
    spans = spans_of(web)
    server, client = spans["2 tools/call web__context"], spans["3 tools/call context"]
    assert server.trace_id.hex() == TRACE
    assert server.parent_span_id.hex() == PARENT_SPAN
    assert attributes_of(server)["jsonrpc.request.id"] == "call-7"
    assert seen["headers"]["traceparent"] == seen["meta"]["traceparent"]
    assert seen["meta"]["traceparent"].split("-")[1] == TRACE
    assert seen["meta"]["baggage"] == "user=ada"
    assert f'"span_id":"{server.span_id.hex()}"' in journal
    broken = spans["2 tools/call child__context"]
    assert attributes_of(broken)["error.type"] == "-32050"
    assert client.parent_span_id in (server.span_id, broken.span_id)
    headers, body = web.exports[0]
    assert {k.lower(): v for k, v in headers.items()}["x-key"] == "abc"
    everything = b"".join(body for _, body in web.exports)
    assert b"my-host" in body
    assert b"sk-0123456789abcdef01" not in everything
    assert b"tool.call.arguments" not in everything


def test_the_configuration_alone_switches_spans_on():
    with echo_upstream() as collector:
        telemetry = {"endpoint": collector.base, "content": True, "service_name": "named"}
        with setting(telemetry=telemetry) as (running, _):
            running.call("web", city="Rome")
        everything = b"".join(body for _, body in collector.exports)
    assert b"named" in everything
    assert b'{"city":"Rome"}' in everything


def test_a_collector_that_is_gone_harms_no_call_and_no_stop():
    with setting(telemetry={"endpoint": "http://127.0.0.1:9"}) as (running, _):
        assert "meta" in running.seen("web", meta=CONTEXT)
    assert running.host.process.returncode == 0
