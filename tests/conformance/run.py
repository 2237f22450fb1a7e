"""`make conformance`: the official suite against the upstream alone and through the host.

Legs, each for the revisions it concerns:

    upstream    the suite's client → the upstream
    http        the suite's client → host → the upstream over HTTP
    stdio       the suite's client → host → the upstream over stdio
    older       a 2026-07-28 client → host → an upstream that knows the handshake only
    newer       a 2025-11-25 client → host → an upstream that is stateless only
    tasks       the suite's scenarios of the extension for tasks → the host's own tasks
    tasks-relay the same → host → the upstream's tasks over HTTP
    client      a plain client → host → the suite's test servers (the host's own client is judged)

A scenario listed in exceptions.yaml must fail and any other must pass. The last line is the count.
"""

import argparse
import concurrent.futures
import functools
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml

from tests.conformance.host_process import (
    HostFailedError,
    http_entry,
    http_upstream,
    running_host,
    stdio_entry,
)
from tests.conformance.suite import REVISIONS, TASKS, Suite, SuiteError, Verdict, install

EXCEPTIONS = Path(__file__).with_name("exceptions.yaml")
DRIVER = f"{sys.executable} -m tests.conformance.client_driver"


@dataclass(frozen=True)
class Leg:
    """One way of reaching an upstream, judged at one revision."""

    name: str
    revision: str
    judge: Callable[[Suite], Iterable[Verdict]]


def _alone(revision: str, suite: Suite) -> Iterable[Verdict]:
    with http_upstream() as url:
        return suite.judge_server(url, revision)


def _through(transport: str, era: str, revision: str, suite: Suite) -> Iterable[Verdict]:
    with ExitStack() as stack:
        if transport == "http":
            entry = http_entry(stack.enter_context(http_upstream("--era", era)))
        else:
            entry = stdio_entry("--era", era)
        host = stack.enter_context(running_host({"servers": {"everything": entry}}))
        return suite.judge_server(host.url, revision)


def _client(revision: str, suite: Suite) -> Iterable[Verdict]:
    scenarios = suite.required(revision, "client")
    judge = functools.partial(suite.judge_client, DRIVER, revision=revision)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return list(pool.map(judge, scenarios))


def _own_tasks(suite: Suite) -> Iterable[Verdict]:
    with running_host({"servers": {}}, module="tests.conformance.own_tasks") as host:
        return suite.judge_scenarios(host.url, TASKS)


def _relayed_tasks(suite: Suite) -> Iterable[Verdict]:
    with http_upstream() as url, running_host({"servers": {"up": http_entry(url)}}) as host:
        return suite.judge_scenarios(host.url, TASKS)


def legs() -> list[Leg]:
    """Return every leg, cheapest first."""
    older, newer = REVISIONS
    found = [Leg("upstream", r, functools.partial(_alone, r)) for r in REVISIONS]
    for transport in ("http", "stdio"):
        both = functools.partial(_through, transport, "both")
        found += [Leg(transport, r, functools.partial(both, r)) for r in REVISIONS]
    for transport in ("http", "stdio"):
        cross = functools.partial(_through, transport)
        found += [
            Leg(f"older-{transport}", newer, functools.partial(cross, "handshake", newer)),
            Leg(f"newer-{transport}", older, functools.partial(cross, "stateless", older)),
        ]
    found += [Leg("tasks", newer, _own_tasks), Leg("tasks-relay", newer, _relayed_tasks)]
    return [*found, *(Leg("client", r, functools.partial(_client, r)) for r in REVISIONS)]


def load_exceptions() -> dict[str, dict[str, str]]:
    """Return the listed exceptions: leg → scenario → reason."""
    return cast("dict[str, dict[str, str]]", yaml.safe_load(EXCEPTIONS.read_text()) or {})


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _report(leg: Leg, verdict: Verdict, reason: str | None) -> bool:
    """Print what needs attention; return whether the verdict is the expected one."""
    if reason is not None and not verdict.passed:
        _say(f"  excepted  {verdict.scenario}: {reason}")
        return True
    if reason is not None:
        _say(f"  FAILED    {verdict.scenario}: it is listed in exceptions.yaml, but it passes")
        return False
    if not verdict.passed:
        _say(f"  FAILED    {verdict.scenario}: {verdict.why}")
    elif verdict.warnings:
        _say(f"  warned    {verdict.scenario}: {verdict.warnings} warnings")
    return verdict.passed


def _judge(leg: Leg, suite: Suite) -> list[Verdict]:
    try:
        return list(leg.judge(suite))
    except HostFailedError as error:
        side = "client" if leg.name == "client" else "server"
        return [Verdict(s, str(error)) for s in suite.required(leg.revision, side)]


def run(suite: Suite, wanted: list[Leg]) -> tuple[int, int]:
    """Run the legs and return how many scenarios went as expected, and how many not."""
    exceptions, good, bad = load_exceptions(), 0, 0
    for leg in wanted:
        started = time.monotonic()
        _say(f"{leg.name} {leg.revision}")
        verdicts = _judge(leg, suite)
        listed = exceptions.get(leg.name, {})
        outcomes = [_report(leg, verdict, listed.get(verdict.scenario)) for verdict in verdicts]
        clean = sum(verdict.passed for verdict in verdicts)
        took = time.monotonic() - started
        _say(f"  {clean} of {len(verdicts)} scenarios pass ({took:.0f} s)")
        good, bad = good + sum(outcomes), bad + len(outcomes) - sum(outcomes)
    return good, bad


def _stop(number: int, frame: object) -> None:
    sys.exit(128 + number)


def main() -> int:
    """Run what the command line asks for; 0 when everything went as expected."""
    # So that `timeout` and CI end what was started, too.
    signal.signal(signal.SIGTERM, _stop)
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.run")
    names = sorted({leg.name for leg in legs()})
    parser.add_argument("--leg", action="append", choices=names, help="only these; all by default")
    parser.add_argument("--revision", choices=REVISIONS, help="only this revision")
    options = parser.parse_args()
    wanted = [leg for leg in legs() if not options.leg or leg.name in options.leg]
    wanted = [leg for leg in wanted if options.revision in (None, leg.revision)]
    try:
        good, bad = run(install(), wanted)
    except SuiteError as error:
        _say(f"conformance: {error}")
        return 2
    _say(f"{good} passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
