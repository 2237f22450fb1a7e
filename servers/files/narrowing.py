"""Narrows the served roots to those that the calling client declares as its own."""

import warnings
from typing import Any

from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from mcp.shared.exceptions import MCPDeprecationWarning, MCPError
from typing_extensions import override

from servers.files.roots import KnownParts
from servers.files.service import Service, client_roots
from servers.tool import RefusalError

_GUARDED = frozenset(
    {
        "tools/call",
        "resources/read",
        "resources/subscribe",
        "subscriptions/listen",
        "completion/complete",
    }
)


class ClientRootsMiddleware(Middleware):
    """Asks the client for its roots before every call that touches files; no answer, no files."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._known: KnownParts = {}

    @override
    async def on_request(
        self, context: MiddlewareContext[Any], call_next: CallNext[Any, Any]
    ) -> Any:
        if context.method not in _GUARDED or client_roots.get() is not None:
            return await call_next(context)
        uris = await _ask(context)
        token = client_roots.set(self._service.all_roots.narrowed(uris, self._known))
        try:
            return await call_next(context)
        finally:
            client_roots.reset(token)


async def _ask(context: MiddlewareContext[Any]) -> list[str]:
    session = context.fastmcp_context.session if context.fastmcp_context else None
    if session is None:
        raise RefusalError("There is no client session to ask for roots.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MCPDeprecationWarning)
            answer = await session.list_roots()  # pyright: ignore[reportDeprecated]
    except MCPError as error:
        raise RefusalError(
            f"The client did not say which folders are its own: {error}.",
            "Use a client that declares roots, or the setting client_roots: ignore.",
        ) from error
    return [str(root.uri) for root in answer.roots]
