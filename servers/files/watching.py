"""Tells subscribed clients when a file changes, in both eras of the protocol."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
from fastmcp import FastMCP
from mcp.server.context import ServerRequestContext
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)
from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType] - its stop_event

from servers.files.rooted import Place, kind_of, status_of
from servers.files.service import Service
from servers.tool import RefusalError

_TICK_MILLISECONDS = 1000
"""How often files are compared even without an event; network file systems send none."""
_MOST_WATCHED = 1000

Signature = tuple[int, int, int] | None


class Watcher:
    """Watches the folders of subscribed files and reports those that changed."""

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self._places: dict[str, Place] = {}
        self._counts: Counter[str] = Counter()
        self._seen: dict[str, Signature] = {}
        self._sessions: dict[str, list[ServerSession]] = {}
        self._again = anyio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Watch while the server runs."""
        # A task of its own: FastMCP may leave its lifespan inside other cancel scopes than those it
        # entered it in, which no task group across the `yield` survives.
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def add(self, uri: str, place: Place) -> None:
        """Watch a file once more.

        Raises:
            RefusalError: When too many are watched, or the file's folder cannot be opened.
        """
        if uri not in self._places and len(self._places) >= _MOST_WATCHED:
            raise RefusalError("Too many files are watched.", "Unsubscribe from others first.")
        if uri not in self._places:
            self._seen[uri] = _sign(place)
            self._places[uri] = place
            self._again.set()
        self._counts[uri] += 1

    def remove(self, uri: str) -> None:
        """Watch a file once less."""
        self._counts[uri] -= 1
        if self._counts[uri] <= 0:
            del self._counts[uri]
            self._places.pop(uri, None)
            self._seen.pop(uri, None)
            self._again.set()

    def subscribe(self, uri: str, session: ServerSession) -> None:
        """Notify a handshake-era session of changes."""
        self._sessions.setdefault(uri, []).append(session)

    def unsubscribe(self, uri: str) -> bool:
        """Stop the oldest handshake-era subscription; returns whether there was one."""
        sessions = self._sessions.get(uri, [])
        if not sessions:
            return False
        sessions.pop(0)
        return True

    @contextmanager
    def watching(self, places: dict[str, Place]) -> Generator[None]:
        """Watch files for as long as a stream listens."""
        added: list[str] = []
        try:
            for uri, place in places.items():
                self.add(uri, place)
                added.append(uri)
            yield
        finally:
            for uri in added:
                self.remove(uri)

    async def _run(self) -> None:
        while True:
            self._again = anyio.Event()
            folders = {
                place.root.path.joinpath(*place.parts[:-1]) for place in self._places.values()
            }
            existing = [folder for folder in folders if folder.is_dir()]
            if not existing:
                with anyio.move_on_after(_TICK_MILLISECONDS / 1000 if folders else None):
                    await self._again.wait()
                await self._report()
                continue
            async for _ in awatch(
                *existing,
                stop_event=self._again,
                watch_filter=None,
                recursive=False,
                debounce=100,
                rust_timeout=_TICK_MILLISECONDS,
                yield_on_timeout=True,
                ignore_permission_denied=True,
            ):
                await self._report()

    async def _report(self) -> None:
        """Compare every watched file with what it was and notify of those that differ."""
        for uri, place in list(self._places.items()):
            now = _sign(place)
            if now != self._seen.get(uri):
                self._seen[uri] = now
                await self._notify(uri)

    async def _notify(self, uri: str) -> None:
        await self.bus.publish(ResourceUpdated(uri=uri))
        for session in list(self._sessions.get(uri, [])):
            try:
                await session.send_resource_updated(uri)
            except (anyio.ClosedResourceError, anyio.BrokenResourceError, MCPError):
                self._sessions[uri].remove(session)
                self.remove(uri)


def _sign(place: Place) -> Signature:
    try:
        status = status_of(place)
    except (RefusalError, OSError):
        return None
    if status is None:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def register_subscriptions(server: FastMCP[Any], service: Service, watcher: Watcher) -> None:
    """Serve `resources/subscribe` (handshake era) and `subscriptions/listen` (stateless era)."""
    listen_handler = ListenHandler(watcher.bus)

    async def subscribe(
        context: ServerRequestContext[Any, Any], params: SubscribeRequestParams
    ) -> EmptyResult:
        uri = str(params.uri)
        try:
            watcher.add(uri, _watchable(service, uri))
        except RefusalError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error
        watcher.subscribe(uri, context.session)
        return EmptyResult()

    async def unsubscribe(
        _context: ServerRequestContext[Any, Any], params: UnsubscribeRequestParams
    ) -> EmptyResult:
        uri = str(params.uri)
        if watcher.unsubscribe(uri):
            watcher.remove(uri)
        return EmptyResult()

    async def listen(
        context: ServerRequestContext[Any, Any], params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        uris = [str(uri) for uri in params.notifications.resource_subscriptions or ()]
        try:
            places = {uri: _watchable(service, uri) for uri in uris}
            with watcher.watching(places):
                return await listen_handler(context, params)
        except RefusalError as error:
            raise MCPError(INVALID_PARAMS, str(error)) from error

    low = server._mcp_server  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - no public way in FastMCP 4.1
    low.add_request_handler("resources/subscribe", SubscribeRequestParams, subscribe)
    low.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, unsubscribe)
    low.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, listen)


def _watchable(service: Service, uri: str) -> Place:
    """The file that a subscription names; it need not be there yet, but its folder must."""
    place = service.place(uri)
    if place.parts:
        status = status_of(place.parent)
        if status is None or kind_of(status) != "folder":
            raise RefusalError(f"The folder of {str(place)!r} is not there.", "Make it first.")
    return place
