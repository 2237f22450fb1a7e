"""Keeps the servers' own subscriptions in step with what the host's clients want to hear."""

import asyncio
import contextlib
import logging

from host.domain.errors import UpstreamError
from host.domain.jsonrpc import INTERNAL_ERROR, Json, RpcError
from host.domain.protocol import (
    LISTEN_KINDS,
    META_CLIENT_CAPABILITIES,
    TASKS_EXTENSION,
    object_member,
)
from host.gateway.upstream.connection import Connection
from host.gateway.upstream.listing import CAPABILITY, CHANGES

log = logging.getLogger(__name__)


class LinkSubscriptions:
    """The subscriptions of one connection.

    In the handshake era each resource is subscribed by a request of its own; in the stateless era
    one `subscriptions/listen` stream carries everything and is replaced when the wishes change.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._uris: dict[str, int] = {}
        self._tasks: dict[str, int] = {}
        self._stream: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def add(self, uri: str) -> None:
        """Hear of a resource.

        Raises:
            RpcError: The server refused.
        """
        async with self._lock:
            if uri not in self._uris and not self._connection.stateless:
                await self._connection.request("resources/subscribe", {"uri": uri})
            self._uris[uri] = self._uris.get(uri, 0) + 1
            if self._uris[uri] == 1 and self._connection.stateless:
                self.listen()

    async def remove(self, uri: str) -> None:
        """Stop hearing of a resource once nobody else wants it."""
        async with self._lock:
            left = self._uris.get(uri, 0) - 1
            if left > 0:
                self._uris[uri] = left
            elif self._uris.pop(uri, None) is not None and not self._connection.closed:
                if self._connection.stateless:
                    self.listen()
                else:
                    with contextlib.suppress(UpstreamError):
                        await self._connection.request("resources/unsubscribe", {"uri": uri})

    async def add_task(self, task_id: str) -> bool:
        """Hear of a task; the server's acknowledgement is the first news of it.

        Returns:
            Whether it can be heard of: the handshake era has no such subscription.
        """
        async with self._lock:
            if not self._connection.stateless:
                return False
            self._tasks[task_id] = self._tasks.get(task_id, 0) + 1
            if self._tasks[task_id] == 1:
                self.listen()
            return True

    async def remove_task(self, task_id: str) -> None:
        """Stop hearing of a task once nobody else wants it."""
        async with self._lock:
            left = self._tasks.pop(task_id, 0) - 1
            if left > 0:
                self._tasks[task_id] = left
            elif not self._connection.closed:
                self.listen()

    @property
    def wanted(self) -> bool:
        """Whether somebody wants to hear of a resource or a task."""
        return bool(self._uris or self._tasks)

    async def adopt(self, connection: Connection) -> None:
        """Go on with a new session: every resource is subscribed there again."""
        async with self._lock:
            self._connection = connection
            if connection.stateless:
                self.listen()
                return
            for uri in list(self._uris):
                try:
                    await connection.request("resources/subscribe", {"uri": uri})
                except (RpcError, UpstreamError) as error:
                    log.warning("%s no longer tells of %s: %s", connection.name, uri, error)

    def listen(self) -> None:
        """Open the stateless era's stream with the present wishes, in place of the last one."""
        if self._stream is not None:
            self._stream.cancel()
        self._stream = asyncio.create_task(self._listen(), name=f"{self._connection.name} listen")

    def close(self) -> None:
        """Close the stream."""
        if self._stream is not None:
            self._stream.cancel()

    async def _listen(self) -> None:
        """Keep one listen stream open until the server refuses it."""
        delay = 1.0
        while not self._connection.closed:
            wishes: Json = {
                kind: True
                for method, kind in LISTEN_KINDS.items()
                if object_member(self._connection.capabilities, CAPABILITY[CHANGES[method][0]]).get(
                    "listChanged"
                )
            }
            if self._uris:
                wishes["resourceSubscriptions"] = list(self._uris)
            params: Json = {"notifications": wishes}
            if self._tasks:
                wishes["taskIds"] = list(self._tasks)
                known: Json = {"extensions": {TASKS_EXTENSION: {}}}
                params["_meta"] = {META_CLIENT_CAPABILITIES: known}
            if not wishes:
                return
            try:
                await self._connection.request("subscriptions/listen", params, patience=0)
                delay = 1.0
            except RpcError as error:
                if error.code != INTERNAL_ERROR:
                    log.debug("%s does not listen: %s", self._connection.name, error)
                    return
            except UpstreamError as error:
                log.debug("%s: the listen stream broke: %s", self._connection.name, error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, 60.0)
