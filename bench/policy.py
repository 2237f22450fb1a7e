"""Time of a decision at 10, 100 and 1,000 rules: `python -m bench.policy`."""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from host.domain.principal import Principal
from host.policy.attempt import Attempt
from host.policy.decision import decide
from host.policy.limit import MemoryCounters
from host.policy.path import Ground
from host.policy.policy_set import PolicySet
from host.policy.source import read_source

BUDGET = 1.0
"""Milliseconds at 1,000 rules."""
KINDS = ("mixed", "named", "global", "cel")


def rule(kind: str, number: int, folder: Path) -> dict[str, Any]:
    """One rule: of the kinds people write, or all of the kind that is the worst."""
    name = f"r{number}"
    if kind == "cel":  # each is asked, none is ruled out before
        return {
            "name": name,
            "action": "deny",
            "match": {"when": f"args.amount > {10**6 + number}"},
        }
    if kind == "global":  # nothing names a tool or a server, so no index helps
        label = {"labels": {"all": ["changes", f"l{number}"]}, "user": f"u{number}*"}
        return {"name": name, "action": "ask", "match": label}
    if kind == "named" or number % 4 == 0:
        match: dict[str, Any] = {"name": f"server{number % 20}__tool{number}"}
    elif number % 4 == 1:
        match = {
            "server": f"server{number % 20}",
            "arguments": {"/path": {"path": {"inside": f"{folder}/data{number}"}}},
        }
    elif number % 4 == 2:
        match = {"name": f"server{number % 20}__get_*", "role": "viewer"}
    else:
        match = {
            "method": "tool",
            "labels": ["changes"],
            "arguments": {"/to": {"regex": f"[a-z]+{number}@example\\.com"}},
        }
    return {"name": name, "action": "ask", "match": match}


def build(kind: str, size: int, folder: Path) -> PolicySet:
    """A policy of many rules."""
    rules = [rule(kind, number, folder) for number in range(size)]
    file = folder / f"{kind}{size}.json"
    file.write_text(json.dumps({"default": "ask", "rules": rules}))
    return PolicySet.load([read_source(file, level="user")])


def attempt() -> Attempt:
    """A call like many."""
    return Attempt(
        method="tools/call",
        name="server1__tool21",
        principal=Principal("local", "bench"),
        server="server1",
        tool="tool21",
        arguments={
            "path": "/srv/data1/notes/today.txt",
            "to": "somebody@example.org",
            "amount": 5,
            "text": "x" * 2_000,
        },
        taint=frozenset({"untrusted"}),
        ground=Ground(bases=(Path("/srv"),)),
        session="s",
        now=datetime.now(UTC),
    )


def quantiles(action: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median and 99th percentile of CPU time, in milliseconds: other programs do not count."""
    times: list[float] = []
    for _ in range(rounds):
        start = time.thread_time_ns()
        action()
        times.append((time.thread_time_ns() - start) / 1e6)
    cuts = statistics.quantiles(times, n=100)
    return cuts[49], cuts[98]


def run(arguments: Sequence[str] = ()) -> dict[str, Any]:
    """Print a table; return the worst median at 1,000 rules, in milliseconds."""
    parser = argparse.ArgumentParser(prog="python -m bench policy", description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    rounds = parser.parse_args(list(arguments)).rounds
    call, counters = attempt(), MemoryCounters()
    print(
        f"{'rules':>12} {'load ms':>9} {'gather p50':>11} {'decide p50':>11} {'p99':>8}"
        f" {'all p50':>9} {'p99':>8}"
    )
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            for number in range(1_000):
                (Path(folder) / f"data{number}").mkdir(exist_ok=True)
            for size in (10, 100, 1_000):
                start = time.perf_counter()
                policy = build(kind, size, Path(folder))
                loaded = (time.perf_counter() - start) * 1e3
                gathered, _ = quantiles(lambda p=policy: p.gather(call, counters), rounds)
                # Facts are new each time, as the variables of CEL are made once for each call.
                all_p50, all_p99 = quantiles(lambda p=policy: p.decide(call, counters), rounds)
                facts = policy.gather(call, counters)
                p50, p99 = quantiles(lambda p=policy, f=facts: decide(f, p), rounds)
                worst = max(worst, all_p50) if size == 1_000 else worst
                print(
                    f"{size:>6} {kind:<6}{loaded:>9.1f} {gathered:>11.4f} {p50:>11.4f} {p99:>8.4f}"
                    f" {all_p50:>9.4f} {all_p99:>8.4f}"
                )
    verdict = "within" if worst <= BUDGET else "OVER"
    print(
        f"1,000 rules, facts and decision, worst p50: {worst:.3f} ms, "
        f"{verdict} the budget of {BUDGET:g} ms"
    )
    return {"worst_p50_ms": worst, "budget_ms": BUDGET}


if __name__ == "__main__":
    run(sys.argv[1:])
