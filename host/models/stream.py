"""A streamed reply as the host hands it on: with the host's errors, and what it cost at its end."""

from collections.abc import AsyncIterator, Callable
from dataclasses import KW_ONLY, dataclass
from datetime import datetime

from pydantic_ai.messages import ModelResponse, ModelResponseStreamEvent
from pydantic_ai.models import StreamedResponse
from pydantic_ai.usage import RequestUsage
from typing_extensions import override

from host.domain.errors import ModelError
from host.models.endpoint import Endpoint, ended_early


@dataclass
class RoutedStream(StreamedResponse):
    """Events of one model's reply.

    Args:
        inner: pydantic-ai's stream, of which `first` was taken already.
        first: The first event; None if the reply is empty.
        endpoint: Whose reply it is.
        finish: Called once with the whole reply; returns it with what is known about it.
    """

    _: KW_ONLY
    inner: StreamedResponse
    first: ModelResponseStreamEvent | None
    endpoint: Endpoint
    finish: Callable[[ModelResponse], ModelResponse]
    _events: AsyncIterator[ModelResponseStreamEvent] | None = None
    _whole: ModelResponse | None = None

    @override
    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        """Return the events; a second loop goes on where the first one stopped."""
        if self._events is None:
            self._events = self._get_event_iterator()
        return self._events

    @override
    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        if self.first is not None:
            yield self.first
        while (event := await self._next()) is not None:
            yield event
        if ended_early(self.inner) and not self.inner.cancelled:
            raise self.endpoint.cut()
        response = self.inner.get()
        error = self.endpoint.ending(self.inner).error(response, self.model_request_parameters)
        if error is not None and not self.inner.cancelled:
            raise error
        self._whole = self.finish(response)

    async def _next(self) -> ModelResponseStreamEvent | None:
        try:
            with self.endpoint.mapping():
                return await anext(self.inner.__aiter__(), None)
        except ModelError as error:
            if error.fault == "connection":  # part of the reply has been given
                raise self.endpoint.cut() from error.__cause__
            raise

    @override
    def get(self) -> ModelResponse:
        """Return the reply as far as it has come."""
        return self._whole if self._whole is not None else self.inner.get()

    @override
    async def cancel(self) -> None:
        """End the reply here."""
        await self.inner.cancel()

    @override
    async def close_stream(self) -> None:
        """Close the connection."""
        await self.inner.close_stream()

    @property
    @override
    def usage(self) -> RequestUsage:
        return self.inner.usage

    @property
    @override
    def model_name(self) -> str:
        return self.inner.model_name

    @property
    @override
    def provider_name(self) -> str | None:
        return self.inner.provider_name

    @property
    @override
    def provider_url(self) -> str | None:
        return self.inner.provider_url

    @property
    @override
    def timestamp(self) -> datetime:
        return self.inner.timestamp

    @property
    @override
    def cancelled(self) -> bool:
        return self.inner.cancelled
