"""All installed plugins of a daemon, kept in line with what the user approved and edits."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, MutableMapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from host.config.files import Stamp, stamp_file
from host.config.watch import notices
from host.domain.errors import ConfigError, HostError, SandboxError
from host.domain.shell import quoted
from host.gateway.provider import ToolProvider
from host.plugins.bundle import CODE, Bundle
from host.plugins.code import PluginCode
from host.plugins.crew import Crew
from host.plugins.installed import Installed, Register
from host.plugins.log import PluginLog
from host.plugins.manifest import MANIFEST
from host.plugins.provider import PluginProvider, PluginSurroundings
from host.sandbox.pool import SandboxPool

log = logging.getLogger(__name__)

State = Literal["ready", "disabled", "changed", "broken"]
"""`changed`: edited since it was approved, the approved version runs on; `broken`: see `problem`,
and the last good version runs on if there was one."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How one installed plugin is doing.

    Attributes:
        name: The plugin.
        version: Of what runs; empty if nothing does.
        state: See `State`.
        problem: What is wrong, and what to do; empty if nothing is.
        place: Where it was installed from.
        editable: Whether edits take effect unasked.
        tools: Its tools, by catalog name.
        functions: Its hooks, evaluators and rules.
        processes: How many processes run it now.
    """

    name: str
    version: str
    state: State
    problem: str
    place: str
    editable: bool
    tools: tuple[str, ...]
    functions: tuple[str, ...]
    processes: int


class PluginShelf:
    """Starts, replaces and ends plugins.

    Args:
        register: What is installed.
        pool: Where processes come from.
        around: What plugins use of the daemon.
        logs: Folder of log files.
        offered: Providers by name; plugins are put in and taken out.
        taken: Returns names that belong to others, such as servers.
    """

    def __init__(
        self,
        register: Register,
        pool: SandboxPool,
        around: PluginSurroundings,
        *,
        logs: Path,
        offered: MutableMapping[str, ToolProvider],
        taken: Callable[[], frozenset[str]],
    ) -> None:
        self.register = register
        self._pool = pool
        self._around = around
        self._logs = logs
        self._offered = offered
        self._taken = taken
        self._providers: dict[str, PluginProvider] = {}
        self._entries: dict[str, Installed] = {}
        self._problems: dict[str, str] = {}
        self._tried: dict[str, str] = {}
        self._changed: frozenset[str] = frozenset()
        self._turn = asyncio.Lock()
        self._code = PluginCode(lambda: self._providers)

    def provider(self, name: str) -> PluginProvider | None:
        """Return a running plugin; None if it does not run."""
        return self._providers.get(name)

    @property
    def code(self) -> PluginCode:
        """Calls their hooks, evaluators and rules."""
        return self._code

    def standings(self) -> list[Standing]:
        """Return how every installed plugin is doing."""
        return [self._standing(entry) for entry in self._entries.values()]

    async def refresh(self) -> None:
        """Bring what runs in line with what is installed.

        A plugin that does not load leaves its last good version running, and says why.
        """
        async with self._turn:
            try:
                entries = {entry.name: entry for entry in self.register.entries()}
            except ConfigError as error:
                log.error("plugins stay as they were: %s", error)  # noqa: TRY400 - a user's file
                return
            self._entries = entries
            on = self._around.config().enabled
            wanted = [entry for entry in entries.values() if entry.enabled and on]
            for entry in wanted:
                self._place(entry.name)
            for name in self._providers.keys() - {entry.name for entry in wanted}:
                await self._end(name)
            self._changed = frozenset(one.name for one in wanted if self._is_changed(one))
            for entry in wanted:
                await self._settle(entry)

    async def watch(self) -> None:
        """Follow installs and edits, and end processes that nobody uses, until cancelled."""
        seen: dict[Path, Stamp | None] = {}
        while True:
            now = _stamps(self._watched())
            await self.refresh()
            # A file that the refresh was the first to name counts as edited, to be looked at again.
            seen = {file: now.get(file) for file in self._watched()}
            async with aclosing(notices(seen, None)) as told:
                async for _ in told:
                    self._end_idle(self._around.config().idle_timeout)
                    if _stamps(seen) != seen:
                        break

    async def close(self) -> None:
        """End all plugins."""
        for name in list(self._providers):
            await self._end(name)

    def _standing(self, entry: Installed) -> Standing:
        provider = self._providers.get(entry.name)
        version = provider.version if provider else None
        problem = self._problems.get(entry.name, "")
        state: State = "ready"
        if not entry.enabled:
            state = "disabled"
        elif problem or version is None:
            state = "broken"
        elif entry.name in self._changed and not entry.editable:
            state = "changed"
            problem = f"It was edited; `host plugins install {entry.name}` shows and approves it."
        declared = provider.functions if provider else ()
        return Standing(
            name=entry.name,
            version=version.bundle.manifest.version if version else "",
            state=state,
            problem=problem,
            place=entry.place,
            editable=entry.editable,
            tools=tuple(f"{entry.name}__{one.name}" for one in declared if one.kind == "tool"),
            functions=tuple(f"{one.kind} {one.name}" for one in declared if one.kind != "tool"),
            processes=version.crew.processes if version else 0,
        )

    def _is_changed(self, entry: Installed) -> bool:
        try:
            return self.register.current(entry).digest != entry.digest
        except ConfigError:
            return True

    def _place(self, name: str) -> None:
        """Offer a plugin that is about to start, so that lists wait for it."""
        if name not in self._providers and name not in self._taken():
            provider = PluginProvider(name, self._around, PluginLog(self._logs, name))
            self._providers[name] = self._offered[name] = provider

    async def _settle(self, entry: Installed) -> None:
        """Start a plugin, or its next version."""
        provider = self._providers.get(entry.name)
        try:
            bundle = self._wanted(entry)
            running = provider.version if provider else None
            if running is None or running.bundle.digest != bundle.digest:
                if self._tried.get(entry.name) == bundle.digest:
                    return  # it does not load, and has been said to
                self._tried[entry.name] = bundle.digest
                await self._begin(bundle)
        except HostError as error:
            self._report(entry.name, error)
        else:
            self._problems.pop(entry.name, None)
            self._tried.pop(entry.name, None)
        if provider is not None:
            provider.settle()

    def _wanted(self, entry: Installed) -> Bundle:
        """Return the version that is to run.

        Raises:
            ConfigError: There is none, or it asks for more than was approved.
        """
        if not entry.editable:
            return self.register.approved(entry)
        bundle = self.register.current(entry)
        if bundle.name != entry.name:
            raise ConfigError(
                f"{entry.place} is now the plugin {bundle.name}.",
                next_step=f"Run `host plugins install {quoted(entry.place)}`.",
            )
        if not bundle.manifest.capabilities.within(entry.capabilities):
            raise ConfigError(
                f"The plugin {entry.name} asks for more than was approved.",
                next_step=f"`host plugins install --editable {quoted(entry.place)}` shows what.",
            )
        return bundle

    async def _begin(self, bundle: Bundle) -> None:
        provider = self._providers.get(bundle.name)
        if provider is None:
            raise SandboxError(
                f"The plugin {bundle.name} has the name of something else.",
                next_step="Rename it in its manifest, or the server in host.yaml.",
            )
        provider.replace(bundle, await Crew.start(self._pool, bundle))
        provider.log.write("info", f"version {bundle.manifest.version} is in force")

    def _report(self, name: str, error: HostError) -> None:
        if self._problems.get(name) == str(error):
            return
        self._problems[name] = str(error)
        provider = self._providers.get(name)
        stays = "; the last good version stays in force" if provider and provider.version else ""
        log.error("plugin %s%s: %s", name, stays, error)
        PluginLog(self._logs, name).write("error", f"not in force: {error}")

    async def _end(self, name: str) -> None:
        provider = self._providers.pop(name)
        self._offered.pop(name, None)
        self._problems.pop(name, None)
        provider.changed()
        await provider.close()

    def _end_idle(self, after: float) -> None:
        for provider in self._providers.values():
            if provider.version is not None:
                provider.version.crew.end_idle(time.monotonic() - after)

    def _watched(self) -> list[Path]:
        files = [self.register.file]
        for entry in self._entries.values():
            place = Path(entry.place)
            files += [place / MANIFEST, place / CODE] if place.is_dir() else [place]
        return files


def _stamps(files: Iterable[Path]) -> dict[Path, Stamp | None]:
    return {file: stamp_file(file) for file in files}
