"""Goes through a recorded run again: the same loop, with answers from the record only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from host.agents.budget import RunBudget
from host.agents.loop import Loop
from host.agents.recorded import NO_LIMITS, EndOfRecordError, Record, RecordSink
from host.agents.transcript import Transcript, load_content, user_message
from host.domain.errors import OutputError, RunStateError
from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from host.events.run import Event, Run
from host.events.run_log import RunLog
from host.events.runs import Runs

COMPARED = ("reply", "call", "result", "rejected", "handoff", "compacted")
"""Kinds of events that a replay has to give again, alike."""

_APART = {
    "result": ("whole", "page"),
    "rejected": ("reads",),
    "compacted": ("model", "usage", "cost", "tokens"),
}
"""Members of events that a replay does not give again."""

SHOWN = 200
"""Characters of an event that are shown where it differs."""


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
    record = Record(events)
    transcript = Transcript(agent=str(begun.data["agent"]), renames=False)
    transcript.messages.append(user_message(load_content(begun.data["input"])))
    log = RunLog(
        RecordSink(record), replace(run, steps=0, input_tokens=0, output_tokens=0, cost=0.0)
    )
    budget = RunBudget(transcript.agent, NO_LIMITS)
    loop = Loop(log, transcript, tools=record, budget=budget, cast=record.cast)
    text: str | None = None
    try:
        text = (await loop.run()).text
    except EndOfRecordError:
        pass
    except OutputError as error:
        text = str(error)
    return _compared(run, events, record, text)


def _compared(run: Run, events: Sequence[Event], record: Record, text: str | None) -> ReplayResult:
    recorded = [_shape(event.kind, event.data) for event in _without_attempts(events)]
    again = [_shape(event.kind, event.data) for event in record.again if event.kind in COMPARED]
    differences = [
        _difference(number, old, new)
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
        if event.kind == "reply":
            open_calls.clear()
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


def _difference(number: int, old: tuple[str, Json], new: tuple[str, Json]) -> str:
    """Return in words what differs, of long events the piece around the first difference."""
    texts = [json.dumps(data, ensure_ascii=False, default=str) for _, data in (old, new)]
    same = (before == after for before, after in zip(*texts, strict=False))
    place = next((place for place, one in enumerate(same) if not one), min(map(len, texts)))
    was, came = (_piece(text, place) for text in texts)
    return f"{number}: {old[0]} {was} was recorded, {new[0]} {came} came"


def _piece(text: str, place: int) -> str:
    """Return a text, or of a long one what stands around a place, and how long it is."""
    if len(text) <= SHOWN:
        return text
    begin = max(0, min(place - SHOWN // 4, len(text) - SHOWN))
    end = begin + SHOWN
    left, right = "…" if begin else "", "…" if end < len(text) else ""
    return f"{left}{text[begin:end]}{right} ({len(text)} characters)"
