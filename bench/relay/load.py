"""Load on a wire: so many calls in flight for so long, and what they took."""

import asyncio
import time
from dataclasses import dataclass, field

from bench.relay.processes import Usage
from bench.relay.wire import Wire


@dataclass
class Sample:
    """Calls of one path, over all its rounds."""

    latencies: list[float] = field(default_factory=list[float])
    """Seconds of each call."""
    seconds: float = 0.0
    """Wall-clock seconds of load."""
    cpu: dict[str, float] = field(default_factory=dict[str, float])
    """CPU seconds by kind of process."""

    def add(self, latencies: list[float], seconds: float, *, before: Usage, after: Usage) -> None:
        """Add one round."""
        self.latencies += latencies
        self.seconds += seconds
        for kind, used in after.cpu.items():
            self.cpu[kind] = self.cpu.get(kind, 0.0) + used - before.cpu.get(kind, 0.0)

    def quantile(self, share: float) -> float:
        """Return the latency that `share` of the calls stayed under, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    def summary(self) -> dict[str, float]:
        """Return the figures that are printed: milliseconds and calls a second."""
        calls = len(self.latencies)
        cpu = {f"cpu_{kind}_ms": 1000 * used / calls for kind, used in self.cpu.items()}
        return {
            "p50_ms": 1000 * self.quantile(0.5),
            "p99_ms": 1000 * self.quantile(0.99),
            "calls_per_s": calls / self.seconds,
            "calls": calls,
            **cpu,
        }


async def load(wire: Wire, *, in_flight: int, seconds: float) -> tuple[list[float], float]:
    """Call for `seconds` with `in_flight` calls at once; return latencies and the time it took."""
    latencies: list[float] = []
    start = time.perf_counter()
    end = start + seconds

    async def work(worker: int) -> None:
        while (began := time.perf_counter()) < end:
            await wire.call(worker)
            latencies.append(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        for worker in range(in_flight):
            group.create_task(work(worker))
    return latencies, time.perf_counter() - start
