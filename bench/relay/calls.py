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
    changing: bool = False
    """Whether the tool may change something, so that its intent is on disk before the call."""

    @property
    def label(self) -> str:
        """What it is called in tables."""
        what = " changing" if self.changing else ""
        return f"{self.transport} {self.era}{what} x{self.in_flight}"


@dataclass
class Measured:
    """One way under one condition; `failure` says why there are no figures."""

    cell: Cell
    route: Route
    sample: Sample
    failure: str = ""
    made: int = 0
    """Calls that were answered, those of the warm-up included."""
    memory: dict[str, int] | None = None


def _pids(route: Route, wire: Wire) -> tuple[int, ...]:
    child = (wire.process.pid,) if isinstance(wire, StdioWire) else ()
    return (*route.pids, *child)


async def _open(cell: Cell, route: Route) -> tuple[Measured, Wire | None]:
    measured = Measured(cell, route, Sample())
    try:
        async with asyncio.timeout(PATIENCE):
            wire = await route.open(stateless=cell.era == "stateless")
            latencies, _ = await load(wire, in_flight=cell.in_flight, seconds=WARM_UP)
            measured.made += len(latencies)
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
    measured.made += len(latencies)
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
    for transport in transports:
        for cell in cells(transport):
            say(f"  {cell.label}")
            everything += await _measure_cell(
                cell, [way for way in ways if way.transport == transport], rounds, seconds
            )
    return everything


def cells(transport: str) -> list[Cell]:
    """Return the conditions of a transport; calls that change something in one era only."""
    reading = [Cell(transport, era, n) for era, n in product(ERAS, IN_FLIGHT)]
    return reading + [Cell(transport, "handshake", n, changing=True) for n in IN_FLIGHT]


async def _measure_cell(
    cell: Cell, ways: list[Route], rounds: int, seconds: float
) -> list[Measured]:
    chosen = [way.changing() for way in ways if way.name != "proxy"] if cell.changing else ways
    opened = [await _open(cell, way) for way in chosen]
    for _ in range(rounds):
        for measured, wire in opened:
            if wire is not None and not measured.failure:
                await _round(measured, wire, seconds=seconds)
    for _, wire in opened:
        if wire is not None:
            await wire.close()
    return [measured for measured, _ in opened]
