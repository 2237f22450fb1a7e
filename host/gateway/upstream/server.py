"""One configured tool server: opens its connections when they are needed and shares them safely."""

import asyncio
import contextlib
import json
import logging
import math
import time
from functools import partial
from typing import TYPE_CHECKING, Literal

from host.config.environment import (
    uses_store,
)
from host.config.servers import ServerConfig
from host.domain.errors import UpstreamError, UpstreamTimeoutError, UpstreamUnavailableError
from host.domain.jsonrpc import Json, RequestId
from host.domain.wait import outcome_of
from host.gateway.exchange import Exchange, Session
from host.gateway.upstream.connection import HOST_INFO, Connection
from host.gateway.upstream.link import Link
from host.gateway.upstream.listing import Listing, Listings
from host.gateway.upstream.opening import Opening, Surroundings
from host.gateway.upstream.remembered import RememberedLists
from host.gateway.upstream.subscriptions import LinkSubscriptions

if TYPE_CHECKING:
    pass

log = logging.getLogger(__name__)

State = Literal["idle", "starting", "ready", "failed", "disabled"]
Key = tuple[str, ...]
"""What a connection is shared by: era, and where it matters capabilities, user, client session."""

FIRST_DELAY, LONGEST_DELAY = 1.0, 60.0
"""Seconds before a server that failed is tried again: the first time, and at most."""
RELEVANT_CAPABILITIES = ("elicitation", "sampling", "roots", "tasks", "extensions", "experimental")
"""Client capabilities that a server can act on."""


_canonical = json.JSONEncoder(sort_keys=True).encode


class UpstreamServer:
    """One entry of `servers:`.

    Args:
        name: Its name.
        config: Its configuration.
        surroundings: What the daemon provides.
    """

    def __init__(self, name: str, config: ServerConfig, surroundings: Surroundings) -> None:
        self.name = name
        self.config = config
        self._around = surroundings
        self._links: dict[Key, Link] = {}
        self._opening: dict[Key, asyncio.Task[Link]] = {}
        self._eras: dict[bool, bool] = {}
        self._orphans: dict[Key, LinkSubscriptions] = {}
        self._burials: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._failed_at = 0.0
        self.known = surroundings.knowledge.of(name, config)
        self._lists = RememberedLists(surroundings.lists, name, config=self.known.config)
        self.last_error: UpstreamError | None = None
        self.last_latency: float | None = None
        """Seconds that opening the last connection took."""
        self._way = Opening(name, config, surroundings)
        if config.protocol != "auto":
            self._eras = {
                True: config.protocol == "stateless",
                False: config.protocol == "handshake",
            }

    @property
    def state(self) -> State:
        """How it is doing."""
        if not self.config.enabled:
            return "disabled"
        if any(not link.connection.closed for link in self._links.values()):
            return "ready"
        if self._opening:
            return "starting"
        return "failed" if self.last_error is not None else "idle"

    @property
    def own(self) -> bool:
        """Whether the host itself offers it: no."""
        return False

    @property
    def talks_back(self) -> bool:
        """Whether it was ever seen to ask something of a client."""
        return self.known.talks_back

    @property
    def links(self) -> list[Link]:
        """The open connections."""
        return [link for link in self._links.values() if not link.connection.closed]

    def recall(self, exchange: Exchange, method: str) -> Listing | None:
        """Return what it listed to the same user the last time; None if that is not known."""
        return self._lists.get(exchange.session.principal.user, method)

    async def link(self, exchange: Exchange) -> Link:
        """Return the connection that serves a request, opening it if need be.

        Raises:
            UpstreamError: It could not be opened; a server that failed just now is not tried again
                before its delay is over.
        """
        wanted = exchange.stateless
        era = wanted if self._eras.get(wanted, True) else not wanted
        key = self._key(exchange, stateless=era)
        link = self._links.get(key)
        if link is not None and link.connection.closed:
            self._bury(key, link)
            link = None
        if link is None:
            link = await self._open_once(key, exchange, stateless=era)
            if link.connection.stateless is not era:
                return await self.link(exchange)
        link.connection.users[exchange.session.id] = exchange.session
        return link

    def _bury(self, key: Key, link: Link) -> None:
        """Clear away what a broken connection leaves; who subscribed there is not forgotten."""
        del self._links[key]
        if link.subscriptions.wanted:
            self._orphans[key] = link.subscriptions
        task = asyncio.create_task(self._end(link), name=f"end {self.name}")
        self._burials.add(task)
        task.add_done_callback(self._burials.discard)

    async def release(self, session: Session) -> None:
        """Forget a client session and close what was private to it."""
        for key, link in list(self._links.items()):
            link.connection.users.pop(session.id, None)
            if link.session_id == session.id:
                await self._close_link(key, link)

    async def restart(self) -> None:
        """Close every connection; the next request opens anew, without waiting for a delay."""
        await self.close()
        self._failures = 0
        self.last_error = None
        if self.config.protocol == "auto":
            self._eras.clear()

    async def close(self) -> None:
        """Close every connection and end every child."""
        for task in list(self._opening.values()):
            task.cancel()
        async with asyncio.TaskGroup() as group:
            for key, link in list(self._links.items()):
                group.create_task(self._close_link(key, link))
        if self._burials:
            await asyncio.wait(self._burials)

    def _key(self, exchange: Exchange, *, stateless: bool) -> Key:
        """Return what the connection for a request is shared by."""
        config = self.config
        private = ("session", exchange.session.id)
        if config.shared is False:
            return (*private, "stateless" if stateless else "handshake")
        user = exchange.session.principal.user
        # A process that works in the store acts as one user there, whatever `shared` says.
        personal = uses_store(config.bundled, config.settings)
        if stateless:
            return ("stateless", "" if config.shared is True and not personal else user)
        if config.shared is True and not personal:
            return ("handshake",)
        capabilities = self._declared(exchange)
        declared = _canonical(capabilities) if capabilities else ""
        if config.kind in ("stdio", "sse") and self.talks_back:
            return (*private, "handshake", declared)
        if config.kind == "bundled":
            return ("handshake", "", user if personal else "")
        return ("handshake", declared, user)

    def _declared(self, exchange: Exchange) -> Json:
        """Return the client capabilities to declare in a handshake."""
        if self.config.shared is True or self.config.kind == "bundled":
            return {}
        if self.config.shared is False or self.config.kind == "http":
            return exchange.capabilities
        return {k: v for k, v in exchange.capabilities.items() if k in RELEVANT_CAPABILITIES}

    async def _open_once(self, key: Key, exchange: Exchange, *, stateless: bool) -> Link:
        task = self._opening.get(key)
        if task is None:
            self._check_source()
            self._check_delay()
            task = asyncio.create_task(
                self._open(key, exchange, stateless=stateless), name=f"open {self.name}"
            )
            self._opening[key] = task
            task.add_done_callback(lambda done: self._settle(key, done))
        try:
            return await outcome_of(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise UpstreamUnavailableError(
                    f"Server {self.name!r} was closed while it started.", upstream=self.name
                ) from None
            raise

    def _settle(self, key: Key, task: asyncio.Task[Link]) -> None:
        if self._opening.get(key) is task:
            del self._opening[key]
        if not task.cancelled():
            task.exception()

    def _check_source(self) -> None:
        held = self._around.hold(self.name, self.config)
        if held is not None:
            raise UpstreamUnavailableError(held, upstream=self.name)

    def _check_delay(self) -> None:
        if self.last_error is None or not self._failures:
            return
        delay = min(FIRST_DELAY * 2 ** (self._failures - 1), LONGEST_DELAY)
        left = self._failed_at + delay - time.monotonic()
        if left > 0:
            raise UpstreamUnavailableError(
                f"{self.last_error.message} It is tried again in {math.ceil(left)} s.",
                upstream=self.name,
                next_step=self.last_error.next_step
                or f"`host servers restart {self.name}` tries at once.",
            )

    async def _open(self, key: Key, exchange: Exchange, *, stateless: bool) -> Link:
        started = time.monotonic()
        try:
            async with asyncio.timeout(self.config.connect_timeout):
                link = await self._connect(exchange, stateless=stateless)
        except TimeoutError as error:
            raise self._failed(self._too_slow()) from error
        except UpstreamError as error:
            raise self._failed(error) from error
        self.last_latency = time.monotonic() - started
        self.last_error, self._failures = None, 0
        actual = link.connection.stateless
        self._eras[actual] = True
        if actual is not stateless:
            self._eras[stateless] = False
            key = self._key(exchange, stateless=actual)
        if key[0] == "session":
            link.session_id = exchange.session.id
        self._links[key] = link
        connection = link.connection
        self._learn(capabilities=connection.capabilities, instructions=connection.instructions)
        orphan = self._orphans.pop(key, None)
        if orphan is not None:
            link.subscriptions = orphan
            self._renewed(link)
        return link

    def _failed(self, error: UpstreamError) -> UpstreamError:
        self.last_error = error
        self._failures += 1
        self._failed_at = time.monotonic()
        log.warning("%s", error, extra={"server": self.name})
        return error

    def _too_slow(self) -> UpstreamTimeoutError:
        words = self._way.starting.last_words if self._way.starting else None
        said = f" Its last words: {words}" if words else ""
        return UpstreamTimeoutError(
            f"Server {self.name!r} was not ready within {self.config.connect_timeout:g} s.{said}",
            upstream=self.name,
            next_step="Raise `connect_timeout` if it has to download something first.",
        )

    async def _connect(self, exchange: Exchange, *, stateless: bool) -> Link:
        holder: list[Connection] = []

        def on_message(message: Json, origin: RequestId | None) -> None:
            holder[0].receive(message, origin)

        channel, child, tasks = await self._way.open(
            on_message, user=exchange.session.principal.user
        )
        connection = Connection(
            self.name,
            channel,
            timeout=self.config.timeout,
            on_notice=self._around.on_notice,
            declared=self._declared(exchange),
            client_info=HOST_INFO,
            on_question=self._note_question,
            tracing=self._around.tracing,
            url=str(self.config.url) if self.config.url else None,
        )
        holder.append(connection)
        if self._around.put is not None:
            connection.put = partial(self._around.put, self)
        user = exchange.session.principal.user
        listings = Listings(connection, lambda method, read: self._lists.keep(user, method, read))
        link = Link(connection, listings, LinkSubscriptions(connection), child, tasks)
        connection.on_renewed = lambda: self._renewed(link)
        try:
            await connection.negotiate(stateless=stateless, both=self.config.protocol == "auto")
        except BaseException:
            await self._end(link)
            raise
        if child is not None:  # until now a failed start is reported by whoever waits for it
            child.exited.add_done_callback(lambda done: self._note_exit(connection, done.result()))
        if connection.stateless:
            link.subscriptions.listen()
        return link

    def _learn(self, **changes: object) -> None:
        """Remember something of the server, beyond this daemon's life."""
        self.known = self.known.model_copy(update=changes)
        self._around.knowledge.note(self.name, self.known)

    def _note_question(self) -> None:
        if not self.talks_back and self.config.shared == "auto":
            self._learn(talks_back=True)
            told = {"server": self.name}
            log.info("%s asks its clients: each gets its own session", self.name, extra=told)

    def _note_exit(self, connection: Connection, status: int) -> None:
        """A child ended: the next request starts a new one, after a delay if it keeps ending."""
        if connection.ended:
            return
        connection.ended = True
        self._failed(self._way.ended_with(status, connection.channel))

    def _renewed(self, link: Link) -> None:
        """Tell a server's new session what the old one knew."""
        task = asyncio.create_task(link.subscriptions.adopt(link.connection))
        link.tasks.append(task)
        task.add_done_callback(link.tasks.remove)

    async def _close_link(self, key: Key, link: Link) -> None:
        if self._links.get(key) is link:
            del self._links[key]
        await self._end(link)

    async def _end(self, link: Link) -> None:
        link.connection.ended = True
        link.subscriptions.close()
        with contextlib.suppress(UpstreamError, OSError):
            await link.connection.close()
        if link.child is not None:
            await self._around.keeper.stop(link.child)
        for task in link.tasks:
            task.cancel()
