"""The servers that a client sees by the folder it works in: a trusted project's own come along."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from host.config.files import Stamp, stamp_file
from host.config.load import LoadedSettings
from host.config.servers import ServerConfig
from host.config.settings import Settings
from host.domain.errors import ConfigError
from host.gateway.upstream.server import UpstreamServer

log = logging.getLogger(__name__)

LOOK_INTERVAL = 1.0
"""Seconds for which a folder's files are taken to be what they were."""
MOST = 64
"""Folders with servers of their own that are kept; the least recently used goes first."""


@dataclass(eq=False, slots=True)
class _View:
    """What holds in one folder.

    Attributes:
        servers: By name.
        own: Those of them that only this folder has.
        watched: The files that were read, with their stamps.
        looked_at: When these were last compared, on the monotonic clock.
    """

    servers: Mapping[str, UpstreamServer]
    own: dict[str, UpstreamServer] = field(default_factory=dict[str, UpstreamServer])
    watched: Mapping[Path, Stamp | None] = field(default_factory=dict[Path, Stamp | None])
    looked_at: float = 0.0


class Folders:
    """Knows the servers of each folder that clients work in.

    A folder whose `host.yaml` is trusted adds servers and tightens the user's; every other folder
    sees what the daemon itself runs with.

    Args:
        base: The daemon's own servers; the mapping changes with the configuration.
        load: Returns the settings that hold in a folder.
        make: Makes a server that only a folder has.
    """

    def __init__(
        self,
        base: Mapping[str, UpstreamServer],
        load: Callable[[Path], LoadedSettings],
        make: Callable[[str, ServerConfig], UpstreamServer],
    ) -> None:
        self._base = base
        self._load = load
        self._make = make
        self._views: OrderedDict[Path, _View] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    def servers(self, folder: Path) -> Mapping[str, UpstreamServer]:
        """Return the servers that a client working in a folder sees."""
        view = self._views.get(folder)
        if view is None or time.monotonic() > view.looked_at + LOOK_INTERVAL:
            view = self._look(folder, view)
        self._views.move_to_end(folder)
        return view.servers

    def own(self) -> Iterator[UpstreamServer]:
        """Yield the servers that only some folder has."""
        for view in list(self._views.values()):
            yield from view.own.values()

    def refresh(self) -> None:
        """Look at every folder again: what they build on is another configuration."""
        for folder, view in list(self._views.items()):
            view.watched = {}
            self._look(folder, view)

    async def close(self) -> None:
        """Close the servers that only some folder has."""
        for view in self._views.values():
            self._end(view.own.values())
        self._views.clear()
        if self._closing:
            await asyncio.wait(self._closing)

    def _look(self, folder: Path, view: _View | None) -> _View:
        """Read a folder's files, if one of them changed; a faulty edit leaves what held before."""
        now = time.monotonic()
        if view is not None and view.watched and not _changed(view.watched):
            view.looked_at = now
            return view
        try:
            loaded = self._load(folder)
        except ConfigError as error:
            log.warning("what held before stays in force in %s: %s", folder, error)
            view = view or _View(self._base)
            view.looked_at = now
            self._views[folder] = view
            return view
        for warning in loaded.warnings:
            log.warning("%s", warning)
        fresh = self._build(loaded.settings, view)
        fresh.watched, fresh.looked_at = loaded.watched, now
        self._views[folder] = fresh
        if view is not None:
            kept = set(map(id, fresh.own.values()))
            self._end(server for server in view.own.values() if id(server) not in kept)
        while len(self._views) > MOST:
            self._end(self._views.popitem(last=False)[1].own.values())
        return fresh

    def _build(self, settings: Settings, before: _View | None) -> _View:
        servers: dict[str, UpstreamServer] = {}
        own: dict[str, UpstreamServer] = {}
        for name, config in settings.servers.items():
            shared, kept = self._base.get(name), before.own.get(name) if before else None
            if shared is not None and shared.config == config:
                servers[name] = shared
            elif kept is not None and kept.config == config:
                servers[name] = own[name] = kept
            else:
                servers[name] = own[name] = self._make(name, config)
        return _View(servers, own)

    def _end(self, servers: Iterable[UpstreamServer]) -> None:
        for server in servers:
            task = asyncio.create_task(server.close(), name=f"close {server.name}")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


def _changed(watched: Mapping[Path, Stamp | None]) -> bool:
    return any(stamp_file(file) != stamp for file, stamp in watched.items())
