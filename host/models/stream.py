"""Gets one model's reply: passes its text on as it comes, and lets errors leave as the host's."""

from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
)
from pydantic_ai.models import ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from host.domain.errors import ModelError
from host.domain.fixed import fixed
from host.models.bucket import Lease
from host.models.endpoint import Endpoint, ended_early

Heard = Callable[[str], None]
"""Takes the text of a reply as it comes in."""


def unheard(text: str) -> None:
    """Let the text of a reply go by: whoever asks waits for all of it."""


@fixed()
class Asked:
    """How a model is asked, besides the conversation.

    Attributes:
        settings: Those of this request, over the model's own.
        parameters: The tools, and how the answer should look.
        heard: Takes the text as it comes in; None: the reply is not streamed.
    """

    settings: ModelSettings | None
    parameters: ModelRequestParameters
    heard: Heard | None = None


@dataclass(slots=True)
class Reading:
    """One reply of one model.

    Attributes:
        endpoint: Whose reply it is.
        asked: How it was asked for.
        begun: Whether any of a streamed one has come: no other model is asked after that.
        usage: What it used, also one that was cut or left; None: that is not known.
    """

    endpoint: Endpoint
    asked: Asked
    begun: bool = field(default=False, init=False)
    usage: RequestUsage | None = field(default=None, init=False)

    async def reply(self, messages: list[ModelMessage], lease: Lease) -> ModelResponse:
        """Return the whole reply.

        Args:
            messages: The conversation.
            lease: The request's place in the rate bucket, which is told how it goes.

        Raises:
            ModelError: The model failed, or the stream was cut.
        """
        try:
            with self.endpoint.mapping(), self.endpoint.witness.watching():
                return await self._reply(messages, lease)
        except ModelError as error:
            if error.fault == "rate_limit":
                lease.refused_for = error.retry_after or 0.0
            if self.begun and error.fault == "connection":  # part of the reply has been given
                raise self.endpoint.cut() from error.__cause__
            raise
        finally:
            self.endpoint.observe(lease)

    async def _reply(self, messages: list[ModelMessage], lease: Lease) -> ModelResponse:
        settings, parameters = self.asked.settings, self.asked.parameters
        if self.asked.heard is None:
            response = await self.endpoint.request(messages, settings, parameters)
            self.usage = response.usage
            return response
        async with self.endpoint.opened(messages, settings, parameters) as stream:
            try:
                await self._hear(stream, self.asked.heard, lease)
            finally:
                self.usage = stream.usage if stream.usage.total_tokens else None
            return stream.get()

    async def _hear(self, stream: StreamedResponse, heard: Heard, lease: Lease) -> None:
        async for event in stream:
            if not self.begun:
                self.begun = True
                await lease.answered()
            text = _text_of(event)
            if text:
                heard(text)
        if not self.begun:
            await lease.answered()
        if ended_early(stream):
            raise self.endpoint.cut()


def _text_of(event: ModelResponseStreamEvent) -> str:
    """Return the text that an event of a stream brings."""
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""
