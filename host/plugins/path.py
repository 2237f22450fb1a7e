"""A plugin's way to the catalog: its calls take the one path, for whoever called the plugin."""

from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from host.domain.errors import DeniedError
from host.domain.jsonrpc import Json
from host.gateway.exchange import Exchange, InnerExchange
from host.sandbox.broker import Progress
from host.secrets.handles import hide_secrets

CallTool = Callable[[Exchange, Json], Awaitable[Json]]
"""Serves `tools/call`: `Caller.call_tool`."""

MAX_DEPTH = 8
"""How many plugins and agents may be inside each other."""

_running: ContextVar[tuple[str, ...]] = ContextVar("running_plugins", default=())


class GatewayPath:
    """Calls tools for the principal and in the session of the request that a plugin serves.

    Args:
        exchange: The request.
        call_tool: The gateway's.
    """

    def __init__(self, exchange: Exchange, call_tool: CallTool) -> None:
        self._exchange = exchange
        self._call_tool = call_tool

    async def call(self, name: str, arguments: Json, *, reveal: Mapping[str, str]) -> Json:
        """Return a tool's result; policy, approval and record see handles, never secrets."""
        inner = InnerExchange(self._exchange, "plugin")
        inner.reveal = dict(reveal)
        result = await self._call_tool(inner, {"name": name, "arguments": arguments})
        return hide_secrets(result, reveal) if reveal else result

    def progress(self, note: Progress) -> None:
        """Pass progress on to the client."""
        params: Json = {"progress": note.done}
        if note.total is not None:
            params["total"] = note.total
        if note.message:
            params["message"] = note.message
        self._exchange.progress(params)


@contextmanager
def inside_plugin(name: str, exchange: Exchange) -> Generator[None]:
    """Note that a plugin runs in this task and in what it starts, until the block ends.

    A plugin inside itself would wait for a process that it keeps busy.

    Raises:
        DeniedError: It runs already further out, or too much is inside each other.
    """
    running = _running.get()
    if name in running:
        raise DeniedError(
            f"The plugin {name} cannot call itself: {' → '.join((*running, name))}.",
            next_step="Call the function directly.",
        )
    if exchange.depth >= MAX_DEPTH:
        raise DeniedError(f"More than {MAX_DEPTH} calls are inside each other.")
    token = _running.set((*running, name))
    try:
        yield
    finally:
        _running.reset(token)
