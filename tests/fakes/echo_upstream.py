"""An MCP server of the handshake era that answers a call with the context it was called in.

`python -m tests.fakes.echo_upstream` speaks on standard input and output; `EchoUpstream` over
HTTP, where it is a collector of OpenTelemetry spans as well, at `/v1/traces`.
"""

import contextlib
import json
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

JSON = dict[str, Any]

TOOL: JSON = {
    "name": "context",
    "inputSchema": {"type": "object"},
    "annotations": {"readOnlyHint": True},
}
CONTEXT_HEADERS = ("traceparent", "tracestate", "baggage")


def answer(message: JSON, headers: JSON) -> JSON | None:
    """Return the response to a message; None where it wants none."""
    if "id" not in message:
        return None
    params: JSON = message.get("params") or {}
    reply: JSON = {"jsonrpc": "2.0", "id": message["id"]}
    if message["method"] == "initialize":
        info = {"name": "echo", "version": "1"}
        version = params["protocolVersion"]
        result: JSON = {"protocolVersion": version, "capabilities": {"tools": {}}}
        return {**reply, "result": {**result, "serverInfo": info}}
    if message["method"] == "tools/list":
        return {**reply, "result": {"tools": [TOOL]}}
    if message["method"] != "tools/call":
        return {**reply, "error": {"code": -32601, "message": "Method not found"}}
    arguments: JSON = params.get("arguments") or {}
    if arguments.get("fail"):
        return {**reply, "error": {"code": -32050, "message": "it failed: sk-0123456789abcdef01"}}
    seen: JSON = {"meta": params.get("_meta", {}), "headers": headers}
    return {**reply, "result": {"content": [], "structuredContent": seen}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces":
            assert isinstance(self.server, _Server)
            self.server.exports.append((dict(self.headers), body))
            self._send(200, b"", "application/x-protobuf")
            return
        headers = {k: self.headers[k] for k in CONTEXT_HEADERS if k in self.headers}
        reply = answer(json.loads(body), headers)
        self._send(200 if reply else 202, json.dumps(reply).encode() if reply else b"")

    def do_GET(self) -> None:
        self._send(405, b"")

    do_DELETE = do_GET  # noqa: N815 - the standard library's name

    def _send(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.exports: list[tuple[dict[str, str], bytes]] = []


class EchoUpstream:
    """The server over HTTP.

    Attributes:
        base: Its address; the MCP endpoint is at `/mcp`.
    """

    def __init__(self, server: _Server) -> None:
        self._server = server
        self.base = f"http://127.0.0.1:{server.server_port}"

    @property
    def exports(self) -> list[tuple[dict[str, str], bytes]]:
        """Headers and body of each export of spans."""
        return self._server.exports


@contextlib.contextmanager
def echo_upstream() -> Generator[EchoUpstream]:
    """Serve over HTTP for the length of the block."""
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield EchoUpstream(server)
        finally:
            server.shutdown()
            thread.join()


def main() -> None:
    """Serve on standard input and output."""
    for line in sys.stdin:
        reply = answer(json.loads(line), {})
        if reply is not None:
            sys.stdout.write(json.dumps(reply) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
