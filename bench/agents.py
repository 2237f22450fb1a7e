"""Agents: CPU and memory of a step and a run, beside bare pydantic-ai in the same process run.

Each run makes three model requests, 50 ms each, and two tool calls. The host's run goes through the
gateway with policy, audit and stored events; the peers call a function. Each measurement is a child
process of its own, so that memory is its own too. All ways get what the daemon has: uvloop where
there is one, a collector that looks less often, and some runs before the first measured one. What
counts is the process time of that child, all its threads; PostgreSQL's is not in it, as a model's
is not. The median of several repeats is told, with the least and the most.

Between two replies of one run alone the process sleeps, and what it wakes up to is a core with cold
caches. So one run is measured without the waits as well, where only the work is left, and what a
pause does to Python code that is nobody's is told beside it.
"""

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

DELAY = 0.05
STEPS = 3
AT_LEAST = 20
"""Runs that a repeat makes in all: few at once are made one group after another."""
REPEATS = 5
WARM_UP = 3
BUDGET_STEP = 1.0
"""Milliseconds of CPU for a step."""
BUDGET_MEMORY = 500
"""Megabytes for 1,000 runs at once."""


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure each way at each number of runs, print the table and return it."""
    parser = argparse.ArgumentParser(prog="python -m bench agents")
    parser.add_argument("--runs", type=int, nargs="*", default=[1, 100, 1000])
    parser.add_argument("--delays", type=float, nargs="*", default=[DELAY, 0.0])
    parser.add_argument("--ways", nargs="*", default=["host", "pydantic-ai", "langgraph"])
    options = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    plans = [(count, delay) for delay in options.delays for count in options.runs]
    for way in options.ways:
        for count, delay in plans:
            if not delay and count != 1:
                continue  # many at once do not sleep: others go on meanwhile
            row = measured(way, count, delay)
            if row is None:
                print(f"{way:<12} is not installed: `make bench` does that")
                break
            rows.append(row)
            print(line(row))
    print(f"budget: {BUDGET_STEP:g} ms of CPU a step, {BUDGET_MEMORY} MB at 1,000 runs")
    print(f"CPU of the process without PostgreSQL's, median of {REPEATS} (least to most)")
    slower = slower_after(DELAY)
    print(f"any Python code here, run after a pause of {DELAY * 1000:g} ms: {slower:.1f} x the CPU")
    return {"rows": rows, "steps": STEPS, "slower_after_a_pause": slower}


def measured(way: str, count: int, delay: float) -> dict[str, Any] | None:
    """Measure in a child process; None where a peer is not installed."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.agents", way, str(count), str(delay)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 3:
        return None
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def line(row: dict[str, Any]) -> str:
    """Return a measurement as a line of the table."""
    waits = f"{row['delay'] * 1000:.0f} ms" if row["delay"] else "at once"
    spread = f"({row['least']:.2f} to {row['most']:.2f})"
    return (
        f"{row['way']:<12} {row['runs']:>5} runs {waits:>8}  {row['cpu_ms_step']:6.2f} ms CPU a "
        f"step  {spread}  {row['cpu_ms_run']:7.2f} a run  {row['seconds']:6.2f} s  "
        f"peak {row['peak_mb']:4.0f} MB ({row['grown_mb']:+.0f} by the runs)"
    )


def slower_after(pause: float) -> float:
    """Return by how much more CPU the same code takes after a pause than right after itself."""
    rows = {str(number): {"number": number, "text": str(number)} for number in range(200)}

    def work() -> float:
        begun = time.process_time()
        again = json.loads(json.dumps(rows))
        sorted(again, key=lambda name: again[name]["text"])
        return time.process_time() - begun

    for _ in range(500):
        work()
    at_once = statistics.median(work() for _ in range(100))
    later: list[float] = []
    for _ in range(40):
        time.sleep(pause)
        later.append(work())
    return statistics.median(later) / at_once


def peak_mb() -> float:
    """Return the most memory that this process ever had, in megabytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1 << 20) if sys.platform == "darwin" else most / 1024


async def measure(way: str, count: int, delay: float) -> dict[str, Any]:
    """Run one way, `count` runs at once, several times; the first runs warm it up."""
    from bench import agent_peers
    from host.orchestrator.process import calm_collector

    async with getattr(agent_peers, way.replace("-", "_"))(delay) as one:
        for _ in range(WARM_UP):
            await one()
        calm_collector()
        before = peak_mb()
        repeats = [await repeat(one, count) for _ in range(REPEATS)]
    steps = [cpu * 1000 / STEPS for cpu, _ in repeats]
    step = statistics.median(steps)
    return {
        "way": way,
        "runs": count,
        "delay": delay,
        "cpu_ms_run": step * STEPS,
        "cpu_ms_step": step,
        "least": min(steps),
        "most": max(steps),
        "seconds": statistics.median(wall for _, wall in repeats),
        "peak_mb": peak_mb(),
        "grown_mb": peak_mb() - before,
    }


async def repeat(one: Callable[[], Awaitable[None]], count: int) -> tuple[float, float]:
    """Return the seconds of CPU of a run, and the wall's of a group of `count` at once."""
    rounds = max(1, AT_LEAST // count)
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(rounds):
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(one())
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return cpu / rounds / count, wall / rounds


def looped(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """Run on the loop that the daemon runs on."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    return uvloop.run(work)


def main() -> int:
    """Measure in this process."""
    way, count, delay = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    try:
        with tempfile.TemporaryDirectory(prefix="mcph-bench-") as folder:
            Path(folder).chmod(0o711)
            print(json.dumps(looped(measure(way, count, delay))))
    except ImportError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
