"""Runs plugins for the daemon: blank confined workers on stock, one for each plugin and tenant."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Sequence
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from host.domain.errors import (
    ConfinementError,
    HostError,
    SandboxError,
)
from host.sandbox.broker import Broker
from host.sandbox.compiled import CompiledCode
from host.sandbox.config import MEBIBYTE, Limits, SandboxConfig
from host.sandbox.process.cgroup import Cgroups, claim
from host.sandbox.process.connection import Connection
from host.sandbox.process.layer import ACTIVE
from host.sandbox.process.link import ZygoteLink, ZygoteSettings
from host.sandbox.report import ConfinementReport, require
from host.sandbox.running import DeclaredFunction, PluginWorker, Servers, StartOrder

__all__ = ["LOADER", "DeclaredFunction", "PluginWorker", "SandboxPool", "Servers"]

LOADER = "host.sandbox.compiler:compile_plugin"
_SWEEP_SECONDS = 1.0


async def confinement_report(settings: SandboxConfig, *, loader: str = LOADER) -> ConfinementReport:
    """Forks one worker and reports which layers hold, for `host doctor`; never refuses.

    Raises:
        SandboxError: No worker can be started at all.
    """
    lenient = settings.model_copy(update={"confinement": "reduced", "pool_size": 0})
    async with SandboxPool(lenient, loader=loader) as pool:
        connection = await pool.take()
        connection.close()
        return ConfinementReport.of(connection.layers, settings.confinement)


class SandboxPool:
    """The plugins of one daemon; an async context manager on asyncio.

    Args:
        settings: The `sandbox:` block of host.yaml.
        loader: `module:function` that compiles plugin source, imported by the zygote.
        layers: Confinement layers to apply; empty means all. For tests of single layers.
    """

    def __init__(
        self, settings: SandboxConfig, *, loader: str = LOADER, layers: Sequence[str] = ()
    ) -> None:
        self._settings = settings
        memory = settings.max_memory_mb * MEBIBYTE
        wanted = sys.platform == "linux" and (not layers or "cgroup" in layers)
        self._cgroups: Cgroups | str | None = None if wanted else "switched off"
        self._zygote_settings = ZygoteSettings(loader, tuple(layers), memory)
        self._link: ZygoteLink | None = None
        self._linking = anyio.Lock()
        self._blank: list[Connection] = []
        self._filling = False
        self._workers: set[PluginWorker] = set()
        self._tasks: TaskGroup | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._closed = False
        self.compiled = CompiledCode()
        """What plugins were compiled to by workers of the present zygote."""
        self.zygotes = 0
        """Zygotes started so far; more than one means that one died."""

    async def __aenter__(self) -> Self:
        """Opens the pool; the first plugin or `warm` starts the zygote."""
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._sweep)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends every plugin and the zygote."""
        self._closed = True
        for worker in list(self._workers):
            worker.stop()
        self._drop_blank()
        if self._link is not None:
            self._link.close()
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)
        tasks = self._running_tasks()
        tasks.cancel_scope.cancel()
        await tasks.__aexit__(None, None, None)  # the body's own error is raised as it is
        self._drop_blank()  # one may have become ready while the tasks ended
        if isinstance(self._cgroups, Cgroups):
            self._cgroups.sweep()

    @property
    def zygote_pid(self) -> int:
        """Pid of the zygote's keeper, 0 while there is none."""
        return self._link.pid if self._link else 0

    @property
    def zygote_alive(self) -> bool:
        """Whether there is a zygote that can be asked for workers."""
        return self._link is not None and self._link.alive

    async def warm(self) -> ConfinementReport:
        """Starts the zygote and fills the stock; returns which layers hold.

        Raises:
            ConfinementError: Less holds than `sandbox.confinement` requires.
        """
        connection = await self.take()
        self._blank.append(connection)
        await self._fill()
        return ConfinementReport.of(connection.layers, self._settings.confinement)

    async def start(  # noqa: PLR0913 - each is one fact about the plugin
        self,
        source: str,
        *,
        plugin: str,
        tenant: str,
        broker: Broker,
        limits: Limits | None = None,
        servers: Servers | None = None,
        entry: str = "",
    ) -> PluginWorker:
        """Starts a plugin in a process of its own.

        Args:
            source: Its Python code, compiled inside the confined process.
            plugin: Its name, for errors.
            tenant: On whose behalf it runs; two tenants never share a process.
            broker: Answers its requests.
            limits: What it may use.
            servers: What it can import as `tools.SERVER`.
            entry: Name of a function that its source is the body of, instead of a module's.

        Raises:
            PluginLoadError: It does not compile or load.
            ConfinementError: This machine offers less than `sandbox.confinement` requires.
            SandboxError: Too many plugins run, or its limits exceed the host's.
        """
        limits = limits or Limits()
        if len(self._workers) >= self._settings.max_workers:
            msg = f"{len(self._workers)} plugins run already."
            raise SandboxError(msg, next_step="Stop one, or raise `sandbox.max_workers`.")
        if limits.memory_bytes > self._settings.max_memory_mb * MEBIBYTE:
            msg = f"The plugin {plugin} asks for {limits.memory_bytes // MEBIBYTE} MiB of memory."
            raise SandboxError(msg, next_step="Lower it, or raise `sandbox.max_memory_mb`.")
        started = StartOrder(source, plugin, tenant, limits, broker, servers or {}, entry)
        worker = PluginWorker(self, started)
        self._workers.add(worker)
        try:
            await worker.begin()
        except BaseException:
            self._workers.discard(worker)
            raise
        finally:
            # Not now, nor in `take`: forking would slow the start down.
            asyncio.get_running_loop().call_soon(self.refill)
        return worker

    async def take(self) -> Connection:
        """Takes a blank worker from the stock, or forks one."""
        while self._blank:
            connection = self._blank.pop(0)
            if connection.alive:
                return connection
        return await self._fork(rehearse=False)

    def forget(self, worker: PluginWorker) -> None:
        """Removes a stopped worker from the books."""
        self._workers.discard(worker)

    async def _fork(self, *, rehearse: bool = True) -> Connection:
        link = await self._zygote()
        connection = Connection(await link.fork(rehearse=rehearse), spawn=self._serve)
        try:
            grouped = await self._group(connection)
            await connection.hello()
            connection.layers = {**connection.layers, "cgroup": grouped}
            require(connection.layers, self._settings.confinement)
        except BaseException:
            connection.close()
            raise
        return connection

    async def _group(self, connection: Connection) -> str:
        """Puts a worker into a cgroup of its own; returns why it has none, else nothing."""
        if isinstance(self._cgroups, str):
            return self._cgroups
        fork = connection.fork
        try:
            if self._cgroups is None:
                self._cgroups = await anyio.to_thread.run_sync(claim)
            group = await anyio.to_thread.run_sync(self._cgroups.enter, fork.pid)
        except OSError as error:
            if self._cgroups is None:
                self._cgroups = str(error)  # nobody hands a group over later
            return str(error)
        connection.group = group
        fork.ended.add_done_callback(lambda _: group.remove())
        return ACTIVE

    async def _zygote(self) -> ZygoteLink:
        async with self._linking:
            if self._closed:
                msg = "The sandbox pool is closed."
                raise SandboxError(msg)
            if self._link is None or not self._link.alive:
                if sys.platform == "win32":
                    msg = "Plugins cannot be confined on Windows."
                    raise ConfinementError(msg, next_step="Run the host in WSL 2.")
                if self._link is not None:
                    self._link.close()
                self._link = ZygoteLink(self._zygote_settings, on_death=self._drop_blank)
                self.compiled.clear()  # another zygote may be of another version
                self.zygotes += 1
                await self._link.start()
            return self._link

    def _serve(self, function: Callable[..., Coroutine[Any, Any, None]], *args: object) -> None:
        """Start a task from a callback of the event loop, where task groups cannot be used."""
        task = asyncio.get_running_loop().create_task(function(*args))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    def _drop_blank(self) -> None:
        for connection in self._blank:
            connection.close()
        self._blank.clear()

    def refill(self) -> None:
        """Starts bringing the stock of blank workers back to its size."""
        if not self._filling and not self._closed and len(self._blank) < self._settings.pool_size:
            self._filling = True
            self._serve(self._fill)  # a task group takes longer, and the caller waits

    async def _fill(self) -> None:
        try:
            while len(self._blank) < self._settings.pool_size:
                self._blank.append(await self._fork())
        except HostError:
            pass  # the next plugin that starts meets the same error and reports it
        finally:
            self._filling = False

    async def _sweep(self) -> None:
        while True:
            await anyio.sleep(_SWEEP_SECONDS)
            for worker in list(self._workers):
                worker.check_idle_cpu(self._settings.idle_cpu_seconds)

    def _running_tasks(self) -> TaskGroup:
        if self._tasks is None:
            msg = "The sandbox pool is not open: use `async with SandboxPool(...)`."
            raise SandboxError(msg)
        return self._tasks
