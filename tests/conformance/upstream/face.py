"""How the conformance upstream is reached: Streamable HTTP or stdio, in one era or both."""

import json
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Literal

import uvicorn
from mcp.server.runner import _serve_modern_stream, serve_loop
from mcp.server.stdio import stdio_server
from mcp_types import UNSUPPORTED_PROTOCOL_VERSION
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.conformance.upstream.hub import JSON, Hub
from tests.conformance.upstream.server import Upstream

Era = Literal["both", "handshake", "stateless"]
"""The protocol revisions an upstream speaks."""


def _refusal(code: int, message: str, data: JSON | None = None) -> Response:
    error: JSON = {"code": code, "message": message, **({"data": data} if data else {})}
    body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error})
    return Response(body, status_code=400, media_type="application/json")


class OneEra:
    """ASGI wrapper that refuses the other era the way servers that never heard of it do.

    It also strips the white space around header values, which uvicorn's parser leaves on.
    """

    def __init__(self, app: ASGIApp, era: Era) -> None:
        self.app = app
        self.era = era

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = None
        if scope["type"] == "http":
            scope["headers"] = [(name, value.strip()) for name, value in scope["headers"]]
            refusal = self._refuse(scope)
        await (refusal or self.app)(scope, receive, send)

    def _refuse(self, scope: Scope) -> Response | None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        version = headers.get(b"mcp-protocol-version", b"").decode("latin-1")
        if self.era == "handshake" and version and version not in HANDSHAKE_PROTOCOL_VERSIONS:
            known = ", ".join(HANDSHAKE_PROTOCOL_VERSIONS)
            message = f"Bad Request: Unsupported protocol version: {version}. Supported: {known}"
            return _refusal(-32600, message)
        if self.era == "stateless" and version not in MODERN_PROTOCOL_VERSIONS:
            if scope["method"] != "POST":
                return Response(status_code=405, headers={"Allow": "POST"})
            data = {"supported": list(MODERN_PROTOCOL_VERSIONS), "requested": version}
            return _refusal(UNSUPPORTED_PROTOCOL_VERSION, "Unsupported protocol version", data)
        return None


def _listen(port: int) -> socket.socket:
    # With the protocol named: asyncio turns Nagle's algorithm off only for sockets that say TCP,
    # and with it on every answer of two writes takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(2048)
    return listener


async def serve_http(server: Upstream, port: int, era: Era) -> None:
    """Serve on `http://127.0.0.1:port/mcp`; port 0 takes a free one. The URL goes to stdout."""
    app = OneEra(server.streamable_http_app(), era)
    listener = _listen(port)
    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=1, timeout_keep_alive=60
    )
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp\n")
    sys.stdout.flush()
    await uvicorn.Server(config).serve(sockets=[listener])


async def serve_stdio(server: Upstream, hub: Hub, era: Era) -> None:
    """Serve one client on stdin and stdout."""
    async with stdio_server() as (read, write):
        if era == "both":
            await server.run(read, write, server.create_initialization_options())
            return
        serve: Callable[..., Awaitable[None]] = serve_loop
        if era == "stateless":
            serve = _serve_modern_stream
        async with hub.running():
            await serve(server, read, write, lifespan_state=hub, raise_exceptions=False)
