"""A model that follows a script: deterministic, for demos, tests and developing without any key."""

import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import anyio
from pydantic_ai import RunContext
from pydantic_ai.messages import (
    BinaryContent,
    FilePart,
    FinishReason,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage
from typing_extensions import override

from host.domain.errors import Fault, ModelError
from host.models.own import OwnModel
from host.models.script import Condition, Script, Turn

CHARS_A_TOKEN = 4
"""How token counts are estimated from texts."""
_HOLE = re.compile(r"\$\{(prompt|result|step)\}")
_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
}
_SAYINGS: dict[Fault, str] = {
    "auth": "refused the key",
    "rate_limit": "asks for fewer requests",
    "overloaded": "is overloaded",
    "timeout": "did not answer in time",
    "connection": "cannot be reached",
    "context": "was given more than fits its context",
}


@dataclass(frozen=True, slots=True)
class _Talk:
    """What a script can ask about a conversation.

    Attributes:
        step: How many replies there have been.
        prompt: The last text of a user.
        result: The newest tool result as text, and `after` the name of its tool.
        asked: Whether the user spoke last.
    """

    step: int
    prompt: str
    result: str
    after: str | None
    asked: bool


class ScriptedModel(OwnModel):
    """Answers as its script says; one instance is one conversation's worth of failures.

    Args:
        name: The script's name.
        script: What it says.
    """

    def __init__(self, name: str, script: Script) -> None:
        super().__init__("scripted", name)
        self._script = script
        self._failures: dict[int, int] = {}

    @override
    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return the reply of the turn that is due."""
        talk = _read(messages)
        turn = await self._turn(talk, model_request_parameters)
        response = _response(self._name, turn, talk, messages, model_request_parameters)
        if turn.cut_after is not None:
            raise self._error("cut", "closed the connection in the middle of its reply")
        return response

    @override
    def request_stream(  # pyright: ignore[reportIncompatibleMethodOverride] - a context all the same
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AbstractAsyncContextManager[StreamedResponse]:
        """Stream the reply of the turn that is due, in pieces."""
        return _Opening(self, messages, model_request_parameters)

    async def open_stream(
        self, messages: list[ModelMessage], parameters: ModelRequestParameters
    ) -> StreamedResponse:
        """Return the stream of the turn that is due, when it begins."""
        talk = _read(messages)
        turn = await self._turn(talk, parameters)
        response = _response(self._name, turn, talk, messages, parameters)
        return _ScriptedStream(parameters, turn=turn, response=response)

    async def _turn(self, talk: _Talk, parameters: ModelRequestParameters) -> Turn:
        place = self._place(talk, {tool.name for tool in parameters.function_tools})
        turn = self._script.turns[place]
        if turn.delay:
            await anyio.sleep(turn.delay)
        if turn.error is not None:
            failed = self._failures.get(place, 0)
            if not turn.error.times or failed < turn.error.times:
                self._failures[place] = failed + 1
                says = _SAYINGS.get(turn.error.fault, f"failed ({turn.error.fault})")
                raise self._error(turn.error.fault, says, retry_after=turn.error.retry_after)
        return turn

    def _place(self, talk: _Talk, offered: set[str]) -> int:
        turns = self._script.turns
        for place, turn in enumerate(turns):
            if turn.when is not None and _holds(turn.when, talk, offered):
                return place
        plain = [place for place, turn in enumerate(turns) if turn.when is None]
        if plain and (self._script.loop or talk.step < len(plain)):
            return plain[talk.step % len(plain)]
        raise ModelError(
            f"The script of scripted:{self._name} has no turn for reply {talk.step + 1}.",
            model=f"scripted:{self._name}",
            fault="rejected",
            next_step="Add a turn, or set `loop: true`.",
        )

    def _error(self, fault: Fault, says: str, *, retry_after: float | None = None) -> ModelError:
        name = f"scripted:{self._name}"
        return ModelError(f"{name} {says}.", model=name, fault=fault, retry_after=retry_after)


@dataclass(slots=True)
class _Opening(AbstractAsyncContextManager[StreamedResponse]):
    """A stream that is about to begin."""

    model: ScriptedModel
    messages: list[ModelMessage]
    parameters: ModelRequestParameters

    @override
    async def __aenter__(self) -> StreamedResponse:
        return await self.model.open_stream(self.messages, self.parameters)

    @override
    async def __aexit__(self, *error: object) -> None:
        """Nothing is open."""


@dataclass
class _ScriptedStream(StreamedResponse):
    turn: Turn = field(kw_only=True)
    response: ModelResponse = field(kw_only=True)

    @override
    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        """Return the events; a second loop goes on where the first one stopped."""
        if self._event_iterator is None:
            self._event_iterator = self._get_event_iterator()
        return self._event_iterator

    @override
    def get(self) -> ModelResponse:
        """Return the reply as far as it has come."""
        return self.response if self._finished else super().get()

    @override
    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        for number, event in enumerate(self._events()):
            if number and self.turn.chunk_delay:
                await anyio.sleep(self.turn.chunk_delay)
            yield event
        self._usage = self.response.usage
        self.finish_reason = self.response.finish_reason
        self._finished = True

    def _events(self) -> Iterator[ModelResponseStreamEvent]:
        manager = self._parts_manager
        for number, part in enumerate(self.response.parts):
            match part:
                case TextPart(content=text):
                    for piece in self._until_cut(text):
                        yield from manager.handle_text_delta(vendor_part_id=number, content=piece)
                case ThinkingPart(content=text):
                    for piece in _pieces(text, self.turn.chunk):
                        yield from manager.handle_thinking_delta(
                            vendor_part_id=number, content=piece
                        )
                case ToolCallPart(args=args):
                    yield manager.handle_tool_call_part(
                        vendor_part_id=number,
                        tool_name=part.tool_name,
                        args=part.args_as_json_str() if isinstance(args, dict) else args,
                        tool_call_id=part.tool_call_id,
                    )
                case FilePart():
                    yield manager.handle_part(vendor_part_id=number, part=part)
                case _:
                    pass

    def _until_cut(self, text: str) -> Iterator[str]:
        limit = self.turn.cut_after
        yield from _pieces(text[:limit], self.turn.chunk)
        if limit is not None:
            name = f"scripted:{self.response.model_name}"
            raise ModelError(
                f"{name} closed the connection in the middle of its reply.",
                model=name,
                fault="cut",
            )

    @override
    async def close_stream(self) -> None:
        """Nothing is open."""

    @property
    @override
    def model_name(self) -> str:
        return self.response.model_name or ""

    @property
    @override
    def provider_name(self) -> str | None:
        return "scripted"

    @property
    @override
    def provider_url(self) -> str | None:
        return None

    @property
    @override
    def timestamp(self) -> datetime:
        return self.response.timestamp


def _read(messages: list[ModelMessage]) -> _Talk:
    step = sum(isinstance(message, ModelResponse) for message in messages)
    prompt, result, after, asked = "", "", None, False
    for message in messages:
        if not isinstance(message, ModelRequest):
            continue
        for part in message.parts:
            if isinstance(part, UserPromptPart):
                prompt, after, asked = _user_text(part), None, True
            elif isinstance(part, ToolReturnPart):
                result, after, asked = part.model_response_str(), part.tool_name, False
    return _Talk(step, prompt, result, after, asked)


def _user_text(part: UserPromptPart) -> str:
    content = part.content
    return (
        content
        if isinstance(content, str)
        else " ".join(piece for piece in content if isinstance(piece, str))
    )


def _holds(when: Condition, talk: _Talk, offered: set[str]) -> bool:
    return (
        (when.prompt is None or re.search(when.prompt, talk.prompt) is not None)
        and (when.after is None or when.after == talk.after)
        and (when.offered is None or when.offered in offered)
        and (not when.asked or talk.asked)
    )


def _response(
    name: str,
    turn: Turn,
    talk: _Talk,
    messages: list[ModelMessage],
    parameters: ModelRequestParameters,
) -> ModelResponse:
    parts = list(_parts(turn, talk, parameters))
    return ModelResponse(
        parts=parts,
        model_name=name,
        provider_name="scripted",
        timestamp=datetime.now(UTC),
        usage=_usage(turn, parts, messages),
        finish_reason=_finish(turn, parts),
    )


def _parts(
    turn: Turn, talk: _Talk, parameters: ModelRequestParameters
) -> Iterator[ModelResponsePart]:
    if turn.thinking:
        yield ThinkingPart(_fill(turn.thinking, talk))
    if turn.reply is not None:
        yield TextPart(_fill(turn.reply, talk))
    for file in turn.files:
        yield FilePart(BinaryContent(file.data, media_type=file.media_type))
    for number, call in enumerate(turn.calls):
        yield ToolCallPart(
            call.tool, _filled(call.arguments, talk), tool_call_id=f"call_{talk.step}_{number}"
        )
    if "json_reply" in turn.model_fields_set:
        value = _filled(turn.json_reply, talk)
        if parameters.output_tools:
            tool = parameters.output_tools[0].name
            yield ToolCallPart(tool, value, tool_call_id=f"call_{talk.step}_out")
        else:
            yield TextPart(json.dumps(value, ensure_ascii=False))


def _fill(text: str, talk: _Talk) -> str:
    values = {"prompt": talk.prompt, "result": talk.result, "step": str(talk.step)}
    return _HOLE.sub(lambda hole: values[hole[1]], text)


def _filled(value: Any, talk: _Talk) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str):
        return _fill(value, talk)
    if isinstance(value, list):
        return [_filled(item, talk) for item in cast("list[Any]", value)]
    if isinstance(value, Mapping):
        return {key: _filled(item, talk) for key, item in cast("dict[str, Any]", value).items()}
    return value


def _usage(
    turn: Turn, parts: list[ModelResponsePart], messages: list[ModelMessage]
) -> RequestUsage:
    if turn.usage is not None:
        return RequestUsage(input_tokens=turn.usage.input, output_tokens=turn.usage.output)
    read = sum(_length(part) for message in messages for part in message.parts)
    wrote = sum(_length(part) for part in parts)
    return RequestUsage(
        input_tokens=-(-read // CHARS_A_TOKEN), output_tokens=-(-wrote // CHARS_A_TOKEN)
    )


def _length(part: object) -> int:
    if isinstance(part, ToolCallPart):
        return len(part.args_as_json_str())
    content = getattr(part, "content", None)
    return len(content) if isinstance(content, str) else 0


def _finish(turn: Turn, parts: list[ModelResponsePart]) -> FinishReason:
    if turn.finish is not None:
        return _FINISH[turn.finish]
    called = any(isinstance(part, ToolCallPart) for part in parts)
    return "tool_call" if called else "stop"


def _pieces(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]
