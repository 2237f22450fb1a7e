"""Subscriptions of the host's clients, in both eras, onto those at the servers."""

import asyncio
import logging
from dataclasses import dataclass, field
from functools import partial

from host.domain.errors import HostError, UpstreamError
from host.domain.jsonrpc import INVALID_PARAMS, INVALID_REQUEST, Json, RpcError
from host.domain.protocol import LISTEN_KINDS, META_SUBSCRIPTION, list_member, object_member
from host.gateway.calls import Caller
from host.gateway.catalog import Catalog
from host.gateway.exchange import Exchange, QuietExchange, Session
from host.gateway.local import LocalConnection, LocalProvider
from host.gateway.notices import TASK_CHANGED, Listener, Notices, tasks_of
from host.gateway.tasks import Tasks
from host.gateway.upstream.connection import Connection
from host.gateway.upstream.subscriptions import LinkSubscriptions

log = logging.getLogger(__name__)

STREAM_LIMIT = 64
"""Listen streams that one session may hold open."""
TASK_PAUSE = 0.1
"""Seconds between two looks at tasks for one stream, however much a server has to say."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """A task that a server tells of, by its id there."""

    subscriptions: LinkSubscriptions
    own: str


@dataclass(eq=False)
class _Stream:
    """One open listen stream.

    Attributes:
        asked: What its tasks are known by that it has to ask about, by the server and the id there:
            those of other servers, and those that do not go on in this process.
        due: Those of them that have news, in order.
        followed: What tells of those of earlier.
    """

    asked: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    followed: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    due: dict[str, None] = field(default_factory=dict[str, None])
    over: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self) -> None:
        """Let it come to its end."""
        self.over = True
        self.news.set()

    def hear(self, server: str, own: str) -> None:
        """Take it that a server has news of a task; of others' tasks it is not believed."""
        task_id = self.asked.get((server, own))
        if task_id is not None:
            self.due[task_id] = None
            self.news.set()

    async def next_task(self) -> str | None:
        """Return the next task that has news; None at the end."""
        while not self.due and not self.over:
            await self.news.wait()
            self.news.clear()
        if self.over:
            return None
        task_id = next(iter(self.due))
        del self.due[task_id]
        return task_id


class Listens:
    """Who subscribed to what, where."""

    def __init__(self, catalog: Catalog, notices: Notices, caller: Caller) -> None:
        self._catalog = catalog
        self._notices = notices
        self._caller = caller
        self._open: dict[Listener, _Stream] = {}
        self._held: dict[tuple[Listener, str], LinkSubscriptions] = {}
        self._tasks: dict[tuple[Listener, str], _Heard] = {}

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
        for key in [key for key in self._tasks if key[0] is listener]:
            heard = self._tasks.pop(key)
            await heard.subscriptions.remove_task(heard.own)

    def end(self, session: Session | None) -> None:
        """Let the listen streams of a session, or all of them, come to their end."""
        for listener, stream in self._open.items():
            if session is None or listener.session is session:
                stream.end()

    def hear(self, connection: Connection, method: str, params: Json) -> None:
        """Take a server's notification, and tell of its tasks whoever listens to them."""
        if isinstance(connection, LocalConnection) and method == TASK_CHANGED:
            self._notices.publish(method, params)
            return
        for task_id in tasks_of(method, params):
            for stream in self._open.values():
                stream.hear(connection.name, task_id)

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
        self._notices.add(listener)
        stream = self._open[listener] = _Stream()
        try:
            honored = await self._honour(exchange, listener, wishes)
            meta = {META_SUBSCRIPTION: exchange.id}
            acknowledged = {"notifications": honored, "_meta": meta}
            exchange.notify("notifications/subscriptions/acknowledged", acknowledged)
            while (news := await stream.next_task()) is not None:
                await self._tell(exchange, listener, news)
                await asyncio.sleep(TASK_PAUSE)
            return {"_meta": meta}
        finally:
            self._open.pop(listener, None)
            for task in stream.followed:
                task.cancel()
            self._notices.remove(listener)
            await asyncio.shield(asyncio.ensure_future(self.leave(listener)))

    async def _honour(self, exchange: Exchange, listener: Listener, wishes: Json) -> Json:
        """Let a listener hear of what it wishes, and return what of that it will."""
        honored: Json = dict.fromkeys(sorted(listener.kinds or ()), True)
        uris = [
            uri
            for uri in list_member(wishes, "resourceSubscriptions")
            if isinstance(uri, str) and await self._try_subscribe(exchange, listener, uri)
        ]
        for task_id in list_member(wishes, "taskIds"):
            if isinstance(task_id, str) and await self._watch(exchange, listener, task_id):
                listener.tasks.add(task_id)
        if listener.tasks:
            honored["taskIds"] = sorted(listener.tasks)
        if uris:
            honored["resourceSubscriptions"] = uris
        return honored

    async def _watch(self, exchange: Exchange, listener: Listener, task_id: str) -> bool:
        """Return whether a task is the client's own and its listener will hear of it."""
        for one in self._catalog.visible(exchange.session).values():
            if isinstance(one, LocalProvider) and one.tasks is not None:
                watched = self._watch_own(exchange, one.tasks, self._open[listener], task_id)
                if await watched:
                    return True
        try:
            place = await self._caller.task_place(exchange, task_id)
        except (RpcError, UpstreamError) as error:
            log.debug("the task %s is not honoured: %s", task_id, error)
            return False
        if place is None:
            return False
        link, own = place.link, place.own
        self._open[listener].asked[link.connection.name, own] = task_id
        if (listener, task_id) not in self._tasks and await link.subscriptions.add_task(own):
            self._tasks[listener, task_id] = _Heard(link.subscriptions, own)
        return (listener, task_id) in self._tasks

    async def _watch_own(
        self, exchange: Exchange, tasks: Tasks, stream: _Stream, task_id: str
    ) -> bool:
        """Return whether a task is one of the host's own, which will be told of."""
        principal = exchange.session.principal
        if tasks.goes_on(principal, task_id):
            return True
        try:
            known = await tasks.is_known(principal, task_id)
        except HostError as error:
            log.debug("the task %s is not honoured: %s", task_id, error)
            return False
        if known:
            stream.asked[tasks.owner, task_id] = task_id
            tell = partial(stream.hear, tasks.owner, task_id)
            following = asyncio.create_task(tasks.follow(principal, task_id, tell))
            stream.followed.append(following)
        return known

    async def _tell(self, exchange: Exchange, listener: Listener, task_id: str) -> None:
        """Ask how a task stands, and pass that on.

        It is asked for like any client's request, since it can hold the result of a call: what the
        server put into its notification would reach the client past policy, taint and the record.
        """
        request = QuietExchange(exchange.session, None, {"_meta": exchange.meta})
        try:
            found = await self._caller.forward(request, "tasks/get", {"taskId": task_id})
        except (RpcError, HostError) as error:
            log.debug("the task %s is not told of: %s", task_id, error)
            return
        apart = ("_meta", "resultType")
        listener.offer(TASK_CHANGED, {k: v for k, v in found.items() if k not in apart})

    async def _try_subscribe(self, exchange: Exchange, listener: Listener, uri: str) -> bool:
        try:
            await self.subscribe(exchange, listener, uri)
        except (RpcError, UpstreamError) as error:
            log.debug("%s is not honoured: %s", uri, error)
            return False
        return True
