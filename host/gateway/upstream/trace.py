"""Requests to servers within a trace: context in `_meta`, a span where spans are exported."""

from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from host.domain.jsonrpc import Json
from host.domain.protocol import meta_of
from host.gateway.exchange import Exchange

if TYPE_CHECKING:
    from host.telemetry.tracing import Peer, Tracing

Carry = Callable[[Mapping[str, str]], Awaitable[Json]]
"""Sends a request with a trace context and returns its result."""


def with_context(params: Json | None, carrier: Mapping[str, str]) -> Json | None:
    """Return the params with a trace context in their `_meta`.

    What the client put there itself and nothing replaces stays as it is, malformed or not.
    """
    meta = meta_of(params)
    if carrier.items() <= meta.items():
        return params
    if "traceparent" in carrier:
        # The state of another position in the trace would be a lie beside this one.
        meta = {key: value for key, value in meta.items() if key != "tracestate"}
    return {**(params or {}), "_meta": {**meta, **carrier}}


@lru_cache(maxsize=256)
def peer_at(url: str | None, version: str) -> "Peer":
    """Return what spans tell of a server: its machine, never its path or who is let in.

    Args:
        url: Where it is; None for a child process.
        version: The protocol revision it speaks.
    """
    from host.telemetry.tracing import Peer  # noqa: PLC0415 - OpenTelemetry loads slowly

    if url is None:
        return Peer(over_http=False, version=version)
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return Peer(over_http=True, version=version, address=parts.hostname, port=port)


async def send_traced(
    tracing: "Tracing",
    method: str,
    params: Json | None,
    *,
    peer: "Peer",
    exchange: Exchange | None,
    carry: Carry,
) -> Json:
    """Send a request within a span of its own.

    Args:
        tracing: Begins the span.
        method: The request's method.
        params: Its parameters.
        peer: The server.
        exchange: Whose request it is; None is the host's own, which begins a trace.
        carry: Sends it.
    """
    cause = exchange.span.context if exchange is not None and exchange.span is not None else None
    span = tracing.ask(method, params, peer=peer, cause=cause)
    try:
        result = await carry(span.carrier())
    except BaseException as error:
        span.fail(error)
        raise
    span.succeed(method, result)
    return result
