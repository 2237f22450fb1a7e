"""`python -m bench relay`: calls and start-up through the host beside direct and a proxy."""

import argparse
from dataclasses import asdict
from typing import Any

import uvloop

from bench.relay.calls import TRANSPORTS, Measured, measure
from bench.relay.lists import list_budgets, measure_lists
from bench.relay.paths import prepared
from bench.relay.records import check_records
from bench.relay.report import Budget, call_budgets, figures, start_budgets, sync_lines, table
from bench.relay.startup import measure_startup, medians


def _say(text: str) -> None:
    print(text, flush=True)


def _as_json(
    everything: list[Measured], start: dict[str, list[float]], budgets: list[Budget]
) -> dict[str, Any]:
    return {
        "calls": [
            {
                "condition": m.cell.label,
                "way": m.route.name,
                **(m.sample.summary() if m.sample.latencies else {}),
                **(m.memory or {}),
                **({"failure": m.failure} if m.failure else {}),
            }
            for m in everything
        ],
        "startup_s": start,
        "budgets": [
            {"what": b.what, "value": b.value, "limit": b.limit, "met": b.met} for b in budgets
        ],
    }


def run(arguments: list[str]) -> dict[str, Any]:
    """Measure, print the tables and return everything for the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m bench relay")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way")
    parser.add_argument("--seconds", type=float, default=1.5, help="load in each turn")
    parser.add_argument("--transport", action="append", choices=TRANSPORTS, help="only these")
    parser.add_argument("--starts", type=int, default=5, help="repeats of each start")
    options = parser.parse_args(arguments)
    with prepared() as bench:
        _say("Calls")
        everything = uvloop.run(
            measure(
                bench.routes,
                transports=options.transport or TRANSPORTS,
                rounds=options.rounds,
                seconds=options.seconds,
                say=_say,
            )
        )
        records = None
        if bench.host is not None:
            made = sum(m.made for m in everything if m.route.name == "host")
            records = check_records(bench.host, made)
            _say(records.line())
        _say("Lists of twenty servers")
        lists = measure_lists(bench.routes[0].url)
        _say("Start-up")
        start = measure_startup(bench.host, repeats=options.starts)
    _say("\n".join(table(everything)))
    middle = medians(start)
    _say("\n".join(f"{kind:<32}{1000 * took:>8.0f} ms" for kind, took in middle.items()))
    _say("\n".join([*sync_lines(figures(everything)), *(each.line() for each in lists)]))
    budgets = call_budgets(figures(everything)) + list_budgets(lists) + start_budgets(middle)
    _say("\n".join(budget.line() for budget in budgets))
    found = _as_json(everything, start, budgets)
    found["lists"] = [asdict(each) for each in lists]
    found["records"] = asdict(records) if records else None
    return found
