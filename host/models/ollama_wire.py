"""Ollama's own format: a conversation as the body of `/api/chat`, and what its replies say."""

import base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from pydantic_ai.messages import (
    BinaryContent,
    FilePart,
    FinishReason,
    ModelMessage,
    ModelRequest,
    ModelResponsePart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from host.domain.errors import ModelError
from host.models.media import TEXT_TYPES
from host.models.own import instructions_of

Json = dict[str, Any]
BODY_FIELDS = frozenset(
    ("keep_alive", "think", "format", "truncate", "shift", "logprobs", "top_logprobs", "options")
)
"""Fields of the body itself; whatever else is sent as it is goes into its `options`."""
_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "seed": "seed",
    "stop_sequences": "stop",
    "max_tokens": "num_predict",
}
"""pydantic-ai's settings → Ollama's options."""
_FINISH: dict[str, FinishReason] = {"stop": "stop", "length": "length"}


def render_body(
    model: str,
    messages: list[ModelMessage],
    settings: ModelSettings,
    parameters: ModelRequestParameters,
    *,
    streamed: bool,
) -> Json:
    """Return the body of `/api/chat`.

    Too long a conversation is an error and not cut off in silence: `truncate` is false unless
    the settings say otherwise.

    Args:
        model: The model's name.
        messages: The conversation.
        settings: pydantic-ai's; `extra_body` has what it has no word for.
        parameters: Tools and schema.
        streamed: Whether the reply is to come in pieces.
    """
    system = "\n\n".join(instructions_of(messages, parameters))
    talk: list[Json] = [{"role": "system", "content": system}] if system else []
    body: Json = {
        "model": model,
        "messages": [*talk, *_render(messages)],
        "stream": streamed,
        "truncate": False,
    }
    if tools := [_tool(tool) for tool in (*parameters.function_tools, *parameters.output_tools)]:
        body["tools"] = tools
    if parameters.output_mode == "native" and parameters.output_object is not None:
        body["format"] = parameters.output_object.json_schema
    return {**body, **_asked(model, cast("Mapping[str, Any]", settings))}


def read_parts(message: Json, *, first_call: int = 0) -> Iterator[ModelResponsePart]:
    """Return what a message of a reply, or a piece of one, holds.

    Args:
        message: The message.
        first_call: How many tools were called before it, for the calls that have no id.
    """
    if thought := message.get("thinking"):
        yield ThinkingPart(str(thought))
    if text := message.get("content"):
        yield TextPart(str(text))
    calls = cast("list[Json]", message.get("tool_calls") or [])
    for number, call in enumerate(calls, first_call):
        function = call["function"]
        given = function.get("arguments")
        arguments = cast("Json", given) if isinstance(given, dict) else str(given or "")
        name = str(function["name"])
        yield ToolCallPart(name, arguments, tool_call_id=str(call.get("id") or f"call_{number}"))


def read_usage(reply: Json) -> RequestUsage:
    """Return the tokens of a reply; a prompt that was cached whole is not counted by Ollama."""
    return RequestUsage(
        input_tokens=int(reply.get("prompt_eval_count") or 0),
        output_tokens=int(reply.get("eval_count") or 0),
    )


def read_finish(reply: Json, *, called: bool) -> FinishReason:
    """Return why a reply ended."""
    reason = _FINISH.get(str(reply.get("done_reason", "stop")), "stop")
    return "tool_call" if called and reason == "stop" else reason


def _asked(model: str, settings: Mapping[str, Any]) -> Json:
    """Return the fields that settings make, `options` among them."""
    options = {name: settings[ours] for ours, name in _OPTIONS.items() if ours in settings}
    extra = dict(cast("Json", settings.get("extra_body") or {}))
    fields = {name: extra.pop(name) for name in BODY_FIELDS & extra.keys()}
    options |= extra | dict(cast("Json", fields.pop("options", None) or {}))
    thinking = settings.get("thinking")
    if thinking is not None:
        levels = model.rpartition("/")[2].startswith("gpt-oss")  # the others are told yes or no
        fields.setdefault("think", thinking if levels or thinking is False else True)
    return {**fields, "options": options} if options else fields


def _tool(tool: ToolDefinition) -> Json:
    function = {
        "name": tool.name,
        "description": tool.description or "",
        "parameters": tool.parameters_json_schema,
    }
    return {"type": "function", "function": function}


def _render(messages: list[ModelMessage]) -> Iterator[Json]:
    for message in messages:
        if isinstance(message, ModelRequest):
            yield from _requested(message)
        elif parts := [part for part in message.parts if not isinstance(part, SystemPromptPart)]:
            yield _replied(parts)


def _requested(message: ModelRequest) -> Iterator[Json]:
    shown: list[UserContent] = []  # files of tools come after all results: those belong together
    for part in message.parts:
        if isinstance(part, ToolReturnPart):
            text, files = part.model_response_str_and_user_content()
            yield {
                "role": "tool",
                "tool_name": part.tool_name,
                "tool_call_id": part.tool_call_id,
                "content": text,
            }
            shown += files
        elif isinstance(part, UserPromptPart):
            yield _spoken([part.content] if isinstance(part.content, str) else part.content)
        elif isinstance(part, SystemPromptPart):
            continue  # among the instructions
        else:
            raise _unknown(part)
    if shown:
        yield _spoken(shown)


def _spoken(content: Iterable[UserContent]) -> Json:
    texts: list[str] = []
    images: list[str] = []
    for item in content:
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, BinaryContent) and item.is_image:
            images.append(base64.b64encode(item.data).decode())
        elif isinstance(item, BinaryContent) and item.media_type.startswith(TEXT_TYPES):
            texts.append(item.data.decode(errors="replace"))
        else:
            raise _unknown(item)
    spoken: Json = {"role": "user", "content": "\n\n".join(texts)}
    return {**spoken, "images": images} if images else spoken


def _replied(parts: Iterable[ModelResponsePart]) -> Json:
    """Return an earlier reply; what only another provider's model makes is left to that one."""
    message: Json = {"role": "assistant", "content": ""}
    for part in parts:
        if isinstance(part, TextPart):
            message["content"] += part.content
        elif isinstance(part, ThinkingPart):
            message["thinking"] = message.get("thinking", "") + part.content
        elif isinstance(part, ToolCallPart):
            function = {"name": part.tool_name, "arguments": part.args_as_dict()}
            call = {"id": part.tool_call_id, "type": "function", "function": function}
            message.setdefault("tool_calls", []).append(call)
        elif isinstance(part, FilePart) and part.content.is_image:
            picture = base64.b64encode(part.content.data).decode()
            message.setdefault("images", []).append(picture)
    return message


def _unknown(item: object) -> ModelError:
    return ModelError(
        f"Ollama cannot be given a {type(item).__name__}.",
        model="ollama",
        fault="rejected",
        next_step="Give it text, or the pictures themselves.",
    )
