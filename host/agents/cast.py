"""Who has a conversation, what it says, and what it answers in the end."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic_ai.messages import (
    BinaryContent,
    FilePart,
    ModelMessage,
    ModelResponse,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from host.agents.context import Context
from host.agents.library import Agent
from host.agents.output import AnswerReader
from host.agents.toolbox import Toolbox


class StreamedReply(Protocol):
    """A reply as it comes in."""

    def __aiter__(self) -> Any:  # noqa: ANN401 - events of pydantic-ai
        """Yield events."""
        ...

    def get(self) -> ModelResponse:
        """Return what has come in so far."""
        ...


class AskedModel(Protocol):
    """What the loop needs of a model; a subset of pydantic-ai's `Model`."""

    def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> AbstractAsyncContextManager[StreamedReply]:
        """Ask, and get the reply as it comes in."""
        ...


@dataclass(slots=True)
class Cast:
    """Who has the conversation: an agent with its model and tools.

    Attributes:
        instructions: The agent's instructions with values filled in.
        reader: Reads its answer; None where any text will do.
    """

    agent: Agent
    model: AskedModel
    instructions: str
    toolbox: Toolbox
    context: Context
    reader: AnswerReader | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run gave.

    Attributes:
        value: The answer read by its schema; None without one.
        files: Pictures and the like that came with it.
    """

    agent: str
    text: str
    value: Any = None
    files: tuple[BinaryContent, ...] = ()


def files_of(response: ModelResponse) -> tuple[BinaryContent, ...]:
    """Return the pictures and the like of a reply."""
    return tuple(part.content for part in response.parts if isinstance(part, FilePart))


def text_of(event: object) -> str:
    """Return the text that an event of a stream brings."""
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""
