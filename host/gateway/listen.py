"""Subscriptions of the host's clients, in both eras, onto those at the servers."""

import asyncio
import logging

from host.domain.errors import UpstreamError
from host.domain.jsonrpc import INVALID_PARAMS, INVALID_REQUEST, Json, RpcError
from host.domain.protocol import LISTEN_KINDS, META_SUBSCRIPTION, list_member, object_member
from host.gateway.catalog import Catalog
from host.gateway.exchange import Exchange, Session
from host.gateway.local import LocalProvider
from host.gateway.notices import Listener, Notices
from host.gateway.upstream.subscriptions import LinkSubscriptions

log = logging.getLogger(__name__)

STREAM_LIMIT = 64
"""Listen streams that one session may hold open."""


class Listens:
    """Who subscribed to what, where."""

    def __init__(self, catalog: Catalog, notices: Notices) -> None:
        self._catalog = catalog
        self._notices = notices
        self._open: dict[Listener, asyncio.Event] = {}
        self._held: dict[tuple[Listener, str], LinkSubscriptions] = {}

    async def subscribe(self, exchange: Exchange, listener: Listener, uri: str) -> None:
        """Let a listener hear of a resource.

        Raises:
            RpcError: No server has it, or its server refused.
        """
        if (listener, uri) in self._held:
            return
        try:
            _, link, own = await self._catalog.find_resource(exchange, uri)
        except LookupError as error:
            raise RpcError(INVALID_PARAMS, f"Nobody offers the resource {uri}.") from error
        await link.subscriptions.add(own)
        listener.uris.add(own)
        self._held[listener, uri] = link.subscriptions

    async def unsubscribe(self, listener: Listener, uri: str) -> None:
        """Let a listener no longer hear of a resource."""
        subscriptions = self._held.pop((listener, uri), None)
        listener.uris.discard(uri)
        if subscriptions is not None:
            await subscriptions.remove(uri)

    async def leave(self, listener: Listener) -> None:
        """Undo every subscription of a listener."""
        for held, uri in [key for key in self._held if key[0] is listener]:
            try:
                await self.unsubscribe(held, uri)
            except (UpstreamError, RpcError) as error:
                log.debug("%s stays subscribed: %s", uri, error)

    def end(self, session: Session | None) -> None:
        """Let the listen streams of a session, or all of them, come to their end."""
        for listener, over in self._open.items():
            if session is None or listener.session is session:
                over.set()

    async def serve(self, exchange: Exchange, params: Json) -> Json:
        """Serve `subscriptions/listen` until its client closes the stream, or the host ends it."""
        if exchange.id is None or not exchange.stateless:
            raise RpcError(INVALID_REQUEST, "subscriptions/listen belongs to the stateless era.")
        wishes = object_member(params, "notifications")
        kinds = frozenset(kind for kind in LISTEN_KINDS.values() if wishes.get(kind) is True)
        listener = Listener(exchange.session, exchange.notify, exchange.id, kinds)
        streams = [other for other in self._notices if other.session is exchange.session]
        if len(streams) >= STREAM_LIMIT:
            raise RpcError(INVALID_REQUEST, f"{STREAM_LIMIT} listen streams are open already.")
        honored: Json = dict.fromkeys(sorted(kinds), True)
        uris: list[str] = []
        self._notices.add(listener)
        try:
            for uri in list_member(wishes, "resourceSubscriptions"):
                if isinstance(uri, str) and await self._try_subscribe(exchange, listener, uri):
                    uris += [uri]
            listener.tasks |= self._watched(exchange, list_member(wishes, "taskIds"))
            if listener.tasks:
                honored["taskIds"] = sorted(listener.tasks)
            if uris:
                honored["resourceSubscriptions"] = uris
            meta = {META_SUBSCRIPTION: exchange.id}
            acknowledged = {"notifications": honored, "_meta": meta}
            exchange.notify("notifications/subscriptions/acknowledged", acknowledged)
            over = self._open[listener] = asyncio.Event()
            await over.wait()
            return {"_meta": meta}
        finally:
            self._open.pop(listener, None)
            self._notices.remove(listener)
            await asyncio.shield(asyncio.ensure_future(self.leave(listener)))

    def _watched(self, exchange: Exchange, wished: list[object]) -> set[str]:
        """Return those of some tasks that run here and are the client's own."""
        principal = exchange.session.principal
        own = [
            one.tasks
            for one in self._catalog.visible(exchange.session).values()
            if isinstance(one, LocalProvider) and one.tasks is not None
        ]
        return {
            one
            for one in wished
            if isinstance(one, str) and any(tasks.watched(principal, one) for tasks in own)
        }

    async def _try_subscribe(self, exchange: Exchange, listener: Listener, uri: str) -> bool:
        try:
            await self.subscribe(exchange, listener, uri)
        except (RpcError, UpstreamError) as error:
            log.debug("%s is not honoured: %s", uri, error)
            return False
        return True
