"""The connected client's own model, asked by MCP's `sampling/createMessage`."""

import base64
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

from pydantic_ai import RunContext
from pydantic_ai.messages import (
    BinaryContent,
    FilePart,
    FinishReason,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import (
    CompletedStreamedResponse,
    ModelRequestParameters,
    StreamedResponse,
)
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage
from typing_extensions import override

from host.domain.errors import ModelError
from host.models.media import TEXT_TYPES
from host.models.own import OwnModel, instructions_of

Sampler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Sends the parameters of `sampling/createMessage` to the connected client; returns its result."""
MAX_TOKENS = 4096
"""Longest reply asked for where nothing is said; the protocol wants a number."""
_FINISH: dict[str, FinishReason] = {
    "endTurn": "stop",
    "stopSequence": "stop",
    "maxTokens": "length",
    "toolUse": "tool_call",
    "refusal": "content_filter",
    "contentFilter": "content_filter",
}


class ClientModel(OwnModel):
    """Asks the connected client to sample.

    Args:
        sampler: How it is asked; None if no client is there or it offers no sampling.
    """

    def __init__(self, sampler: Sampler | None) -> None:
        # What the client's model can do is not known: a schema is asked for in words.
        profile = ModelProfile(
            supports_json_schema_output=False,
            default_structured_output_mode="prompted",
            supports_document_input=False,
            supports_video_input=False,
        )
        super().__init__("client", "client", profile=profile)
        self._sampler = sampler

    @override
    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return what the client's model says.

        Raises:
            ModelError: No client can be asked, or it did not answer usefully.
        """
        if self._sampler is None:
            raise no_sampling()
        params = render_sampling(messages, model_settings or {}, model_request_parameters)
        result = await self._sampler(params)
        return _read_result(result, params)

    @override
    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Stream the reply in one piece: sampling has no stream."""
        response = await self.request(messages, model_settings, model_request_parameters)
        stream = CompletedStreamedResponse(
            response, model_request_parameters=model_request_parameters, replay_events=True
        )
        stream.finish_reason = response.finish_reason  # else it looks like one that was cut
        yield stream


def no_sampling() -> ModelError:
    """Return the error of a client that cannot be asked; the next model of a route may be."""
    return ModelError(
        "The model `client` needs a connected client that offers sampling.",
        model="client",
        fault="not_found",
        next_step="Name another model; `host models list` shows what there is.",
    )


def render_sampling(
    messages: list[ModelMessage], settings: ModelSettings, parameters: ModelRequestParameters
) -> dict[str, Any]:
    """Return the parameters of `sampling/createMessage` for a conversation."""
    params: dict[str, Any] = {
        "messages": list(_render(messages)),
        "maxTokens": settings.get("max_tokens", MAX_TOKENS),
    }
    system = "\n\n".join(instructions_of(messages, parameters))
    if system:
        params["systemPrompt"] = system
    if "temperature" in settings:
        params["temperature"] = settings["temperature"]
    if settings.get("stop_sequences"):
        params["stopSequences"] = settings.get("stop_sequences")
    tools = [*parameters.function_tools, *parameters.output_tools]
    if tools:
        params["tools"] = [
            {
                "name": tool.name,
                "description": tool.description or "",
                "inputSchema": tool.parameters_json_schema,
            }
            for tool in tools
        ]
        params["toolChoice"] = {"mode": "auto" if parameters.allow_text_output else "required"}
    return params


def _render(messages: list[ModelMessage]) -> Iterator[dict[str, Any]]:
    for message in messages:
        if isinstance(message, ModelRequest):
            blocks = [block for part in message.parts for block in _request_blocks(part)]
            role = "user"
        else:
            blocks = [block for part in message.parts for block in _reply_blocks(part)]
            role = "assistant"
        if blocks:
            yield {"role": role, "content": blocks[0] if len(blocks) == 1 else blocks}


def _request_blocks(part: object) -> Iterator[dict[str, Any]]:
    if isinstance(part, ToolReturnPart):
        text = part.model_response_str()
        yield {
            "type": "tool_result",
            "toolUseId": part.tool_call_id,
            "content": [{"type": "text", "text": text}, *map(_content_block, part.files)],
        }
    elif isinstance(part, UserPromptPart):
        content = [part.content] if isinstance(part.content, str) else part.content
        for item in content:
            yield _content_block(item)


def _content_block(item: object) -> dict[str, Any]:
    if isinstance(item, str):
        return {"type": "text", "text": item}
    if isinstance(item, BinaryContent) and item.media_type.startswith(("image/", "audio/")):
        kind = item.media_type.partition("/")[0]
        data = base64.b64encode(item.data).decode()
        return {"type": kind, "data": data, "mimeType": item.media_type}
    if isinstance(item, BinaryContent) and item.media_type.startswith(TEXT_TYPES):
        return {"type": "text", "text": item.data.decode(errors="replace")}
    raise ModelError(
        f"The connected client cannot be given a {type(item).__name__}.",
        model="client",
        fault="rejected",
        next_step="Give it text, images or audio.",
    )


def _reply_blocks(part: ModelResponsePart) -> Iterator[dict[str, Any]]:
    if isinstance(part, TextPart):
        yield {"type": "text", "text": part.content}
    elif isinstance(part, FilePart):
        yield _content_block(part.content)
    elif isinstance(part, ToolCallPart):
        yield {
            "type": "tool_use",
            "id": part.tool_call_id,
            "name": part.tool_name,
            "input": part.args_as_dict(),
        }


def _read_result(result: dict[str, Any], params: dict[str, Any]) -> ModelResponse:
    content = result.get("content")
    blocks = cast("list[Any]", content if isinstance(content, list) else [content])
    try:
        parts = [_part(block) for block in blocks]
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            "The connected client's reply cannot be read.", model="client", fault="malformed"
        ) from error
    read, wrote = len(json.dumps(params["messages"])), len(json.dumps(blocks))
    return ModelResponse(
        parts=parts,
        model_name=str(result.get("model", "client")),
        provider_name="client",
        usage=RequestUsage(input_tokens=read // 4, output_tokens=wrote // 4),
        finish_reason=_FINISH.get(str(result.get("stopReason")), "stop"),
    )


def _part(block: dict[str, Any]) -> ModelResponsePart:
    if block["type"] == "text":
        return TextPart(block["text"])
    if block["type"] == "tool_use":
        return ToolCallPart(block["name"], block["input"], tool_call_id=block["id"])
    if block["type"] in {"image", "audio"}:
        data = base64.b64decode(block["data"], validate=True)
        return FilePart(BinaryContent(data, media_type=block["mimeType"]))
    raise ValueError(block["type"])
