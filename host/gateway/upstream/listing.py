"""What one server offers, read once and kept until it says that it changed."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from host.domain.errors import UpstreamProtocolError
from host.domain.jsonrpc import METHOD_NOT_FOUND, Json, RpcError, as_object, encode
from host.domain.protocol import LIST_METHODS, list_member
from host.domain.wait import outcome_of
from host.gateway.upstream.connection import Connection
from host.gateway.upstream.http import HttpChannel

log = logging.getLogger(__name__)

DEEPEST = 200
"""Levels that a definition may be nested; writing recurses, and clients do too."""
PAGE_LIMIT = 1000
"""Pages that a listing may have before the server is taken for one that pages in circles."""

DEPTH_TO_SPARE = 100
"""Levels of nesting that must be left to an entry: it is written and shown inside other things."""

CAPABILITY = {
    "tools/list": "tools",
    "resources/list": "resources",
    "resources/templates/list": "resources",
    "prompts/list": "prompts",
}
KEY = {
    "tools/list": "name",
    "resources/list": "uri",
    "resources/templates/list": "uriTemplate",
    "prompts/list": "name",
}
"""List method → the member that names an entry."""

CHANGES = {
    "notifications/tools/list_changed": ("tools/list",),
    "notifications/prompts/list_changed": ("prompts/list",),
    "notifications/resources/list_changed": ("resources/list", "resources/templates/list"),
}


@dataclass(frozen=True, slots=True)
class Listing:
    """A server's complete answer to one list method.

    Attributes:
        entries: Its tools, resources, templates or prompts, verbatim, by name.
        extra: What else the first page said (`ttlMs`, `cacheScope`, `_meta`).
        read_at: When it was read, on the monotonic clock.
    """

    entries: dict[str, Json] = field(default_factory=dict[str, Json])
    extra: Json = field(default_factory=dict[str, Any])
    read_at: float = 0.0
    memo: dict[str, Any] = field(default_factory=dict[str, Any])
    """What was derived from it, for as long as it lives."""

    def is_fresh(self) -> bool:
        """Whether the server's own time to live has not run out; one that names none has none."""
        ttl = self.extra.get("ttlMs")
        if not isinstance(ttl, int | float):
            return True
        return time.monotonic() < self.read_at + ttl / 1000


class Listings:
    """The listings of one connection, each read at most once at a time.

    Args:
        connection: Whose they are.
        on_read: Told of each list that was read.
    """

    def __init__(
        self,
        connection: Connection,
        on_read: Callable[[str, Listing], None] = lambda method, listing: None,
    ) -> None:
        self._connection = connection
        self._on_read = on_read
        self._known: dict[str, Listing] = {}
        self._reading: dict[str, asyncio.Task[Listing]] = {}

    async def get(self, method: str, *, fresh: bool = False) -> Listing:
        """Return a listing.

        Args:
            method: A list method.
            fresh: Read it again if the server's time to live has run out.

        Raises:
            RpcError: The server refused.
            UpstreamError: It could not be reached.
        """
        known = self._known.get(method)
        if known is not None and (not fresh or known.is_fresh()):
            return known
        task = self._reading.get(method)
        if task is None:
            task = asyncio.create_task(self._read(method), name=f"{self._connection.name} {method}")
            self._reading[method] = task
            task.add_done_callback(lambda done: self._forget(method, done))
        return await outcome_of(task)

    def known(self, method: str) -> Listing | None:
        """Return a listing that has been read, however old."""
        return self._known.get(method)

    def drop(self, method: str) -> None:
        """Forget a listing, and do not keep one that is being read now."""
        self._known.pop(method, None)
        self._reading.pop(method, None)

    def _forget(self, method: str, task: asyncio.Task[Listing]) -> None:
        if self._reading.get(method) is task:
            del self._reading[method]
            if not task.cancelled() and task.exception() is None:
                self._known[method] = task.result()
                self._on_read(method, task.result())
        elif not task.cancelled():
            task.exception()

    async def _read(self, method: str) -> Listing:
        if CAPABILITY[method] not in self._connection.capabilities:
            return Listing(read_at=time.monotonic())
        entries: dict[str, Json] = {}
        extra: Json = {}
        cursors: set[str] = set()
        params: Json | None = None
        started = time.monotonic()
        for page in range(PAGE_LIMIT):
            try:
                result = await self._connection.request(method, params)
            except RpcError as error:
                if error.code == METHOD_NOT_FOUND:
                    break
                raise
            self._collect(method, result, entries)
            if page == 0:
                member = LIST_METHODS[method]
                extra = {k: v for k, v in result.items() if k not in (member, "nextCursor")}
            cursor = result.get("nextCursor")
            if not isinstance(cursor, str):
                break
            if cursor in cursors:
                raise UpstreamProtocolError(
                    f"Server {self._connection.name!r} pages {method} in circles.",
                    upstream=self._connection.name,
                )
            cursors.add(cursor)
            params = {"cursor": cursor}
        return Listing(entries, extra, started)

    def _collect(self, method: str, result: Json, entries: dict[str, Json]) -> None:
        """Keep the usable entries of a page: one bad entry must not cost the others."""
        key = KEY[method]
        for item in list_member(result, LIST_METHODS[method]):
            entry = as_object(item) or {}
            name = entry.get(key)
            if not isinstance(name, str):
                log.warning("%s: %.100r in %s has no %s", self._connection.name, item, method, key)
            elif (wrong := misshapen(method, entry)) is not None:
                log.warning("%s: %.100r is left out: %s", self._connection.name, name, wrong)
            elif not can_be_written(entry):
                log.warning("%s: %.100r in %s is left out", self._connection.name, name, method)
            elif not self._is_refused(method, name, entry):
                entries.setdefault(name, entry)

    def _is_refused(self, method: str, name: str, entry: Json) -> bool:
        """Return whether a tool is forbidden: it mirrors arguments in impossible headers."""
        schema = entry.get("inputSchema")
        over_http = self._connection.stateless and isinstance(self._connection.channel, HttpChannel)
        if method != "tools/list" or not over_http or "x-mcp-header" not in str(schema):
            return False
        from mcp.shared.inbound import (  # noqa: PLC0415 - the SDK loads slowly, most tools need none
            find_invalid_x_mcp_header,
        )

        reason = find_invalid_x_mcp_header(schema)
        if reason is not None:
            log.warning("%s: tool %s is left out: %s", self._connection.name, name, reason)
        return reason is not None


def can_be_written(entry: Json) -> bool:
    """Whether an entry can be sent on: JSON has a text for all of it, and it is not too deep."""
    try:
        encode(entry)
    except RpcError:
        return False
    level: list[object] = [entry]
    for _ in range(DEEPEST):
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return True
    return False


def _inside(value: object) -> list[object]:
    """Return what an object or a list holds."""
    if isinstance(value, dict):
        return list(cast("Json", value).values())
    return list(cast("list[object]", value)) if isinstance(value, list) else []


def misshapen(method: str, entry: Json) -> str | None:
    """Return what is wrong with the shape of an entry, None for a good one.

    Clients check a list as a whole, so that one entry of a wrong shape would cost them all.
    """
    if not entry[KEY[method]]:
        return "it has no name"
    if method == "tools/list" and as_object(entry.get("inputSchema")) is None:
        return "inputSchema is not an object"
    for member in ("outputSchema", "annotations", "execution", "_meta"):
        if entry.get(member) is not None and as_object(entry[member]) is None:
            return f"{member} is not an object"
    for member in ("title", "description", "mimeType"):
        if not isinstance(entry.get(member), str | None):
            return f"{member} is not a text"
    for member in ("icons", "arguments"):
        if not isinstance(entry.get(member), list | None):
            return f"{member} is not a list"
    return None
