"""Runs a plugin's own tests in the sandbox, with stand-ins for the tools that it calls."""

import ast
import json
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from host.domain.errors import PluginFailedError, SandboxError
from host.domain.jsonrpc import Json
from host.plugins.broker import PluginBroker
from host.plugins.bundle import CODE, TESTS, Bundle
from host.plugins.crew import LoadingBroker
from host.plugins.state import NoState, ShortState
from host.sandbox.broker import Progress, StateStore
from host.sandbox.pool import PluginWorker, SandboxPool

_FUNCTION = re.compile(r"^(?:async )?def (\w+)\(", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """How one test went.

    Attributes:
        name: Its function.
        passed: Whether it returned.
        message: Why it failed.
        trace: The plugin's and the tests' own lines on the way there, innermost last.
        output: What it printed.
    """

    __test__ = False  # not a test of ours

    name: str
    passed: bool
    message: str = ""
    trace: tuple[str, ...] = ()
    output: str = ""


@dataclass(frozen=True, slots=True)
class _Script:
    """The plugin and its tests as one source; `above` lines of it are the plugin's."""

    source: str
    tests: tuple[str, ...]
    stand_ins: tuple[str, ...]
    above: int


class StandIns:
    """Answers tool calls by functions of tests.py, in a process of their own.

    Args:
        worker: Has them.
        names: The tools that there are stand-ins for.
        timeout: Seconds that one may take.
    """

    def __init__(self, worker: PluginWorker, names: tuple[str, ...], timeout: float) -> None:
        self._worker = worker
        self._names = names
        self._timeout = timeout

    async def call(self, name: str, arguments: Json, *, reveal: Mapping[str, str]) -> Json:
        """Return what the stand-in returns, as a tool's result.

        Raises:
            SandboxError: There is no stand-in.
        """
        if name not in self._names:
            raise SandboxError(
                f"Tests call no real tools, and {TESTS} has no stand-in for {name}.",
                next_step=f"Write a function `def {name}(…)` that returns what the tool would.",
            )
        text = json.dumps(arguments)
        for handle in reveal:
            text = text.replace(handle, "[secret]")
        try:
            result = await self._worker.call(name, json.loads(text), timeout=self._timeout)
        except PluginFailedError as error:
            return {"content": [{"type": "text", "text": error.message}], "isError": True}
        return {"content": [], "structuredContent": {"result": result.value}}

    def progress(self, note: Progress) -> None:
        """Nobody waits."""


async def run_tests(pool: SandboxPool, bundle: Bundle, tests: str) -> AsyncIterator[TestOutcome]:
    """Yield the outcome of each test, in the order of the file.

    Raises:
        PluginLoadError: Plugin and tests do not load together; `load_problems` says where.
        SandboxError: The sandbox cannot be used.
    """
    script = _join(bundle.code, tests)
    worker, helper = await _start(pool, bundle, script), await _start(pool, bundle, script)
    manifest = bundle.manifest
    path = StandIns(helper, script.stand_ins, manifest.limits.timeout)
    granted = dict.fromkeys(manifest.capabilities.secrets, "[secret]")
    for test in script.tests:
        state: StateStore = NoState("The manifest does not ask for state.")
        if manifest.capabilities.state:
            state = ShortState(manifest.limits.state_kb * 1024)
        broker = PluginBroker(
            bundle.name, manifest.capabilities, path=path, state=state, secrets=granted
        )
        try:
            result = await worker.call(test, {}, timeout=manifest.limits.timeout, broker=broker)
        except PluginFailedError as error:
            trace = tuple(_place(line, bundle.name, above=script.above) for line in error.trace)
            message = error.message.partition(" failed: ")[2]
            yield TestOutcome(test, False, message, trace, error.output)
        except SandboxError as error:
            yield TestOutcome(test, False, str(error))
        else:
            yield TestOutcome(test, True, output=result.output)
    worker.stop()
    helper.stop()


async def _start(pool: SandboxPool, bundle: Bundle, script: _Script) -> PluginWorker:
    return await pool.start(
        script.source,
        plugin=bundle.name,
        tenant="(tests)",
        broker=LoadingBroker(),
        limits=bundle.manifest.limits.of_sandbox(),
    )


def lines_above(code: str) -> int:
    """Return how many lines of what the sandbox is given come before the tests."""
    return code.count("\n") + (not code.endswith("\n"))


def _join(code: str, tests: str) -> _Script:
    """Return one source: the plugin, then its tests, whose imports of the plugin are not needed."""
    whole = code if code.endswith("\n") else code + "\n"
    above = lines_above(code)
    own = _without_imports(tests)
    found = [name for name in _FUNCTION.findall(own) if not name.startswith("_")]
    names = tuple(name for name in found if name.startswith("test_"))
    stand_ins = tuple(name for name in found if "__" in name)
    marks = "".join(f"tool({name})\n" for name in (*names, *stand_ins))
    return _Script(f"{whole}{own}\n{marks}", names, stand_ins, above)


def _without_imports(tests: str) -> str:
    """Return the tests without `from plugin import …`, whose names are there already."""
    try:
        tree = ast.parse(tests)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return tests  # the sandbox's compiler says what is wrong
    lines = tests.splitlines()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "plugin":
            renamed = [f"{a.asname} = {a.name}" for a in node.names if a.asname]
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
            lines[node.lineno - 1] = "; ".join(renamed)
    return "\n".join(lines) + "\n"


def _place(line: str, plugin: str, *, above: int) -> str:
    """Name the file of a line of a trace: `NAME, line 12, in f`."""
    found = re.fullmatch(rf"<?(?:plugin )?{re.escape(plugin)}>?, line (\d+), in (.*)", line)
    if found is None:
        return line
    number = int(found[1])
    file, own = (TESTS, number - above) if number > above else (CODE, number)
    return f"{file}:{own} in {found[2]}"
