"""The processes of one version of one plugin, never shared between two principals."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio

from host.domain.errors import SandboxError
from host.plugins.arguments import ArgumentCheck
from host.plugins.broker import ComputeOnly
from host.plugins.bundle import Bundle
from host.sandbox.broker import JSON, Broker
from host.sandbox.pool import DeclaredFunction, PluginWorker, SandboxPool
from host.sandbox.process.result import CallResult

BUSY_WAIT = 30.0
"""Seconds that a call waits for a free process."""


class LoadingBroker(ComputeOnly):
    """Refuses what a plugin asks for while it loads: nobody has called it yet."""

    def __init__(self) -> None:
        super().__init__(why="The plugin is being loaded")


@dataclass(eq=False)
class _Seat:
    """One process; `tenant` is None until it has been called."""

    worker: PluginWorker
    tenant: str | None = None
    busy: bool = False
    used: float = 0.0


class Crew:
    """The processes that run one version of a plugin; made by `start`.

    Args:
        pool: Where processes come from.
        bundle: The plugin.
    """

    def __init__(self, pool: SandboxPool, bundle: Bundle) -> None:
        self._pool = pool
        self._bundle = bundle
        self._seats: list[_Seat] = []
        self._starting: dict[str, int] = {}
        self._changed = anyio.Event()
        self._retired = False
        self.functions: Sequence[DeclaredFunction] = ()
        self._arguments = ArgumentCheck(bundle.name, ())

    @classmethod
    async def start(cls, pool: SandboxPool, bundle: Bundle) -> "Crew":
        """Return a crew whose first process has loaded the plugin.

        Raises:
            SandboxError: It does not load.
        """
        crew = cls(pool, bundle)
        seat = _Seat(await crew._worker("(nobody yet)"), used=time.monotonic())
        crew.functions = seat.worker.functions
        crew._arguments = ArgumentCheck(bundle.name, crew.functions)
        crew._seats.append(seat)
        return crew

    @property
    def processes(self) -> int:
        """How many processes it has."""
        return len(self._seats)

    @property
    def pids(self) -> list[int]:
        """Process ids of those that live."""
        return [pid for seat in self._seats if (pid := seat.worker.pid) is not None]

    async def call(
        self,
        function: str,
        arguments: Mapping[str, JSON],
        *,
        tenant: str,
        broker: Broker,
        seconds: float | None = None,
    ) -> CallResult:
        """Call a function in a process of the tenant's own.

        Args:
            function: Its name.
            arguments: By parameter.
            tenant: Whose process it runs in.
            broker: Answers what it asks for.
            seconds: What it may use at most, if that is less than the manifest says.

        Raises:
            PluginFailedError: The arguments do not fit it, or it failed.
            SandboxError: It died, or all processes are busy for too long.
        """
        self._arguments.check(function, arguments)
        seat = await self._take(tenant)
        try:
            timeout = self._bundle.manifest.limits.timeout
            timeout = timeout if seconds is None else min(timeout, seconds)
            return await seat.worker.call(function, arguments, timeout=timeout, broker=broker)
        finally:
            self._give_back(seat)

    def retire(self) -> None:
        """End the processes: idle ones now, busy ones when their call is over."""
        self._retired = True
        for seat in [seat for seat in self._seats if not seat.busy]:
            self._end(seat)
        self._tell()

    def end_idle(self, before: float) -> None:
        """End the processes that nobody has called since a time of the monotonic clock."""
        for seat in [seat for seat in self._seats if not seat.busy and seat.used < before]:
            self._end(seat)

    async def _take(self, tenant: str) -> _Seat:
        deadline = anyio.current_time() + BUSY_WAIT
        while True:
            if self._retired:
                raise SandboxError(f"The plugin {self._bundle.name} was replaced; call again.")
            seat = self._idle(tenant)
            if seat is not None:
                seat.tenant, seat.busy = tenant, True
                return seat
            count = sum(seat.tenant == tenant for seat in self._seats)
            count += self._starting.get(tenant, 0)
            if count < self._bundle.manifest.limits.workers:
                self._starting[tenant] = self._starting.get(tenant, 0) + 1
                return await self._seat_more(tenant)
            with anyio.CancelScope(deadline=deadline):
                await self._changed.wait()
                continue
            raise SandboxError(
                f"All {count} processes of the plugin {self._bundle.name} are busy.",
                next_step="Try again, or raise `limits.workers` in its manifest.",
            )

    async def _seat_more(self, tenant: str) -> _Seat:
        try:
            seat = _Seat(await self._worker(tenant), tenant, busy=True)
        finally:
            self._starting[tenant] -= 1
            self._tell()  # where it could not start, another may
        self._seats.append(seat)
        return seat

    def _idle(self, tenant: str) -> _Seat | None:
        idle = [seat for seat in self._seats if not seat.busy]
        mine = [seat for seat in idle if seat.tenant == tenant]
        unused = [seat for seat in idle if seat.tenant is None]
        return next(iter(mine + unused), None)

    def _give_back(self, seat: _Seat) -> None:
        """Free a process at once: what waited here could be cut short by a cancellation."""
        seat.busy, seat.used = False, time.monotonic()
        if self._retired:
            self._end(seat)
        self._tell()

    def _tell(self) -> None:
        """Let those who wait for a process look again."""
        self._changed.set()
        self._changed = anyio.Event()

    async def _worker(self, tenant: str) -> PluginWorker:
        return await self._pool.start(
            self._bundle.code,
            plugin=self._bundle.name,
            tenant=tenant,
            broker=LoadingBroker(),
            limits=self._bundle.manifest.limits.of_sandbox(),
        )

    def _end(self, seat: _Seat) -> None:
        self._seats.remove(seat)
        seat.worker.stop()
