"""A model of Ollama in its own format, `/api/chat`: what OpenAI's format has no words for."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import httpx2
from pydantic_ai import RunContext
from pydantic_ai.exceptions import ModelHTTPError, UnexpectedModelBehavior
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ModelResponseStreamEvent,
    TextPart,
    ThinkingPart,
    ToolCallPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.profiles import ModelProfile, merge_profile
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.settings import ModelSettings
from typing_extensions import override

from host.models.ollama import api_address
from host.models.ollama_wire import Json, read_finish, read_parts, read_usage, render_body

_CLOUD = "ollama.com"
_TAKES = ModelProfile(
    supports_json_schema_output=True,
    supports_audio_file_input=False,
    supports_document_input=False,
    supports_video_input=False,
    supports_thinking=True,
)
"""What the format has words for, whatever is known of the model over OpenAI's."""


class OllamaModel(Model[None]):
    """Asks one model of an Ollama.

    Args:
        name: The model's name there.
        base_url: Ollama's address, with or without `/v1`.
        key: Sent as a bearer token: ollama.com and proxies want one; empty for none.
        client: The HTTP client that is used.
    """

    def __init__(self, name: str, *, base_url: str, key: str, client: httpx2.AsyncClient) -> None:
        known = OllamaProvider.model_profile(name)
        cloud = name.endswith("-cloud") or httpx2.URL(base_url).host.endswith(_CLOUD)
        # Ollama's cloud takes a schema and does not keep to it.
        kept = ModelProfile(supports_json_schema_output=False) if cloud else ModelProfile()
        super().__init__(profile=merge_profile(known, _TAKES, kept))
        self._name = name
        self._address = api_address(base_url, "chat")
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._client = client

    @override
    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """Return a reply; errors are pydantic-ai's and the HTTP client's."""
        asked = self._asked(messages, model_settings, model_request_parameters, streamed=False)
        answer = await self._client.send(asked)
        self._check(answer)
        reply = _object(answer.text)
        message = reply.get("message")
        if not isinstance(message, dict) or "error" in reply:
            raise _failed(self._name, reply)
        parts = list(_parts(cast("Json", message)))
        called = any(isinstance(part, ToolCallPart) for part in parts)
        return ModelResponse(
            parts=parts,
            model_name=self._name,
            provider_name="ollama",
            usage=read_usage(reply),
            finish_reason=read_finish(reply, called=called),
        )

    @override
    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """Stream a reply: one JSON object a line."""
        asked = self._asked(messages, model_settings, model_request_parameters, streamed=True)
        answer = await self._client.send(asked, stream=True)
        try:
            if answer.is_error:
                await answer.aread()
            self._check(answer)
            yield _OllamaStream(model_request_parameters, name=self._name, answer=answer)
        finally:
            await answer.aclose()

    def _asked(
        self,
        messages: list[ModelMessage],
        settings: ModelSettings | None,
        parameters: ModelRequestParameters,
        *,
        streamed: bool,
    ) -> httpx2.Request:
        given = settings or {}
        body = render_body(self._name, messages, given, parameters, streamed=streamed)
        limits = dict(self._client.timeout.as_dict())
        if (seconds := given.get("timeout")) is not None:
            limits |= {"read": seconds, "write": seconds}
        return self._client.build_request(
            "POST",
            self._address,
            json=body,
            headers=self._headers,
            timeout=httpx2.Timeout(**cast("Json", limits)),
        )

    def _check(self, answer: httpx2.Response) -> None:
        """Raise what an answer that is none means."""
        if not answer.is_success:
            try:
                body: object = answer.json()
            except ValueError:
                body = answer.text
            raise ModelHTTPError(answer.status_code, self._name, body, headers=answer.headers)

    @property
    @override
    def model_name(self) -> str:
        return self._name

    @property
    @override
    def system(self) -> str:
        return "ollama"

    @property
    @override
    def provider(self) -> None:
        return None


@dataclass
class _OllamaStream(StreamedResponse):
    _: KW_ONLY
    name: str
    answer: httpx2.Response
    _calls: int = 0
    _began: datetime = field(default_factory=lambda: datetime.now(UTC))

    @override
    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        async for line in self.answer.aiter_lines():
            if not line.strip():
                continue
            piece = _object(line)
            message = piece.get("message")
            if "error" in piece or not (isinstance(message, dict) or piece.get("done")):
                raise _failed(self.name, piece)
            for event in self._events(cast("Json", message or {})):
                yield event
            if piece.get("done"):
                self._usage = read_usage(piece)
                self.finish_reason = read_finish(piece, called=self._calls > 0)

    def _events(self, message: Json) -> Iterator[ModelResponseStreamEvent]:
        manager = self._parts_manager
        for part in _parts(message, first_call=self._calls):
            if isinstance(part, ThinkingPart):
                yield from manager.handle_thinking_delta(
                    vendor_part_id="thinking", content=part.content
                )
            elif isinstance(part, TextPart):
                yield from manager.handle_text_delta(vendor_part_id="text", content=part.content)
            elif isinstance(part, ToolCallPart):
                yield manager.handle_tool_call_part(
                    vendor_part_id=f"call-{self._calls}",
                    tool_name=part.tool_name,
                    args=part.args_as_json_str() if isinstance(part.args, dict) else part.args,
                    tool_call_id=part.tool_call_id,
                )
                self._calls += 1

    @override
    async def close_stream(self) -> None:
        """Close the connection."""
        await self.answer.aclose()

    @property
    @override
    def model_name(self) -> str:
        return self.name

    @property
    @override
    def provider_name(self) -> str | None:
        return "ollama"

    @property
    @override
    def provider_url(self) -> str | None:
        return str(self.answer.url)

    @property
    @override
    def timestamp(self) -> datetime:
        return self._began


def _object(text: str) -> Json:
    value: object = json.loads(text)
    if not isinstance(value, dict):
        raise UnexpectedModelBehavior("A JSON object was expected", text)
    return cast("Json", value)


def _parts(message: Json, *, first_call: int = 0) -> list[Any]:
    try:
        return list(read_parts(message, first_call=first_call))
    except (LookupError, TypeError, AttributeError) as error:
        raise UnexpectedModelBehavior("A message cannot be read", json.dumps(message)) from error


def _failed(name: str, reply: Json) -> Exception:
    """Return the error of a reply that says it is one, or says nothing."""
    if "error" in reply:
        return ModelHTTPError(500, name, reply, in_stream=True)
    return UnexpectedModelBehavior("A reply without a message", json.dumps(reply))
