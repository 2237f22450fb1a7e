"""Latency, throughput and CPU of one tool call over every way, era and load, interleaved."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import cast

from bench.relay.load import Sample, load
from bench.relay.paths import Route
from bench.relay.processes import usage
from bench.relay.wire import BenchError, StdioWire, Wire

IN_FLIGHT = (1, 64)
ERAS = ("handshake", "stateless")
TRANSPORTS = ("http", "stdio")
WARM_UP = 0.5
"""Seconds of load before anything is measured."""
PATIENCE = 60
"""Seconds that a turn may take beyond its own before the way counts as hung."""


@dataclass(frozen=True)
class Cell:
    """One condition under which the ways are compared."""

    transport: str
    era: str
    in_flight: int

    @property
    def label(self) -> str:
        """What it is called in tables."""
        return f"{self.transport} {self.era} x{self.in_flight}"


@dataclass
class Measured:
    """One way under one condition; `failure` says why there are no figures."""

    cell: Cell
    route: Route
    sample: Sample
    failure: str = ""
    memory: dict[str, int] | None = None


def _pids(route: Route, wire: Wire) -> tuple[int, ...]:
    child = (wire.process.pid,) if isinstance(wire, StdioWire) else ()
    return (*route.pids, *child)


async def _open(cell: Cell, route: Route) -> tuple[Measured, Wire | None]:
    measured = Measured(cell, route, Sample())
    try:
        async with asyncio.timeout(PATIENCE):
            wire = await route.open(stateless=cell.era == "stateless")
            await load(wire, in_flight=cell.in_flight, seconds=WARM_UP)
    except (BenchError, ExceptionGroup, OSError, TimeoutError) as error:
        measured.failure = _first(error)
        return measured, None
    return measured, wire


def _first(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[BaseException]", error).exceptions[0]
    return f"{type(error).__name__}: {error}"[:300]


async def _round(measured: Measured, wire: Wire, *, seconds: float) -> None:
    pids = _pids(measured.route, wire)
    before = usage(*pids)
    try:
        async with asyncio.timeout(seconds + PATIENCE):
            latencies, took = await load(wire, in_flight=measured.cell.in_flight, seconds=seconds)
    except (BenchError, ExceptionGroup, TimeoutError) as error:
        measured.failure = _first(error)
        return
    after = usage(*pids, memory=True)
    measured.sample.add(latencies, took, before=before, after=after)
    measured.memory = {f"pss_{kind}": kib for kind, kib in after.pss.items()} | {
        f"rss_{kind}": kib for kind, kib in after.rss.items()
    }


async def measure(
    routes: Iterable[Route],
    *,
    transports: Iterable[str] = TRANSPORTS,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> list[Measured]:
    """Measure every way under every condition, the ways taking turns within each round."""
    everything: list[Measured] = []
    ways = list(routes)
    for transport, era, in_flight in product(transports, ERAS, IN_FLIGHT):
        cell = Cell(transport, era, in_flight)
        say(f"  {cell.label}")
        opened = [await _open(cell, way) for way in ways if way.transport == transport]
        for _ in range(rounds):
            for measured, wire in opened:
                if wire is not None and not measured.failure:
                    await _round(measured, wire, seconds=seconds)
        for _, wire in opened:
            if wire is not None:
                await wire.close()
        everything += [measured for measured, _ in opened]
    return everything
