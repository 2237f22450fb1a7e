"""OpenTelemetry spans of MCP requests: one where a client is served, one for each server asked.

Names and attributes follow OpenTelemetry's semantic conventions for MCP. The package
`opentelemetry` loads slowly, so this module is imported only where spans are exported.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from host import __version__
from host.domain.errors import DeniedError, HostError, UpstreamTimeoutError
from host.domain.jsonrpc import Json, RequestId, RpcError
from host.domain.protocol import KNOWN_METHODS
from host.telemetry.context import TraceContext

LONGEST_TEXT = 256
"""Characters of an attribute that a client chose; a span is no place for a flood."""

Attributes = dict[str, str | int]
Redact = Callable[[str], str]
ShowContent = Callable[[object], str]
"""Returns a value as JSON text without the secrets in it, cut where it is long."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a request, as far as spans tell of it.

    Attributes:
        over_http: Whether it is reached over HTTP; else by pipe or socket.
        version: The protocol revision.
        session: The client's session; never a server's, which may be as good as a credential.
        address: Name of the server's machine.
        port: Its port.
    """

    over_http: bool
    version: str
    session: str | None = None
    address: str | None = None
    port: int | None = None


class CallSpan:
    """The span of one request.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
    """

    def __init__(
        self, span: trace.Span, context: Context, *, redact: Redact, show: ShowContent | None
    ) -> None:
        self._span = span
        self.context = context
        self._redact = redact
        self._show = show
        own = span.get_span_context()
        self.trace_id = trace.format_trace_id(own.trace_id)
        self.span_id = trace.format_span_id(own.span_id)

    def carrier(self) -> dict[str, str]:
        """Return what makes the receiver's span a child of this one, by name."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier, self.context)
        return carrier

    def resolve(self, method: str, name: str, params: Json) -> None:
        """Say what is called, once it is known to exist: names go into a span's own name.

        Args:
            method: The MCP method.
            name: Name of the tool or prompt, or the URI of the resource.
            params: The parameters, of which only the arguments are shown, and only if configured.
        """
        if method == "resources/read":
            # The part behind the question mark is an argument, not a name.
            uri = self._redact(name.partition("?")[0])[:LONGEST_TEXT]
            self._span.set_attribute("mcp.resource.uri", uri)
            return
        if method == "prompts/get":
            self._span.set_attribute("gen_ai.prompt.name", name)
        elif method == "tools/call":
            self._span.set_attribute("gen_ai.tool.name", name)
            if self._show is not None:
                shown = self._show(params.get("arguments"))
                self._span.set_attribute("gen_ai.tool.call.arguments", shown)
        else:
            return
        self._span.update_name(f"{method} {name}")

    def succeed(self, method: str, result: Json) -> None:
        """End the span with a result."""
        if result.get("isError") is True:
            self._span.set_attribute("error.type", "tool_error")
            self._span.set_status(Status(StatusCode.ERROR))
        if self._show is not None and method == "tools/call":
            self._span.set_attribute("gen_ai.tool.call.result", self._show(result))
        self._span.end()

    def fail(self, error: BaseException) -> None:
        """End the span with an error."""
        if isinstance(error, RpcError):
            self._span.set_attribute("rpc.response.status_code", str(error.code))
        self._span.set_attribute("error.type", error_type(error))
        # What a server said may repeat arguments; what the host says itself does not.
        tells = self._show is not None or isinstance(error, HostError)
        told = self._redact(str(error)) if tells else None
        self._span.set_status(Status(StatusCode.ERROR, told or None))
        self._span.end()


class Tracing:
    """Begins spans.

    Args:
        provider: Where spans go.
        redact: Hides secrets in a text.
        show: Makes text of arguments and results; None keeps them out of spans.
        close: Sends what is left; blocks.
    """

    def __init__(
        self,
        provider: trace.TracerProvider,
        *,
        redact: Redact,
        show: ShowContent | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.close = close
        self._tracer = provider.get_tracer("mcp-agent-host", __version__)
        self._redact = redact
        self._show = show

    def serve(
        self, method: str, *, request_id: RequestId | None, peer: Peer, incoming: TraceContext
    ) -> CallSpan:
        """Begin the span of a client's request."""
        known = method if method in KNOWN_METHODS else "_OTHER"
        attributes = _attributes(method, peer)
        if request_id is not None:
            attributes["jsonrpc.request.id"] = str(request_id)[:LONGEST_TEXT]
        links: list[Link] = []
        if incoming.other:
            ambient = propagate.extract(incoming.other, Context())
            links = [Link(trace.get_current_span(ambient).get_span_context())]
        parent = propagate.extract(incoming.carrier, Context())
        return self._begin(known, SpanKind.SERVER, parent, attributes, links)

    def ask(
        self, method: str, params: Json | None, *, peer: Peer, cause: Context | None
    ) -> CallSpan:
        """Begin the span of a request to a server.

        Args:
            method: The MCP method.
            params: As the server gets them.
            peer: The server.
            cause: Context of the client's request that it serves; None is the host's own wish.
        """
        span = self._begin(method, SpanKind.CLIENT, cause or Context(), _attributes(method, peer))
        name = (params or {}).get("uri" if method == "resources/read" else "name")
        if isinstance(name, str):
            span.resolve(method, name, params or {})
        return span

    def _begin(
        self,
        name: str,
        kind: SpanKind,
        parent: Context,
        attributes: Attributes,
        links: list[Link] | None = None,
    ) -> CallSpan:
        span = self._tracer.start_span(
            name, parent, kind, attributes, links, record_exception=False
        )
        context = trace.set_span_in_context(span, parent)
        return CallSpan(span, context, redact=self._redact, show=self._show)


def error_type(error: BaseException) -> str:
    """Return the class of an error, as few words as there are kinds of errors."""
    if isinstance(error, RpcError):
        return str(error.code)
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    if isinstance(error, UpstreamTimeoutError | TimeoutError):
        return "timeout"
    return "denied" if isinstance(error, DeniedError) else type(error).__name__


def _attributes(method: str, peer: Peer) -> Attributes:
    attributes: Attributes = {
        "mcp.method.name": method[:LONGEST_TEXT],
        "mcp.protocol.version": peer.version[:LONGEST_TEXT],
        "network.transport": "tcp" if peer.over_http else "pipe",
    }
    if peer.over_http:
        attributes["network.protocol.name"] = "http"
    if peer.session is not None:
        attributes["mcp.session.id"] = peer.session
    if method == "tools/call":
        attributes["gen_ai.operation.name"] = "execute_tool"
    if peer.address is not None:
        attributes["server.address"] = peer.address
        if peer.port is not None:
            attributes["server.port"] = peer.port
    return attributes
