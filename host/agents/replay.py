"""Goes through a recorded run again: the same loop, with answers from the record only."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from typing_extensions import override

from host.agents.budget import RunBudget
from host.agents.cast import Cast
from host.agents.config import AgentConfig, AgentLimits
from host.agents.context import Context, Plan
from host.agents.library import Agent
from host.agents.loop import Loop
from host.agents.output import Reading
from host.agents.paging import PAGE_TOOL, Pages
from host.agents.tool_result import load_files
from host.agents.toolbox import Tool, ToolAnswer, Toolbox
from host.agents.transcript import (
    Transcript,
    calls_of,
    load_content,
    load_response,
    user_message,
)
from host.domain.errors import HostError, OutputError, RunStateError
from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from host.events.run import Event, Run
from host.events.run_log import RunLog
from host.events.runs import Runs

COMPARED = ("reply", "call", "result", "rejected", "handoff", "compacted")
"""Kinds of events that a replay has to give again, alike."""

_APART = {"result": ("whole",), "compacted": ("model", "usage", "cost", "tokens")}
"""Members of events that a replay does not give again."""

_NO_LIMITS = AgentLimits(steps=10_000, repairs=10)


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay showed.

    Attributes:
        differences: Where it was not as recorded; empty if it was.
    """

    run: str
    events: int
    steps: int
    differences: list[str] = field(default_factory=list[str])

    def fields(self) -> Json:
        """Return it as JSON."""
        return {
            "run": self.run,
            "events": self.events,
            "steps": self.steps,
            "differences": self.differences,
        }


class _EndOfRecordError(HostError):
    """The record has nothing more: there the run was stopped."""


async def replay_run(runs: Runs, principal: Principal, run_id: str) -> ReplayResult:
    """Replay a run and compare.

    Raises:
        NotFoundError: There is no such run.
        RunStateError: It has no beginning yet.
    """
    run = await runs.get(principal, run_id)
    events = await runs.events(principal, run.id)
    begun = next((event for event in events if event.kind == "started"), None)
    if begun is None:
        raise RunStateError(f"The run {run.id} has no events yet.")
    record = _Record(events)
    transcript = Transcript(agent=str(begun.data["agent"]))
    transcript.messages.append(user_message(load_content(begun.data["input"])))
    log = RunLog(_Sink(record), replace(run, steps=0, input_tokens=0, output_tokens=0, cost=0.0))
    budget = RunBudget(transcript.agent, _NO_LIMITS)
    loop = Loop(log, transcript, tools=record, budget=budget, cast=record.cast)
    text: str | None = None
    try:
        text = (await loop.run()).text
    except _EndOfRecordError:
        pass
    except OutputError as error:
        text = str(error)
    return _compared(run, events, record, text)


def _compared(
    run: Run, events: Sequence[Event], record: "_Record", text: str | None
) -> ReplayResult:
    recorded = [_shape(event.kind, event.data) for event in _without_attempts(events)]
    again = [_shape(event.kind, event.data) for event in record.again if event.kind in COMPARED]
    differences = [
        f"{number}: {old} was recorded, {new} came"
        for number, (old, new) in enumerate(zip(recorded, again, strict=False), 1)
        if old != new
    ]
    if len(recorded) != len(again):
        differences.append(f"{len(recorded)} events were recorded, {len(again)} came")
    ended = next((e.data for e in reversed(events) if e.kind == "finished"), None)
    if run.status == "succeeded" and ended is not None and ended.get("text") != text:
        differences.append("the answer is another one")
    return ReplayResult(run.id, len(events), record.steps, differences)


def _without_attempts(events: Sequence[Event]) -> list[Event]:
    """Return the events that a replay gives again, with each call as often as it had an outcome.

    A run that is taken up writes down a call that was open before it is made again. The replay is
    never interrupted, so it makes the call once; and not at all if its arguments were refused.
    """
    found: list[Event] = []
    open_calls: dict[str, Event] = {}
    for event in events:
        if event.kind not in COMPARED:
            continue
        call_id = str(event.data.get("id"))
        before = open_calls.get(call_id)
        if event.kind == "call":
            if before is not None and _intent(before) == _intent(event):
                continue
            open_calls[call_id] = event
        elif event.kind in ("result", "rejected"):
            open_calls.pop(call_id, None)
            if event.kind == "rejected" and before is not None:
                found.remove(before)
        found.append(event)
    return found


def _intent(call: Event) -> tuple[object, object]:
    return call.data.get("tool"), call.data.get("arguments")


def _shape(kind: str, data: Json) -> tuple[str, Json]:
    """Return an event without what time alone makes different."""
    if kind == "reply":
        return kind, data["response"]["parts"]
    apart = _APART.get(kind, ())
    return kind, {name: value for name, value in data.items() if name not in apart}


class _Record:
    """Answers of the record, in order, in the place of models, tools and readers."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.again: list[Event] = []
        self.steps = 0
        self._turns = [event for event in events if event.kind in ("reply", "compacted")]
        self._turn = 0
        self._calls = {e.data["id"]: e.data for e in events if e.kind == "call"}
        self._results = {e.data["id"]: e.data for e in events if e.kind == "result"}
        self._rejected = [e.data for e in events if e.kind == "rejected"]
        self._handoffs = tuple(dict.fromkeys(e.data["to"] for e in events if e.kind == "handoff"))
        self._output: Any = next(
            (e.data.get("output") for e in events if e.kind == "finished"), None
        )
        self._reader = _RecordedReader(events, self._output)

    async def cast(self, name: str) -> Cast:
        """Return an agent that says again what it said."""
        toolbox = _RecordedToolbox(self._tools(), Pages(10**9), self._handoffs)
        toolbox.rejections = {str(data["id"]): str(data["text"]) for data in self._rejected}
        toolbox.read = {
            call_id: ToolAnswer(str(data["text"]), bool(data["error"]))
            for call_id, data in self._results.items()
            if data["tool"] == PAGE_TOOL and call_id not in self._calls
        }
        agent = Agent(name, AgentConfig(limits=_NO_LIMITS), None, "", "")
        reader = self._reader if self._reader.needed else None
        return Cast(agent, _RecordedModel(self), "", toolbox, _RecordedContext(self), reader)

    def _tools(self) -> dict[str, Tool]:
        return {
            str(data["tool"]): Tool(str(data["tool"]), "", {}, bool(data.get("reads")))
            for data in self._calls.values()
        }

    def next_plan(self) -> Plan | None:
        """Return that a summary comes next, if it does."""
        turn = self._turns[self._turn] if self._turn < len(self._turns) else None
        if turn is None or turn.kind != "compacted":
            return None
        return Plan(int(turn.data["kept"]), int(turn.data["tokens"]))

    def next_response(self) -> ModelResponse:
        """Return the next reply or summary."""
        if self._turn >= len(self._turns):
            raise _EndOfRecordError("The record ends here.")
        turn = self._turns[self._turn]
        self._turn += 1
        if turn.kind == "compacted":
            return ModelResponse(parts=[TextPart(str(turn.data["summary"]))])
        self.steps += 1
        return load_response(turn.data["response"])

    async def offered(self, wanted: Sequence[str]) -> list[Tool]:
        """Return nothing: the toolbox knows what was called."""
        return []

    async def take_up(self, run_id: str, call_id: str) -> ToolAnswer:
        """Return the recorded result."""
        return await self.call("", {}, call_id)

    async def call(
        self, name: str, arguments: Json, call_id: str, *, seconds: float | None = None
    ) -> ToolAnswer:
        """Return the recorded result."""
        found = self._results.get(call_id)
        if found is None:
            raise _EndOfRecordError("The record ends in this call.")
        files = tuple(load_files(found))
        return ToolAnswer(str(found["text"]), bool(found["error"]), files=files)


class _RecordedToolbox(Toolbox):
    """Refuses again what was refused, and reads on again where it was read on."""

    rejections: dict[str, str]
    read: dict[str, ToolAnswer]

    @override
    def read_on(self, name: str, arguments: Json | str | None, call_id: str) -> ToolAnswer | None:
        return self.read.get(call_id)

    @override
    def check(self, name: str, arguments: Json | str | None, call_id: str = "") -> Json | str:
        if call_id in self.rejections:
            return self.rejections[call_id]
        self.tools.setdefault(name, Tool(name, "", {}))
        return super().check(name, arguments)


class _RecordedContext(Context):
    """Sums up again where it was summed up."""

    def __init__(self, record: _Record) -> None:
        super().__init__(10**9)
        self._record = record

    @override
    def plan(self, messages: Sequence[ModelMessage], *, force: bool = False) -> Plan | None:
        return self._record.next_plan()


class _RecordedStream:
    def __init__(self, response: ModelResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[object]:
        for event in ():
            yield event

    def get(self) -> ModelResponse:
        return self._response


class _RecordedModel:
    def __init__(self, record: _Record) -> None:
        self._record = record

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> AsyncGenerator[_RecordedStream]:
        yield _RecordedStream(self._record.next_response())


class _RecordedReader:
    """Reads answers as they were read."""

    def __init__(self, events: Sequence[Event], output: Any) -> None:  # noqa: ANN401 - any JSON
        self._output = output
        self._faults: dict[int, Json] = {}
        made: set[str] = set()
        said: set[str] = set()
        replies = -1
        for event in events:
            if event.kind == "reply":
                replies += 1
                said |= {call.tool_name for call in calls_of(load_response(event.data["response"]))}
            elif event.kind in ("call", "result"):
                made.add(str(event.data["tool"]))
            elif event.kind == "rejected" and event.data.get("answer"):
                self._faults[replies] = event.data
        self._answers = said - made
        self._seen = -1
        self._last: ModelResponse | None = None
        self.needed = output is not None or bool(self._faults)

    def apply(self, parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Return the parameters."""
        self._seen += 1
        return parameters

    def takes(self, tool: str) -> bool:
        """Whether a tool took an answer: it was named and never called."""
        return tool in self._answers

    def read(self, response: ModelResponse) -> Reading:
        """Return what was read."""
        fault = self._faults.get(self._seen)
        if fault is not None:
            return Reading(fault=str(fault["text"]), call_id=fault["id"], tool=fault["tool"])
        call = next((one for one in calls_of(response) if self.takes(one.tool_name)), None)
        return Reading(self._output, response.text or (call.args_as_json_str() if call else ""))

    def error(self, agent: str, fault: str) -> OutputError:
        """Return the error of a run whose answers stayed wrong."""
        return OutputError(fault)


class _Sink:
    """Takes the events of a replay."""

    def __init__(self, record: _Record) -> None:
        self._record = record

    def put(self, run: RunLog, event: Event) -> None:
        """Keep an event."""
        self._record.again.append(event)

    async def flushed(self) -> None:
        """Do nothing: nothing is stored."""
