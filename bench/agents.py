"""Agents: CPU and memory of a step and a run, beside bare pydantic-ai in the same process run.

Each run makes three model requests, 50 ms each, and two tool calls. The host's run goes through the
gateway with policy, audit and stored events; the peers call a function. Each measurement is a child
process of its own, so that memory is its own too.
"""

import argparse
import asyncio
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DELAY = 0.05
STEPS = 3
AT_LEAST = 20
"""Runs a measurement makes in all: few at once are repeated, one group after another."""
BUDGET_STEP = 1.0
"""Milliseconds of CPU for a step."""
BUDGET_MEMORY = 500
"""Megabytes for 1,000 runs at once."""


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure each way at each number of runs, print the table and return it."""
    parser = argparse.ArgumentParser(prog="python -m bench agents")
    parser.add_argument("--runs", type=int, nargs="*", default=[1, 100, 1000])
    parser.add_argument("--ways", nargs="*", default=["host", "pydantic-ai", "langgraph"])
    options = parser.parse_args(arguments)
    rows = []
    for way in options.ways:
        for count in options.runs:
            done = subprocess.run(
                [sys.executable, "-m", "bench.agents", way, str(count)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 3:
                print(f"{way:<12} is not installed: pip install langgraph")
                break
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
            row = json.loads(done.stdout.splitlines()[-1])
            rows.append(row)
            print(
                f"{way:<12} {count:>5} runs  {row['cpu_ms_step']:6.2f} ms CPU a step  "
                f"{row['cpu_ms_run']:7.2f} a run  {row['seconds']:6.2f} s  "
                f"peak {row['peak_mb']:4.0f} MB ({row['grown_mb']:+.0f} by the runs)"
            )
    print(f"budget: {BUDGET_STEP:g} ms of CPU a step, {BUDGET_MEMORY} MB at 1,000 runs")
    return {"rows": rows, "delay": DELAY, "steps": STEPS}


def peak_mb() -> float:
    """Return the most memory that this process ever had, in megabytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1 << 20) if sys.platform == "darwin" else most / 1024


async def measure(way: str, count: int) -> dict[str, Any]:
    """Run one way, `count` runs at once; a first run warms it up."""
    from bench import agent_peers

    rounds = max(1, AT_LEAST // count)

    async with getattr(agent_peers, way.replace("-", "_"))() as one:
        await one()
        gc.collect()
        before = peak_mb()
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(rounds):
            async with asyncio.TaskGroup() as group:
                for _ in range(count):
                    group.create_task(one())
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    cpu, wall = cpu / rounds, wall / rounds
    return {
        "way": way,
        "runs": count,
        "cpu_ms_run": cpu * 1000 / count,
        "cpu_ms_step": cpu * 1000 / count / STEPS,
        "seconds": wall,
        "peak_mb": peak_mb(),
        "grown_mb": peak_mb() - before,
    }


def main() -> int:
    """Measure in this process."""
    way, count = sys.argv[1], int(sys.argv[2])
    try:
        with tempfile.TemporaryDirectory(prefix="mcph-bench-") as folder:
            Path(folder).chmod(0o711)
            print(json.dumps(asyncio.run(measure(way, count))))
    except ImportError as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
