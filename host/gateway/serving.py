"""What surrounds the serving of one request: its span, and what log lines say of it."""

from contextvars import Token
from types import TracebackType
from typing import TYPE_CHECKING, Self

from host.domain.jsonrpc import Json
from host.gateway.exchange import Exchange
from host.telemetry.activity import CURRENT, Activity

if TYPE_CHECKING:
    from host.telemetry.tracing import Tracing

LASTING_METHODS = frozenset({"subscriptions/listen"})
"""Requests that last as long as their client listens; a span of hours tells nobody anything."""


class Serving:
    """A `with` block in which a request is served; set `result` in it.

    It is entered for every request, so that it costs next to nothing where no spans are exported.

    Args:
        exchange: The request.
        method: Its method.
        tracing: Begins spans; None where none are exported.
    """

    __slots__ = ("_activity", "_exchange", "_method", "_token", "result")

    def __init__(self, exchange: Exchange, method: str, *, tracing: "Tracing | None") -> None:
        self._exchange = exchange
        self._method = method
        self.result: Json = {}
        if tracing is not None and method not in LASTING_METHODS:
            exchange.span = _begin(tracing, exchange, method)
            exchange.trace_id, exchange.span_id = exchange.span.trace_id, exchange.span.span_id
        self._activity = Activity(exchange.session.id, exchange.trace_id, exchange.span_id)
        self._token: Token[Activity | None] | None = None

    def __enter__(self) -> Self:
        self._token = CURRENT.set(self._activity)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._activity.over = True
        if self._token is not None:
            CURRENT.reset(self._token)
        span = self._exchange.span
        if span is None:
            return
        if error is None:
            span.succeed(self._method, self.result)
        else:
            span.fail(error)


def _begin(tracing: "Tracing", exchange: Exchange, method: str):  # noqa: ANN202 - see the caller
    from host.telemetry.tracing import Peer  # noqa: PLC0415 - OpenTelemetry loads slowly

    session = exchange.session
    peer = Peer(session.face == "http", exchange.version, session=session.id)
    return tracing.serve(method, request_id=exchange.id, peer=peer, incoming=exchange.trace)
