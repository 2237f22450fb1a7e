"""A running plugin as the host holds it: its functions, its turns, and its next process."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from host.domain.errors import NotFoundError, PluginDiedError, SandboxError
from host.sandbox.broker import JSON, Broker
from host.sandbox.compiled import CompiledCode, digest
from host.sandbox.config import Limits
from host.sandbox.process.connection import Connection
from host.sandbox.process.result import CallResult

_LOAD_SECONDS = 10.0

Servers = Mapping[str, Mapping[str, list[str]]]
"""What a plugin can import as `tools.MODULE`: module to function to the tool that it calls, which
is a catalog name followed by the names of its parameters."""


@dataclass(frozen=True, slots=True)
class DeclaredFunction:
    """One function that a plugin marked; everything in it is the plugin's own word.

    Attributes:
        name: Its name, an identifier.
        kind: `tool`, `hook`, `evaluator` or `rule`.
        description: Its docstring or given description.
        parameters: The JSON schema of its arguments.
        options: What the decorator was given.
    """

    name: str
    kind: str
    description: str
    parameters: dict[str, JSON]
    options: dict[str, JSON]


@dataclass(frozen=True, slots=True)
class StartOrder:
    """What it takes to start a plugin, and to start it again."""

    source: str
    name: str
    tenant: str
    limits: Limits
    broker: Broker
    servers: Servers = field(default_factory=dict[str, Mapping[str, list[str]]])
    entry: str = ""


class Stock(Protocol):
    """Where a plugin's processes come from."""

    @property
    def compiled(self) -> CompiledCode:
        """What plugins were compiled to by workers of the present zygote."""
        ...

    async def take(self) -> Connection:
        """Returns a blank worker."""
        ...

    def refill(self) -> None:
        """Starts bringing the stock back to its size."""
        ...

    def forget(self, worker: "PluginWorker", /) -> None:
        """Removes a stopped worker from the books."""
        ...


class PluginWorker:
    """A running plugin; made by `SandboxPool.start`, survives the death of its process."""

    def __init__(self, pool: Stock, plugin: StartOrder) -> None:
        self._pool = pool
        self._plugin = plugin
        self._turn = asyncio.Lock()  # anyio's looks for its event loop first, while somebody waits
        self._connection: Connection | None = None
        self._stopped = False
        self._names: frozenset[str] = frozenset()
        self.functions: Sequence[DeclaredFunction] = ()
        self.starts = 0
        self.output = ""

    @property
    def name(self) -> str:
        """Name of the plugin."""
        return self._plugin.name

    @property
    def tenant(self) -> str:
        """Whose worker this is."""
        return self._plugin.tenant

    @property
    def pid(self) -> int | None:
        """Pid of the process, None while there is none."""
        connection = self._connection
        return connection.fork.pid if connection is not None and connection.alive else None

    async def call(
        self,
        function: str,
        arguments: Mapping[str, JSON],
        *,
        timeout: float,  # noqa: ASYNC109 - the plugin's own seconds, not the caller's
        broker: Broker | None = None,
    ) -> CallResult:
        """Calls one declared function.

        Calls of one worker take turns. Cancelling the caller ends the call, by force if need be.

        Args:
            function: Its declared name.
            arguments: JSON values by parameter name.
            timeout: Seconds that the plugin may use; waiting for brokered calls is not counted.
            broker: Answers this call's requests in place of the one given to `start`.

        Raises:
            PluginFailedError: The function raised.
            PluginTimeoutError: It took too long; its process was ended.
            PluginDiedError: Its process died; the next call starts another.
            PluginProtocolError: It sent forged or too many messages; its process was ended.
            PluginLoadError: It no longer loads.
            SandboxError: The arguments are too large, or no worker can be had.
        """
        async with self._turn:
            connection = self._connection
            if connection is None or not connection.alive or not connection.idle:
                connection = await self._revive()
            if function not in self._names:
                raise NotFoundError("function", function, self._names)
            broker = broker or self._plugin.broker
            try:
                return await connection.call(function, arguments, broker=broker, seconds=timeout)
            except PluginDiedError:
                if not connection.unread:
                    raise
            # It had ended while idle, with its zygote perhaps: this call has not begun.
            connection = await self._revive()
            return await connection.call(function, arguments, broker=broker, seconds=timeout)

    async def _revive(self) -> Connection:
        if self._stopped:
            msg = f"The plugin {self.name} has been stopped."
            raise SandboxError(msg)
        if self._connection is not None:
            await self._connection.settled()
            if self._connection.alive:
                return self._connection
        try:
            connection = await self.begin()
        except PluginDiedError:
            # A blank worker may have ended unnoticed, with its zygote; nothing was done yet.
            connection = await self.begin()
        self._pool.refill()
        return connection

    async def begin(self) -> Connection:
        """Takes a blank worker and loads the plugin into it."""
        connection = await self._pool.take()
        try:
            loaded = await self._load(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self.functions = tuple(DeclaredFunction(**entry) for entry in connection.functions)
        self._names = frozenset(entry.name for entry in self.functions)
        self.output = loaded.output
        self.starts += 1
        return connection

    async def _load(self, connection: Connection) -> CallResult:
        plugin, compiled = self._plugin, self._pool.compiled
        # A program for one's own tools is run once, and holds the names of them.
        key = "" if plugin.entry or plugin.servers else digest(plugin.source, plugin.name)
        code = compiled.get(key)
        return await connection.load(
            plugin.source,
            plugin=plugin.name,
            limits=plugin.limits,
            broker=plugin.broker,
            servers=plugin.servers,
            entry=plugin.entry,
            code=code,
            keep=partial(compiled.put, key) if key and not code else None,
            seconds=_LOAD_SECONDS,
        )

    def check_idle_cpu(self, allowed: float) -> None:
        """Ends the process if it computes while nobody asked it to."""
        connection = self._connection
        if connection is None or not connection.alive or not connection.idle:
            return
        used = connection.fork.cpu_seconds()
        if not connection.idle_cpu:
            connection.idle_cpu = used
        elif used - connection.idle_cpu > allowed:
            connection.close()

    def stop(self) -> None:
        """Ends the plugin for good; a call under way gets a `PluginDiedError`."""
        self._stopped = True
        if self._connection is not None:
            self._connection.close()
        self._pool.forget(self)
