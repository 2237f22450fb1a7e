"""Who has a conversation, what it says, and what it answers in the end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic_ai.messages import BinaryContent, FilePart, ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestParameters

from host.agents.context import Context
from host.agents.library import Agent
from host.agents.output import AnswerReader
from host.agents.toolbox import Toolbox
from host.agents.transcript import system_message


class AskedModel(Protocol):
    """What the loop needs of a model; a `RoutedModel` is one."""

    async def ask(
        self,
        messages: list[ModelMessage],
        parameters: ModelRequestParameters,
        *,
        heard: Callable[[str], None],
    ) -> ModelResponse:
        """Return a reply; its text is passed on as it comes in."""
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
    told: tuple[ModelMessage, ...] = field(init=False)
    """What stands before the conversation."""
    _parameters: ModelRequestParameters | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.told = (system_message(self.instructions),) if self.instructions.strip() else ()

    def parameters(self) -> ModelRequestParameters:
        """Return what else the model is asked with: its tools, and how the answer should look."""
        tools, found = self.toolbox.definitions(), self._parameters
        if found is None or found.function_tools is not tools:
            found = ModelRequestParameters(function_tools=tools)
            found = found if self.reader is None else self.reader.apply(found)
            self._parameters = found
        return found


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
