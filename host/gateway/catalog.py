"""Everything the servers offer, under stable names."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from weakref import WeakSet

from host.domain.errors import UpstreamError
from host.domain.jsonrpc import Json, RpcError
from host.domain.protocol import LIST_METHODS, META_MISSING, object_member
from host.gateway.exchange import Exchange, Session
from host.gateway.names import catalog_names, qualified_uri
from host.gateway.patience import wait_promptly
from host.gateway.pinning import PinDesk
from host.gateway.provider import ToolProvider
from host.gateway.upstream.link import Link
from host.gateway.upstream.listing import KEY, Listing
from host.gateway.uri_template import UriTemplate

log = logging.getLogger(__name__)

NAMED = ("tools/list", "prompts/list")
"""Lists whose entries are renamed; resources keep their URIs."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One tool, prompt, resource or template.

    Attributes:
        name: What clients call it: a catalog name or a URI.
        original: What its server calls it.
        definition: As it is listed, under `name`.
        mirrors: Whether its input schema declares headers that mirror arguments.
        digest: By which records, approvals and grants know its definition and where that is from.
        held: Why it cannot be used, and what to do; None if it can.
        listed: Whether clients are shown it.
    """

    name: str
    server: ToolProvider
    original: str
    definition: Json
    mirrors: bool = False
    digest: str | None = None
    held: str | None = None
    listed: bool = True


@dataclass(frozen=True, slots=True)
class Offer:
    """A merged list.

    Attributes:
        entries: In the order of the configuration, then of each server.
        extra: Cache hints and `_meta` for the answer.
        missing: Servers that did not answer in time or at all, and why.
    """

    entries: list[Entry]
    extra: Json = field(default_factory=dict[str, Any])
    missing: dict[str, str] = field(default_factory=dict[str, str])


class Catalog:
    """The catalog over a set of servers.

    Args:
        servers: By name, in the order of the configuration.
        on_late: Told when a server whose entries were missing from a list has become ready.
        view: Returns the servers that a session sees; None lets all see the same.
        pins: Knows what servers said before; None holds every definition for new.
    """

    def __init__(
        self,
        servers: Mapping[str, ToolProvider],
        on_late: Callable[[ToolProvider], None],
        view: Callable[[Session], Mapping[str, ToolProvider]] | None = None,
        pins: PinDesk | None = None,
    ) -> None:
        self._servers = servers
        self._view = view
        self.pins = pins or PinDesk()
        self._on_late = on_late
        self._slow: WeakSet[ToolProvider] = WeakSet()

    def visible(self, session: Session) -> Mapping[str, ToolProvider]:
        """Return the servers that a session sees, by name."""
        return self._servers if self._view is None else self._view(session)

    def enabled(
        self, session: Session, further: Mapping[str, ToolProvider] | None = None
    ) -> list[ToolProvider]:
        """Return the servers that a session sees and that are not switched off.

        Args:
            session: Whose view it is.
            further: Servers that one request of it sees besides.
        """
        seen = self.visible(session)
        all_of_them = {**seen, **further} if further else seen
        return [server for server in all_of_them.values() if server.config.enabled]

    async def offer(self, exchange: Exchange, method: str) -> Offer:
        """Return what all servers list; one that is dead or slow delays nobody for long.

        Args:
            exchange: Whose view it is.
            method: A list method.
        """
        enabled = self.enabled(exchange.session, exchange.servers)
        at_hand = {server: await self._at_hand(server, exchange, method) for server in enabled}
        asked = [server for server in enabled if at_hand[server] is None]
        tasks = {
            server: asyncio.create_task(self.listed(server, exchange, method)) for server in asked
        }
        known = {server: server.recall(exchange, method) for server in asked}
        prompt = {task: one for one, task in tasks.items() if one not in self._slow}
        if tasks:
            await wait_promptly(prompt, {server for server, last in known.items() if last})
        entries: dict[str, Entry] = {}
        listings: list[Listing] = []
        missing: dict[str, str] = {}
        for server in enabled:
            outcome = at_hand[server] or self._outcome(server, tasks[server], known[server])
            if isinstance(outcome, str):
                missing[server.name] = outcome
                continue
            listings.append(outcome)
            for entry in self.entries(server, method, outcome).values():
                if entry.listed:
                    self._place(entries, entry, method)
        return Offer(list(entries.values()), merge_extra(listings), missing)

    async def _at_hand(
        self, server: ToolProvider, exchange: Exchange, method: str
    ) -> Listing | None:
        """Return a list of the host's own that was read: neither a task nor a wait is needed."""
        if not server.own:
            return None
        link = await server.link(exchange)
        found = link.listings.known(method)
        return found if found is not None and found.is_fresh() else None

    async def listed(self, server: ToolProvider, exchange: Exchange, method: str) -> Listing:
        """Return one server's listing, read again if its time to live is over."""
        link = await server.link(exchange)
        return await link.listings.get(method, fresh=True)

    def _outcome(
        self, server: ToolProvider, task: asyncio.Task[Listing], last: Listing | None
    ) -> Listing | str:
        if not task.done():
            self._slow.add(server)
            task.add_done_callback(lambda done: self._late(server, done, last))
            if last is not None:
                return last
            return f"Server {server.name!r} is still starting."
        error = task.exception()
        if error is None:
            self._slow.discard(server)
            return task.result()
        if not isinstance(error, UpstreamError | RpcError):
            raise error
        return str(error)

    def _late(
        self, server: ToolProvider, task: asyncio.Task[Listing], shown: Listing | None
    ) -> None:
        """Count a server among the prompt ones again, once it has answered at last."""
        if task.cancelled():
            return
        if task.exception() is None:
            self._slow.discard(server)
        if shown is None:
            news = task.exception() is None
        else:
            news = task.exception() is not None or task.result().entries != shown.entries
        if news:
            self._on_late(server)

    def _place(self, entries: dict[str, Entry], entry: Entry, method: str) -> None:
        """Add an entry; where another server has the name already, under a qualified one."""
        if entry.name not in entries:
            entries[entry.name] = entry
        elif method == "resources/list":
            name = qualified_uri(entry.server.name, entry.name)
            definition = {**entry.definition, "uri": name}
            entries.setdefault(name, Entry(name, entry.server, entry.original, definition))
        else:
            owner = entries[entry.name].server.name
            log.warning(
                "%s of %s is hidden: %s has that name too", entry.name, entry.server.name, owner
            )

    def entries(self, server: ToolProvider, method: str, listing: Listing) -> dict[str, Entry]:
        """Return a listing's entries by catalog name, as the server's configuration shows them."""
        memo = listing.memo.get("entries")
        if memo is None or listing.memo["pins"] != self.pins.generation:
            memo = listing.memo["entries"] = self._expose(server, method, listing)
            listing.memo["pins"] = self.pins.generation
        return memo

    def _expose(self, server: ToolProvider, method: str, listing: Listing) -> dict[str, Entry]:
        if method not in NAMED:
            return {
                uri: Entry(uri, server, uri, definition)
                for uri, definition in listing.entries.items()
            }
        config = server.config.tools
        chosen = list(listing.entries)
        if method == "tools/list":
            chosen = [name for name in chosen if is_offered(name, config.allow, config.deny)]
        prefix = server.name if server.config.prefix is None else server.config.prefix
        renamed = {name: config.rename.get(name, name) for name in chosen}
        names = catalog_names(prefix, renamed.values())
        shown = {original: names[new] for original, new in renamed.items()}
        verdicts = self.pins.judge(server, method, listing.entries, shown)
        found: dict[str, Entry] = {}
        for original, new in renamed.items():
            verdict = verdicts[original]
            # What changed is still listed as it was accepted: the new text reaches no model.
            said = listing.entries[original] if verdict.listed is None else verdict.listed
            definition = {**said, KEY[method]: names[new]}
            if method == "tools/list" and original in config.describe:
                definition["description"] = config.describe[original]
            mirrors = "x-mcp-header" in str(definition.get("inputSchema"))
            found[names[new]] = Entry(
                names[new],
                server,
                original,
                definition,
                mirrors=mirrors,
                digest=verdict.digest,
                held=verdict.held,
                listed=verdict.listed is not None,
            )
        return found

    async def find(self, exchange: Exchange, method: str, name: str) -> tuple[Entry, Link] | None:
        """Return an entry by its catalog name or URI, with the connection that serves it.

        Only servers that may own the name are asked; None where none of them has it.

        Raises:
            UpstreamError: The only server that may own it cannot be reached.
            RpcError: It refused to list.
        """
        failure: UpstreamError | RpcError | None = None
        for server in self._owners(exchange, method, name):
            try:
                link = await server.link(exchange)
                listing = await link.listings.get(method)
            except (UpstreamError, RpcError) as error:
                failure = failure or error
                continue
            entry = self.entries(server, method, listing).get(name)
            if entry is not None:
                return entry, link
        if failure is not None:
            raise failure
        return None

    def _owners(self, exchange: Exchange, method: str, name: str) -> list[ToolProvider]:
        """Return the servers that may own a name, in the order of the list."""
        enabled = self.enabled(exchange.session, exchange.servers)
        if method not in NAMED:
            return enabled
        owners: list[ToolProvider] = []
        for server in enabled:
            prefix = server.name if server.config.prefix is None else server.config.prefix
            if not prefix or name.startswith(f"{prefix}__"):
                owners.append(server)
        return owners

    async def find_resource(self, exchange: Exchange, uri: str) -> tuple[ToolProvider, Link, str]:
        """Return who serves a URI: who lists it, else who has a template for it.

        Returns:
            The server, its connection, and the URI as the server knows it.

        Raises:
            LookupError: Nobody does; it names the servers that have not answered yet.
        """
        enabled = self.enabled(exchange.session, exchange.servers)
        for server in enabled:
            own = uri.removeprefix(qualified_uri(server.name, ""))
            if own != uri:
                return server, await server.link(exchange), own
        found = await self._search(exchange, "resources/list", lambda entry: entry.name == uri)
        if found is None:
            found = await self._search(
                exchange,
                "resources/templates/list",
                lambda entry: UriTemplate.parse(entry.original).matches(uri),
            )
        if found is None:
            raise LookupError(*[server.name for server in enabled if server in self._slow])
        return found[0].server, found[1], uri

    async def find_template(self, exchange: Exchange, uri: str) -> tuple[Entry, Link] | None:
        """Return the resource template that is written as `uri`."""
        return await self._search(
            exchange, "resources/templates/list", lambda entry: entry.name == uri
        )

    async def _search(
        self, exchange: Exchange, method: str, wanted: Callable[[Entry], bool]
    ) -> tuple[Entry, Link] | None:
        enabled = self.enabled(exchange.session, exchange.servers)
        if any(not server.links and server not in self._slow for server in enabled):
            await self.offer(exchange, method)  # one that hangs at its start is not waited for
        for server in enabled:
            link: Link | None = None
            if server in self._slow:  # what it listed the last time tells whether to wait for it
                listing = server.recall(exchange, method)
            else:
                try:
                    link = await server.link(exchange)
                    listing = await link.listings.get(method)
                except (UpstreamError, RpcError) as error:
                    log.debug("%s was passed over: %s", server.name, error)
                    continue
            for entry in self.entries(server, method, listing).values() if listing else ():
                if wanted(entry):
                    return entry, link or await server.link(exchange)
        return None


def is_offered(name: str, allow: tuple[str, ...] | None, deny: tuple[str, ...]) -> bool:
    """Whether a server's allow-list and deny-list let a tool through."""
    if any(fnmatchcase(name, pattern) for pattern in deny):
        return False
    return allow is None or any(fnmatchcase(name, pattern) for pattern in allow)


def merge_extra(listings: list[Listing]) -> Json:
    """Return the cache hints of a merged list: the shortest life, the narrowest scope."""
    if len(listings) == 1:
        return dict(listings[0].extra)
    ttls = [listing.extra.get("ttlMs") for listing in listings]
    scopes = [listing.extra.get("cacheScope") for listing in listings]
    numbers = [ttl for ttl in ttls if isinstance(ttl, int | float)]
    extra: Json = {}
    if numbers:
        extra["ttlMs"] = min(numbers) if len(numbers) == len(listings) else 0
    if any(scopes):
        extra["cacheScope"] = "public" if set(scopes) == {"public"} else "private"
    return extra


def wire_list(method: str, offer: Offer) -> Json:
    """Return the result of a list method; its `_meta` names the servers that are missing."""
    result = {**offer.extra, LIST_METHODS[method]: [entry.definition for entry in offer.entries]}
    if offer.missing:
        result["_meta"] = {**object_member(offer.extra, "_meta"), META_MISSING: offer.missing}
    return result
