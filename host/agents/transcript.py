"""Turns messages into events and events into messages: to resume, replay, or go on talking."""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, cast

from pydantic import TypeAdapter
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)

from host.agents.tool_result import result_part
from host.events.run import Event

_RESPONSE: TypeAdapter[ModelResponse] = TypeAdapter(ModelResponse)
_CONTENT: TypeAdapter[str | Sequence[UserContent]] = TypeAdapter(str | Sequence[UserContent])

MAYBE_MADE = (
    "This call was begun, and how it ended is not known here: it may have been carried out, or be "
    "under way. Check before you call it again."
)
SUMMARY = "Summary of the conversation before this point:\n"


def dump_response(response: ModelResponse) -> dict[str, Any]:
    """Return a model's reply as JSON, without what is not known and what was not used."""
    found = _RESPONSE.dump_python(response, mode="json", exclude={"usage"}, exclude_none=True)
    found["usage"] = {name: count for name, count in vars(response.usage).items() if count}
    return found


def load_response(data: dict[str, Any]) -> ModelResponse:
    """Return the reply that `dump_response` gave."""
    return _RESPONSE.validate_python(data)


def dump_content(content: str | Sequence[UserContent]) -> Any:  # noqa: ANN401 - any JSON
    """Return what a user said as JSON: a text, or a list of texts and files."""
    return content if isinstance(content, str) else _CONTENT.dump_python(content, mode="json")


def load_content(data: Any) -> str | Sequence[UserContent]:  # noqa: ANN401 - any JSON
    """Return what `dump_content` gave."""
    return data if isinstance(data, str) else _CONTENT.validate_python(data)


def cost_of(response: ModelResponse) -> float:
    """Return what a reply cost in US dollars, as far as its price is known."""
    return float((response.metadata or {}).get("cost") or 0.0)


def spent_on(response: ModelResponse) -> dict[str, Any]:
    """Return what a reply that is not kept as one has used, and whose it was."""
    used = response.usage
    return {
        "model": str((response.metadata or {}).get("model") or ""),
        "usage": {"input_tokens": used.input_tokens, "output_tokens": used.output_tokens},
        "cost": cost_of(response),
    }


def calls_of(response: ModelResponse) -> list[ToolCallPart]:
    """Return the tool calls of a reply, in order."""
    return [part for part in response.parts if isinstance(part, ToolCallPart)]


def system_message(text: str) -> ModelRequest:
    """Return instructions as a message."""
    return ModelRequest(parts=[SystemPromptPart(text)])


def user_message(content: str | Sequence[UserContent]) -> ModelRequest:
    """Return what a user said as a message."""
    return ModelRequest(parts=[UserPromptPart(content)])


@dataclass(slots=True)
class Transcript:
    """A conversation as it goes on, without its instructions.

    Attributes:
        messages: What was said, in order.
        agent: Who has it now.
        called: Ids of the calls whose intent was written down, of the last reply.
        answered: Ids of those of them that have a result.
        waiting: Approvals that calls waited for and had no answer to, by the call's id; a call that
            was let through since, or begun again, is not among them.
        children: Runs that calls had begun and that waited for one, by the call's id.
        whole: Long results of which the model has read a page, by their names, see `page_name`.
        unmade: Ids of called ones that are known not to have been made.
        repairs: Answers of who has it now that were sent back.
        ids: Those of all calls.
        renames: Whether calls get ids of their own; those of a record have what they have.
    """

    agent: str = ""
    messages: list[ModelMessage] = field(default_factory=list[ModelMessage])
    called: set[str] = field(default_factory=set[str])
    answered: set[str] = field(default_factory=set[str])
    waiting: dict[str, str] = field(default_factory=dict[str, str])
    children: dict[str, str] = field(default_factory=dict[str, str])
    whole: dict[str, str] = field(default_factory=dict[str, str])
    unmade: set[str] = field(default_factory=set[str])
    repairs: int = 0
    ids: set[str] = field(default_factory=set[str])
    renames: bool = True

    def with_own_ids(self, response: ModelResponse) -> ModelResponse:
        """Return a reply each of whose calls has an id that no other call has.

        Some models begin anew with the ids in each reply, or give none.
        """
        given = [call.tool_call_id for call in calls_of(response)]
        own = all(given) and len(set(given)) == len(given) and self.ids.isdisjoint(given)
        if own or not self.renames:
            return response
        taken, parts = set(self.ids), list[ModelResponsePart]()
        for part in response.parts:
            if isinstance(part, ToolCallPart):
                name = _free_name(part.tool_call_id or "call", taken)
                taken.add(name)
                parts.append(replace(part, tool_call_id=name))
            else:
                parts.append(part)
        return replace(response, parts=parts)

    def add_response(self, response: ModelResponse) -> None:
        """Add a model's reply."""
        self.messages.append(response)
        self.ids.update(call.tool_call_id for call in calls_of(response))
        # Records of old have ids that are one reply's own.
        self.called, self.answered, self.unmade = set(), set(), set()
        self.waiting, self.children = {}, {}

    def add_part(self, part: ModelRequestPart) -> None:
        """Add a result, which goes into one message with its siblings."""
        last = self.messages[-1] if self.messages else None
        if isinstance(last, ModelRequest):
            last.parts = [*last.parts, part]
        else:
            self.messages.append(ModelRequest(parts=[part]))

    def add_result(self, data: dict[str, Any]) -> None:
        """Add what a tool gave, as it is recorded."""
        self.add_part(result_part(data))

    def page_name(self, call_id: str) -> str:
        """Return the name under which a long result is kept: its call's id, or one made of it.

        An id may have been that of an earlier reply's call, whose result is kept too.
        """
        return _free_name(call_id, self.whole)

    def open_calls(self) -> list[ToolCallPart]:
        """Return the calls of the last reply that have no result yet."""
        last = next((m for m in reversed(self.messages) if isinstance(m, ModelResponse)), None)
        if last is None:
            return []
        return [call for call in calls_of(last) if call.tool_call_id not in self.answered]

    def compact(self, summary: str, kept: int) -> None:
        """Put a summary in the place of all but the last messages."""
        tail = self.messages[len(self.messages) - kept :] if kept else []
        self.messages = [user_message(SUMMARY + summary), *tail]

    def close_calls(self, *, ended: bool) -> None:
        """Say of each call without a result what is known of it, so that all have one.

        Args:
            ended: Whether the run has ended; what waited for an approval then was not made.
        """
        for call in self.open_calls():
            call_id = call.tool_call_id
            self.answered.add(call_id)
            made = call_id in self.called and not (ended and call_id in self.waiting)
            text = MAYBE_MADE if made else "Not carried out."
            self.add_part(ToolReturnPart(call.tool_name, text, tool_call_id=call_id))

    def hand_over(self, agent: str) -> None:
        """Let another agent have it."""
        self.agent, self.repairs = agent, 0

    def recall(self, text: str) -> None:
        """Add memories to what the user said."""
        self.add_part(UserPromptPart(text))

    def tells(self, text: str) -> bool:
        """Return whether a text stands in what the model was told, as a part of one message."""
        parts = [
            part for one in self.messages if isinstance(one, ModelRequest) for part in one.parts
        ]
        said = [part.content for part in parts if isinstance(part, UserPromptPart)]
        return any(text in content for content in said if isinstance(content, str))

    def text(self) -> str:
        """Return the last text that a model gave."""
        for message in reversed(self.messages):
            if isinstance(message, ModelResponse) and message.text:
                return message.text
        return ""


def _free_name(name: str, taken: Container[str]) -> str:
    """Return a name, or one made of it that is not taken."""
    if name not in taken:
        return name
    return next(one for number in count(2) if (one := f"{name}-{number}") not in taken)


def replay_events(events: Iterable[Event], transcript: Transcript) -> Transcript:
    """Bring a transcript to where the events of a run leave it."""
    for event in events:
        _apply(event, transcript)
    return transcript


def _apply(event: Event, transcript: Transcript) -> None:
    apply = _APPLY.get(event.kind)
    if apply is not None:
        apply(transcript, event.data)


def _begin(transcript: Transcript, data: dict[str, Any]) -> None:
    transcript.hand_over(str(data.get("agent", transcript.agent)))
    transcript.messages.append(user_message(load_content(data["input"])))


def _take_result(transcript: Transcript, data: dict[str, Any]) -> None:
    transcript.answered.add(str(data["id"]))
    if "whole" in data:
        transcript.whole[str(data.get("page") or data["id"])] = str(data["whole"])
    transcript.add_result(data)


def _wait(transcript: Transcript, data: dict[str, Any]) -> None:
    if data.get("inside") is None:
        transcript.waiting[str(data["id"])] = str(data["approval"])
    else:
        transcript.children[str(data["id"])] = str(data["inside"])


def _call(transcript: Transcript, data: dict[str, Any]) -> None:
    transcript.called.add(str(data["id"]))
    transcript.waiting.pop(str(data["id"]), None)  # made again, it may not have to wait


def _take_answer(transcript: Transcript, data: dict[str, Any]) -> None:
    if "approval" in data:
        transcript.waiting.pop(str(data["id"]), None)


def _take_inside(transcript: Transcript, data: dict[str, Any]) -> None:
    transcript.children[str(data["id"])] = str(data["run"])


def _take_rejection(transcript: Transcript, data: dict[str, Any]) -> None:
    transcript.answered.add(str(data.get("id") or ""))
    transcript.repairs += bool(data.get("answer"))
    transcript.add_part(retry_part(data))


def _hand_over(transcript: Transcript, data: dict[str, Any]) -> None:
    transcript.hand_over(str(data["to"]))


_APPLY: dict[str, Callable[[Transcript, dict[str, Any]], None]] = {
    "started": _begin,
    "recalled": lambda transcript, data: transcript.recall(str(data["text"])),
    "reply": lambda transcript, data: transcript.add_response(load_response(data["response"])),
    "call": _call,
    "answer": _take_answer,
    "inside": _take_inside,
    "approval": _wait,
    "result": _take_result,
    "rejected": _take_rejection,
    "handoff": _hand_over,
    "compacted": lambda transcript, data: transcript.compact(
        str(data["summary"]), int(data["kept"])
    ),
}


def retry_part(data: dict[str, Any]) -> ModelRequestPart:
    """Return what tells the model that its call or answer was wrong."""
    call_id = data.get("id")
    if call_id is None:
        return UserPromptPart(str(data["text"]))
    return ToolReturnPart(
        str(data["tool"]), str(data["text"]), tool_call_id=str(call_id), outcome="retried"
    )


def plain_text(content: object) -> str:
    """Return the text in what a user said."""
    if isinstance(content, str):
        return content
    if isinstance(content, list | tuple):
        parts = cast("Sequence[object]", content)
        return " ".join(part for part in parts if isinstance(part, str))
    return ""


def title_of(content: object) -> str:
    """Return the beginning of what was asked, in one line."""
    return " ".join(plain_text(content).split())[:120]
