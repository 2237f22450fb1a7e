"""Stands in the place of models, tools and readers with what the record of a run says of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import ModelRequestParameters
from typing_extensions import override

from host.agents.cast import Cast
from host.agents.config import AgentConfig, AgentLimits
from host.agents.context import Context, Plan
from host.agents.library import Agent
from host.agents.output import Reading
from host.agents.paging import PAGE_TOOL, Pages
from host.agents.tool_result import load_files
from host.agents.toolbox import Tool, ToolAnswer, Toolbox
from host.agents.transcript import calls_of, load_response
from host.domain.errors import HostError, OutputError
from host.domain.jsonrpc import Json
from host.events.run import Event
from host.events.run_log import RunLog
from host.models.output import TOOL

NO_LIMITS = AgentLimits(steps=10_000, repairs=10)
"""For what was within its limits when it was recorded."""


class EndOfRecordError(HostError):
    """The record has nothing more: there the run was stopped."""


@dataclass(slots=True)
class Turn:
    """What came of one reply; the ids of calls are this reply's own.

    Attributes:
        results: By the call's id.
        refused: What was said of calls whose arguments were wrong, by the call's id.
        called: Ids of the calls that were made.
        made: Tools that were called, or refused as such.
        fault: What was wrong with the answer that it was.
    """

    results: dict[str, Json] = field(default_factory=dict[str, Json])
    refused: dict[str, str] = field(default_factory=dict[str, str])
    called: set[str] = field(default_factory=set[str])
    made: set[str] = field(default_factory=set[str])
    fault: Json | None = None

    def add(self, event: Event) -> None:
        """Take what was written down after the reply."""
        data, call_id = event.data, str(event.data.get("id"))
        if event.kind == "rejected" and data.get("answer"):
            self.fault = data
        elif event.kind == "rejected":
            self.refused[call_id] = str(data["text"])
        elif event.kind == "result":
            self.results[call_id] = data
        elif event.kind == "call":
            self.called.add(call_id)
        if _is_call(event):
            self.made.add(str(data["tool"]))


def _is_call(event: Event) -> bool:
    """Whether an event tells of a call, be it made or refused for its arguments."""
    return event.kind in ("call", "rejected") and not event.data.get("answer")


def _turns_of(events: Sequence[Event]) -> list[Turn]:
    """Return what came of each reply, after what was before the first."""
    found = [Turn()]
    for event in events:
        if event.kind == "reply":
            found.append(Turn())
        else:
            found[-1].add(event)
    return found


class Record:
    """Answers of the record, in order, in the place of models, tools and readers."""

    def __init__(self, events: Sequence[Event]) -> None:
        self.again: list[Event] = []
        self.steps = 0
        self._said = [event for event in events if event.kind in ("reply", "compacted")]
        self._next = 0
        self._turns = _turns_of(events)
        tools = [(str(event.data["tool"]), event.data) for event in events if _is_call(event)]
        reading = {tool for tool, data in tools if data.get("reads")}
        self._tools = {tool: tool in reading for tool, _ in tools}
        self._handoffs = tuple(dict.fromkeys(e.data["to"] for e in events if e.kind == "handoff"))
        output = next((e.data.get("output") for e in events if e.kind == "finished"), None)
        self._reader = _RecordedReader(self, output)
        self._reads = output is not None or self._has_answers()

    @property
    def turn(self) -> Turn:
        """What came of the last reply that was given."""
        return self._turns[self.steps]

    def _has_answers(self) -> bool:
        """Whether answers were read: one was sent back, or came as the call of a tool."""
        replies = [load_response(event.data["response"]) for event in self._said_by("reply")]
        return any(turn.fault is not None for turn in self._turns) or any(
            call.tool_name == TOOL and TOOL not in turn.made
            for reply, turn in zip(replies, self._turns[1:], strict=True)
            for call in calls_of(reply)
        )

    def _said_by(self, kind: str) -> list[Event]:
        return [event for event in self._said if event.kind == kind]

    async def cast(self, name: str) -> Cast:
        """Return an agent that says again what it said."""
        tools = {tool: Tool(tool, "", {}, reads) for tool, reads in self._tools.items()}
        toolbox = _RecordedToolbox(tools, Pages(10**9), self._handoffs)
        toolbox.record = self
        agent = Agent(name, AgentConfig(limits=NO_LIMITS), None, "", "")
        reader = self._reader if self._reads else None
        return Cast(agent, _RecordedModel(self), "", toolbox, _RecordedContext(self), reader)

    def next_plan(self) -> Plan | None:
        """Return that a summary comes next, if it does."""
        said = self._said[self._next] if self._next < len(self._said) else None
        if said is None or said.kind != "compacted":
            return None
        return Plan(int(said.data["kept"]), int(said.data["tokens"]))

    def next_response(self) -> ModelResponse:
        """Return the next reply or summary."""
        if self._next >= len(self._said):
            raise EndOfRecordError("The record ends here.")
        said = self._said[self._next]
        self._next += 1
        if said.kind == "compacted":
            return ModelResponse(parts=[TextPart(str(said.data["summary"]))])
        self.steps += 1
        return load_response(said.data["response"])

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
        found = self.turn.results.get(call_id)
        if found is None:
            raise EndOfRecordError("The record ends in this call.")
        return _answer_of(found)


def _answer_of(data: Json) -> ToolAnswer:
    files = tuple(load_files(data))
    return ToolAnswer(str(data["text"]), bool(data["error"]), files=files)


class _RecordedToolbox(Toolbox):
    """Refuses again what was refused, and reads on again where it was read on."""

    record: Record

    @override
    def read_on(self, name: str, arguments: Json | str | None, call_id: str) -> ToolAnswer | None:
        turn = self.record.turn
        if name != PAGE_TOOL or call_id in turn.called or call_id not in turn.results:
            return None
        return _answer_of(turn.results[call_id])

    @override
    def check(self, name: str, arguments: Json | str | None, call_id: str = "") -> Json | str:
        refused = self.record.turn.refused.get(call_id)
        if refused is not None:
            return refused
        self.tools.setdefault(name, Tool(name, "", {}))
        return super().check(name, arguments)


class _RecordedContext(Context):
    """Sums up again where it was summed up."""

    def __init__(self, record: Record) -> None:
        super().__init__(10**9)
        self._record = record

    @override
    def plan(self, messages: Sequence[ModelMessage], *, force: bool = False) -> Plan | None:
        return self._record.next_plan()


class _RecordedModel:
    def __init__(self, record: Record) -> None:
        self._record = record

    async def ask(
        self,
        messages: list[ModelMessage],
        parameters: ModelRequestParameters,
        *,
        heard: Callable[[str], None],
    ) -> ModelResponse:
        return self._record.next_response()


class _RecordedReader:
    """Reads answers as they were read."""

    def __init__(self, record: Record, output: Any) -> None:  # noqa: ANN401 - any JSON
        self._record = record
        self._output = output

    def apply(self, parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Return the parameters."""
        return parameters

    def takes(self, tool: str) -> bool:
        """Whether a tool took an answer: it is the one for it, and was not called as another."""
        return tool == TOOL and tool not in self._record.turn.made

    def read(self, response: ModelResponse) -> Reading:
        """Return what was read."""
        fault = self._record.turn.fault
        if fault is not None:
            return Reading(fault=str(fault["text"]), call_id=fault["id"], tool=fault["tool"])
        call = next((one for one in calls_of(response) if self.takes(one.tool_name)), None)
        return Reading(self._output, response.text or (call.args_as_json_str() if call else ""))

    def error(self, agent: str, fault: str) -> OutputError:
        """Return the error of a run whose answers stayed wrong."""
        return OutputError(fault)


class RecordSink:
    """Takes the events of a replay."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def put(self, run: RunLog, event: Event) -> None:
        """Keep an event."""
        self._record.again.append(event)

    async def flushed(self) -> None:
        """Do nothing: nothing is stored."""
