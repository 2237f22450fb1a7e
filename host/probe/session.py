"""Tests a server in one era: connects, lists, calls what only reads, and calls wrongly."""

import math
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import anyio
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from host.probe.definitions import as_object, check_tools
from host.probe.finding import Level, Report
from host.probe.inputs import bad_inputs, good_inputs, is_valid
from host.probe.reading import try_rest
from host.probe.target import ERAS, Era, Target

if TYPE_CHECKING:
    from fastmcp import Client

T = TypeVar("T")
MOST_STARTS = 25
"""Most starts of a server in one era."""
STARTING = 60
"""Seconds that a server may take to start and shake hands, where `timeout` is no longer."""


@dataclass(frozen=True)
class ProbeOptions:
    """How a server is tested."""

    timeout: float = 30
    """Longest wait for one answer, in seconds; a longer one is a hang."""
    slow: float = 5
    """An answer that takes longer than this many seconds is worth a warning."""
    examples: int = 5
    """Calls of each tool with arguments that fit."""
    seed: int = 0
    """The same seed makes the same arguments."""
    call: tuple[str, ...] = ()
    """Tools that are called though they do not say that they only read."""
    call_nothing: bool = False
    """Look at what is listed only."""


class _LostError(Exception):
    """The server went away; it is started again for what is left."""


class _StuckError(Exception):
    """A request hung, and what comes after it may hang for its sake."""


@dataclass
class Progress:
    """Which steps of an era are behind, kept from one start of the server to the next."""

    done: set[str] = field(default_factory=set[str])
    steps: tuple[str, ...] = ()
    now: str = ""
    """The tool that is being called; empty outside of tools."""

    @property
    def left(self) -> list[str]:
        """The steps that have not been begun."""
        return [step for step in self.steps if step not in self.done]


async def probe(target: Target, options: ProbeOptions) -> Report:
    """Test a server in both eras and return what was found."""
    report = Report(target.said)
    for era in ERAS:
        with tempfile.TemporaryDirectory(prefix="probe-") as folder:
            log = Path(folder) / "stderr"
            log.touch()
            await _probe_era(report, target, era, options=options, log=log)
    if not report.reached:
        reasons = "; ".join(f"{era}: {said}" for era, said in report.eras.items())
        report.add("error", "connect", subject="server", message=f"No connection. {reasons}")
    return report


async def _probe_era(
    report: Report, target: Target, era: Era, *, options: ProbeOptions, log: Path
) -> None:
    """Test a server in one era, starting it again where a step made it end or hang."""
    progress = Progress()
    for _ in range(MOST_STARTS):
        if not await _probe_once(report, target, era, options=options, log=log, progress=progress):
            return
    if left := progress.left:
        text = f"It ended or hung {MOST_STARTS} times; not tested: {', '.join(left[:20])}."
        report.add("error", "crash", subject="server", message=text, era=era)


async def _probe_once(
    report: Report,
    target: Target,
    era: Era,
    *,
    options: ProbeOptions,
    log: Path,
    progress: "Progress",
) -> bool:
    """Connect and take the steps that are left; return whether there are more to take."""
    began = time.monotonic()
    patience = max(options.timeout, STARTING)
    client = target.client(era, timeout=patience, log=log)
    try:
        with anyio.fail_after(patience + 5):
            await client.__aenter__()
    except Exception as error:  # noqa: BLE001 - a server under test may fail in any way
        reason = f"{_reason(error)}{_last_words(log)}"
        if not progress.done:
            report.eras[era] = reason
            return False
        left = f" Not tested: {', '.join(progress.left[:20])}." if progress.left else ""
        text = f"It cannot be reached again: {reason}.{left}"
        report.add("error", "crash", subject="server", message=text, era=era)
        return False
    try:
        revision = str(client.session.protocol_version)
        if era == "stateless" and revision not in MODERN_PROTOCOL_VERSIONS:
            report.eras[era] = "not spoken"
            return False
        report.seconds.setdefault(era, time.monotonic() - began)
        report.eras[era] = revision
        await Session(report, client, era, options).run(progress)
    except _LostError as error:
        subject = progress.now or "server"
        report.add("error", "crash", subject=subject, message=str(error), era=era)
        return True
    except _StuckError:
        return True
    finally:
        with anyio.move_on_after(10, shield=True):
            await _leave(client)
    return False


async def _leave(client: "Client[Any]") -> None:
    with suppress(Exception):  # it is being left, whatever it says
        await client.close()


def _last_words(log: Path) -> str:
    """Return the last line that a program wrote to standard error, which often says why."""
    lines = log.read_bytes()[-2_000:].decode("utf-8", "replace").strip().splitlines()
    return f" ({lines[-1].strip()[:200]})" if lines else ""


def _reason(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = cast("BaseExceptionGroup[Exception]", error).exceptions[0]
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@dataclass
class Session:
    """A connection in one era, and what is tried on it."""

    report: Report
    client: "Client[Any]"
    era: Era
    options: ProbeOptions
    stuck: bool = False
    """Whether a request hung."""

    async def run(self, progress: Progress) -> None:
        """Test in this era what is not behind yet; a step that ends the server is not repeated."""
        tools: list[dict[str, Any]] = []

        async def look() -> None:
            tools.extend(await self.listed("tools/list", self.client.list_tools))
            check_tools(self.report, tools)
            chosen = () if self.options.call_nothing else map(self._name_to_call, tools)
            progress.steps = tuple(name for name in chosen if name)

        if "lists" in progress.done:
            tools += await self.listed("tools/list", self.client.list_tools)
        else:
            await self._step(progress, "lists", look)
        await self._step(progress, "an unknown tool", self._call_unknown)
        await self._step(progress, "resources and prompts", lambda: try_rest(self))
        for tool in tools:
            if (name := self._name_to_call(tool)) and not self.options.call_nothing:
                progress.now = name
                await self._step(progress, name, lambda tool=tool: self._try_tool(tool))
        progress.now = ""

    def _name_to_call(self, tool: Mapping[str, Any]) -> str:
        """Return a tool's name where it is to be called, and nothing where it is not."""
        hints, name = as_object(tool.get("annotations")), str(tool["name"])
        return name if hints.get("readOnlyHint") is True or name in self.options.call else ""

    async def _step(
        self, progress: Progress, name: str, take: Callable[[], Awaitable[None]]
    ) -> None:
        if name in progress.done:
            return
        progress.done.add(name)
        await take()
        if self.stuck:
            raise _StuckError

    async def listed(
        self, method: str, ask: Callable[[], Awaitable[Sequence[Any]]]
    ) -> list[dict[str, Any]]:
        """Return a list as it is on the wire; empty where there is no answer."""

        async def whole() -> list[dict[str, Any]]:
            found = await ask()
            return [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in found]

        return await self._within(method, "list", whole) or []

    async def tried(self, subject: str, ask: Callable[[], Awaitable[object]]) -> str | None:
        """Return what a request was refused with, empty if it was answered, None if neither."""
        from mcp.shared.exceptions import MCPError  # noqa: PLC0415 - heavy

        async def refusal() -> str:
            try:
                await ask()
            except MCPError as error:
                if "closed" in str(error).lower():
                    raise _LostError(f"It went away at {subject}: {error}.") from error
                return _reason(error)[:160]
            return ""

        return await self._within(subject, "read", refusal)

    async def refused(self, what: str, ask: Callable[[], Awaitable[object]]) -> None:
        """Report a request that has to be refused and is not."""
        if await self.tried(what, ask) == "":
            self.add("warning", "bad-input", "server", f"It answers a request for {what}.")

    async def _call_unknown(self) -> None:
        name = "no_such_tool_anywhere"
        answer = await self._call(name, {}, "bad-input")
        if answer is not None and not answer.is_error:
            text = "A tool that does not exist is called without an error."
            self.add("error", "bad-input", "server", text)

    async def _try_tool(self, tool: dict[str, Any]) -> None:
        name, schema = str(tool["name"]), as_object(tool.get("inputSchema"))
        good = good_inputs(schema, seed=self.options.seed, most=self.options.examples)
        if not good:
            self.add("note", "call", name, "No arguments were found that fit its schema.")
            return
        failures: list[str] = []
        for arguments in good:
            answer = await self._call(name, arguments, "call")
            self.report.calls += 1
            if answer is None:
                return
            if answer.is_error:
                failures.append(_text_of(answer))
            else:
                self._check_answer(name, tool, answer)
        if len(failures) == len(good):
            self.add("note", "call", name, f"Every call is refused: {failures[0][:160]}")
        await self._try_bad(name, schema, good[0])

    async def _try_bad(self, name: str, schema: dict[str, Any], good: dict[str, Any]) -> None:
        for bad in bad_inputs(schema, good)[:30]:
            answer = await self._call(name, bad.arguments, "bad-input")
            self.report.bad_calls += 1
            if answer is None:
                return
            if not answer.is_error:
                text = f"It takes arguments that its schema refuses: {bad.wrong}."
                self.add("warning", "bad-input", name, text)
            elif "Traceback (most recent call last)" in _text_of(answer):
                self.add("warning", "bad-input", name, f"A traceback is the answer: {bad.wrong}.")

    def _check_answer(self, name: str, tool: dict[str, Any], answer: Any) -> None:  # noqa: ANN401 - FastMCP is imported late
        schema = tool.get("outputSchema")
        if schema is None:
            return
        if answer.structured_content is None:
            text = "It has an output schema and answers without structured content."
            self.add("error", "schema", name, text)
        elif is_valid(schema, answer.structured_content) is False:
            self.add("error", "schema", name, "Its answer does not fit its output schema.")

    async def _call(self, name: str, arguments: dict[str, Any], check: str) -> Any:  # noqa: ANN401 - a result, or None for a hang
        from fastmcp.client.client import CallToolResult  # noqa: PLC0415 - heavy
        from mcp.shared.exceptions import MCPError  # noqa: PLC0415

        async def call() -> Any:  # noqa: ANN401
            try:
                return await self.client.call_tool(name, arguments, raise_on_error=False)
            except MCPError as error:
                if "closed" in str(error).lower():
                    raise _LostError(f"It went away in a call of {name}: {error}.") from error
            except (RuntimeError, ValueError) as error:
                text = f"Its answer breaks its output schema or the protocol: {_reason(error)}"
                self.add("error", "schema", name, text)
            return CallToolResult(
                content=[], structured_content=None, meta=None, data=None, is_error=True
            )

        return await self._within(name, check, call)

    async def _within(self, subject: str, check: str, ask: Callable[[], Awaitable[T]]) -> T | None:
        began = time.monotonic()
        answer: T | None = None
        with anyio.move_on_after(self.options.timeout) as limit:
            try:
                answer = await ask()
            except _LostError:
                raise
            except Exception as error:  # noqa: BLE001 - a server under test may fail in any way
                self.add("error", check, subject, f"It fails: {_reason(error)}")
                return None
        took = time.monotonic() - began
        if limit.cancelled_caught:
            text = f"No answer within {self.options.timeout:g} seconds."
            self.add("error", "hang", subject, text)
            self.stuck = True
        elif took > self.options.slow:
            self.add("warning", "slow", subject, f"An answer took {math.ceil(took)} seconds.")
        return answer

    def add(self, level: Level, check: str, subject: str, message: str) -> None:
        """Add a finding of this era."""
        self.report.add(level, check, subject=subject, message=message, era=self.era)


def _text_of(answer: Any) -> str:  # noqa: ANN401 - FastMCP is imported late
    return " ".join(str(getattr(block, "text", "")) for block in answer.content)
