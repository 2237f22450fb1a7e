"""Tables of what was measured, and the ratios beside the budgets of ARCHITECTURE."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bench.relay.calls import Measured


@dataclass(frozen=True)
class Budget:
    """One line of the budget: a figure that must not be above (or below) its limit."""

    what: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure is within the budget."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def line(self) -> str:
        """Return the line that is printed."""
        sign = "≥" if self.at_least else "≤"
        verdict = "ok" if self.met else "OVER"
        return f"{self.what:<58} {self.value:>8.2f}  {sign} {self.limit:<5g} {verdict}"


Figures = dict[tuple[str, str], dict[str, float]]


def figures(everything: Iterable[Measured]) -> Figures:
    """Return the summaries by condition and way."""
    return {
        (m.cell.label, m.route.name): m.sample.summary()
        for m in everything
        if not m.failure and m.sample.latencies
    }


def table(everything: Iterable[Measured]) -> list[str]:
    """Return the lines of the table of calls."""
    head = f"{'':<28}{'way':<8}{'p50 ms':>9}{'p99 ms':>9}{'calls/s':>9}{'CPU ms':>8}{'PSS MiB':>9}"
    lines = [head]
    for m in everything:
        if m.failure:
            lines.append(f"{m.cell.label:<28}{m.route.name:<8}failed: {m.failure}")
            continue
        s = m.sample.summary()
        kind = "upstream" if m.route.name == "direct" else "process"
        cpu = s.get(f"cpu_{kind}_ms", 0.0)
        pss = (m.memory or {}).get(f"pss_{kind}", 0) / 1024
        numbers = f"{s['p50_ms']:>9.2f}{s['p99_ms']:>9.2f}{s['calls_per_s']:>9.0f}"
        lines.append(f"{m.cell.label:<28}{m.route.name:<8}{numbers}{cpu:>8.2f}{pss:>9.1f}")
    return lines


def call_budgets(found: Figures) -> list[Budget]:
    """Return the budgets of calls: host beside direct."""
    budgets: list[Budget] = []
    for (label, way), direct in found.items():
        host = found.get((label, "host"))
        if way != "direct" or host is None or " changing " in label:
            continue
        if label.endswith(" x1"):
            limit = 2.0 if label.startswith("http") else 2.5
            ratio = host["p50_ms"] / direct["p50_ms"]
            budgets.append(Budget(f"p50, host ÷ direct, {label}", ratio, limit))
        else:
            ratio = host["calls_per_s"] / direct["calls_per_s"]
            what = f"throughput, host ÷ direct, {label}"
            budgets.append(Budget(what, ratio, 0.5, at_least=True))
    return budgets


def sync_lines(found: Figures) -> list[str]:
    """Return what it costs to have the intent on disk before a call that may change something."""
    lines: list[str] = []
    for (label, way), changing in found.items():
        reading = found.get((label.replace(" changing", ""), way))
        if way == "host" and " changing " in label and reading is not None:
            more = changing["p50_ms"] - reading["p50_ms"]
            lines.append(f"sync of the intent, {label}: {more:+.2f} ms a call at p50")
    return lines


def start_budgets(start: Mapping[str, float]) -> list[Budget]:
    """Return the budgets of start-up."""
    yardstick = start.get("fastmcp server")
    budgets: list[Budget] = []
    if "host --help" in start:
        budgets.append(Budget("host --help, seconds", start["host --help"], 0.3))
    for kind, limit in (("bridge, daemon running", 0.25), ("bridge, daemon not running", 1.5)):
        if yardstick and kind in start:
            ratio = start[kind] / yardstick
            budgets.append(Budget(f"{kind} ÷ one-tool FastMCP server", ratio, limit))
    return budgets
