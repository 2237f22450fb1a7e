"""`host plugins check | test | run`: for whoever writes a plugin; no daemon is needed."""

import json
import sys
from collections.abc import Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from host.cli.client import show_json
from host.cli.config import JSON_OPTION
from host.cli.tools import printable

if TYPE_CHECKING:
    from host.plugins.bundle import Bundle
    from host.plugins.check import Problem, Verdict
    from host.plugins.trial import TestOutcome
    from host.sandbox.config import SandboxConfig
    from host.sandbox.process.result import CallResult

PLUGIN = typer.Argument(help="A plugin's folder or file, or the name of an installed one or yours.")
Result = TypeVar("Result")


def check(plugin: str = PLUGIN, as_json: bool = JSON_OPTION) -> None:
    """Say what is wrong with a plugin, each thing with its line and what to write instead."""
    from host.cli.plugins import find

    bundle = find(plugin)
    verdict = _run(_check(bundle))
    if as_json:
        found = {"problems": [asdict(one) for one in verdict.problems], "good": verdict.good}
        print(show_json({**found, "functions": [asdict(one) for one in verdict.functions]}))
    else:
        _print_problems(verdict.problems)
        _print_verdict(bundle, verdict)
    if not verdict.good:
        raise typer.Exit(1)


def run_tests(plugin: str = PLUGIN, as_json: bool = JSON_OPTION) -> None:
    """Run a plugin's tests.py in the sandbox; exit status 1 if a test fails.

    No real tool is called: a function of tests.py that is named like one, such as
    files__read_text, stands for it.
    """
    from host.cli.plugins import find
    from host.domain.errors import PluginLoadError
    from host.plugins.bundle import load_tests
    from host.plugins.check import load_problems
    from host.plugins.trial import lines_above

    bundle = find(plugin)
    tests = load_tests(bundle)
    try:
        outcomes = _run(_test(bundle, tests))
    except PluginLoadError as error:
        problems = list(load_problems(error, above=lines_above(bundle.code)))
        if as_json:
            print(show_json({"problems": [asdict(one) for one in problems], "tests": []}))
        else:
            _print_problems(problems)
        raise typer.Exit(1) from None
    if as_json:
        print(show_json({"problems": [], "tests": [asdict(one) for one in outcomes]}))
    else:
        _print_outcomes(outcomes)
    if not outcomes or not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(1)


def run(
    plugin: str = PLUGIN,
    function: str = typer.Argument(help="The function to call."),
    arguments: str = typer.Argument("{}", help="Its arguments as JSON; - reads standard input."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Call one function of a plugin, installed or not, and print what it returns.

    A hook, an evaluator or a rule gets of the arguments what its parameters name, and what it
    returns is read as its callers read it.

    Tools that it calls are called through the running daemon, decided and recorded as calls of the
    command line. What it keeps in host.state is forgotten afterwards. What it logs is shown on
    standard error, and is not in `host plugins logs`, which has the daemon's calls.
    """
    from host.cli.plugins import find
    from host.domain.errors import ConfigError
    from host.domain.jsonrpc import as_object

    bundle = find(plugin)
    try:
        given = as_object(json.loads(sys.stdin.read() if arguments == "-" else arguments))
    except ValueError as error:
        raise ConfigError(f"The arguments are not JSON: {error}.") from error
    if given is None:
        raise ConfigError("The arguments have to be a JSON object, such as {}.")
    result = _run(_call(bundle, function, given))
    if as_json:
        print(show_json({"value": result.value, "output": result.output}))
        return
    if result.output:
        print(printable(result.output), end="", file=sys.stderr)
    value = result.value
    print(printable(value if isinstance(value, str) else show_json(value)))


class TerminalLog:
    """Shows what a plugin logs to whoever runs it."""

    def write(self, level: str, message: str) -> None:
        """Print a message, each line with its level."""
        for line in message.splitlines() or [""]:
            print(f"{level}: {printable(line)}", file=sys.stderr)


def _run(coroutine: "Coroutine[Any, Any, Result]") -> Result:
    import asyncio

    return asyncio.run(coroutine)


def sandbox_settings() -> "SandboxConfig":
    """Return how plugins are confined here, with no process kept ready."""
    from host.config.load import load_settings

    settings = load_settings(folder=Path.cwd()).settings.sandbox
    return settings.model_copy(update={"pool_size": 0})


async def _check(bundle: "Bundle") -> "Verdict":
    from host.plugins.check import check_bundle
    from host.sandbox.pool import SandboxPool

    async with SandboxPool(sandbox_settings()) as pool:
        return await check_bundle(pool, bundle)


async def _test(bundle: "Bundle", tests: str) -> "list[TestOutcome]":
    from host.plugins.trial import run_tests
    from host.sandbox.pool import SandboxPool

    async with SandboxPool(sandbox_settings()) as pool:
        return [outcome async for outcome in run_tests(pool, bundle, tests)]


async def _call(bundle: "Bundle", function: str, arguments: dict[str, Any]) -> "CallResult":
    from dataclasses import replace

    from host.cli.plugin_path import DaemonPath
    from host.plugins.broker import PluginBroker
    from host.plugins.crew import Crew
    from host.plugins.shapes import arguments_for, read_answer
    from host.plugins.state import NoState, ShortState
    from host.sandbox.broker import StateStore
    from host.sandbox.pool import SandboxPool

    granted = bundle.manifest.capabilities
    state: StateStore = ShortState() if granted.state else NoState("It may not keep values.")
    log = TerminalLog()
    broker = PluginBroker(bundle.name, granted, path=DaemonPath(), state=state, log=log)
    async with SandboxPool(sandbox_settings()) as pool:
        crew = await Crew.start(pool, bundle)
        declared = next((one for one in crew.functions if one.name == function), None)
        shaped = declared is not None and declared.kind != "tool"
        if declared is not None and shaped:
            arguments = arguments_for(declared, arguments)
        result = await crew.call(function, arguments, tenant="(terminal)", broker=broker)
        if declared is not None and shaped:
            return replace(result, value=read_answer(declared, result.value))
        return result


def _print_problems(problems: "tuple[Problem, ...] | list[Problem]") -> None:
    for problem in problems:
        print(printable(problem.sentence()))


def _print_verdict(bundle: "Bundle", verdict: "Verdict") -> None:
    fatal = sum(problem.fatal for problem in verdict.problems)
    if fatal:
        print(f"{fatal} fault{'s' * (fatal != 1)}; the plugin cannot be installed.")
        return
    for function in verdict.functions:
        parameters = ", ".join(function.parameters.get("properties", {}))
        print(printable(f"{function.kind:<9} {function.name}({parameters})"))
    wanted = bundle.manifest.capabilities.sentences()
    print(f"Good. It asks to: {'; '.join(wanted)}." if wanted else "Good. It only computes.")


def _print_outcomes(outcomes: "list[TestOutcome]") -> None:
    for outcome in outcomes:
        print(f"{'ok    ' if outcome.passed else 'FAILED'} {outcome.name}")
        if not outcome.passed:
            for line in (*outcome.trace, outcome.message, *outcome.output.splitlines()):
                print(f"       {printable(line)}")
    failed = sum(not outcome.passed for outcome in outcomes)
    print(f"{len(outcomes) - failed} passed, {failed} failed")
    if not outcomes:
        print("tests.py has no function named test_….")
