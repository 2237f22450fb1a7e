"""Run benchmarks: `python -m bench` runs all, `python -m bench NAME [OPTIONS]` one.

Each prints its tables and writes `.cache/bench/NAME.json`. A benchmark is a module in `BENCHMARKS`
with `run(arguments) -> dict`; its ratios are printed beside the budgets, never asserted.
"""

import importlib
import json
import signal
import sys
from pathlib import Path

BENCHMARKS = {
    "relay": "bench.relay.run",
    "policy": "bench.policy",
    "telemetry": "bench.telemetry",
    "files": "bench.files",
    "agents": "bench.agents",
    "memory": "bench.memory.run",
    "documents": "bench.documents",
    "models": "bench.models",
    "memory_quality": "bench.memory.quality",
    "code_mode": "bench.code_mode",
    "sandbox": "bench.sandbox",
    "new_server": "bench.new_server",
}
"""Name → module."""
BY_NAME = {"memory_quality"}
"""Run only when asked for: they need more than the project does."""

RESULTS = Path(__file__).resolve().parents[1] / ".cache" / "bench"


def _stop(number: int, frame: object) -> None:
    sys.exit(128 + number)


def main() -> int:
    """Run the benchmarks that the command line names."""
    # So that `timeout` and CI end what was started, too.
    signal.signal(signal.SIGTERM, _stop)
    wanted, options = sys.argv[1:2], sys.argv[2:]
    if wanted and wanted[0] not in BENCHMARKS:
        print(f"There is no benchmark {wanted[0]!r}; known: {', '.join(BENCHMARKS)}.")
        return 2
    RESULTS.mkdir(parents=True, exist_ok=True)
    for name in wanted or [name for name in BENCHMARKS if name not in BY_NAME]:
        print(f"== {name}")
        found = importlib.import_module(BENCHMARKS[name]).run(options)
        file = RESULTS / f"{name}.json"
        file.write_text(json.dumps(found, indent=2) + "\n")
        print(f"Written to {file.relative_to(RESULTS.parents[1])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
