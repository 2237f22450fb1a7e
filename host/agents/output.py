"""Reads an agent's answer by its schema; a wrong one goes back to the model with what is wrong."""

from dataclasses import dataclass
from typing import Any, Protocol

from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import ModelRequestParameters

from host.domain.errors import OutputError


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer that was read, or why it could not be.

    Attributes:
        text: The answer as text.
        fault: What the model is told; None if the answer is right.
        why: The same for a person.
        call_id: The call of the output tool that held the answer, if it came in one.
    """

    value: Any = None
    text: str = ""
    fault: str | None = None
    call_id: str | None = None
    tool: str | None = None
    why: str = ""


class AnswerReader(Protocol):
    """Asks for answers of a shape and reads them."""

    def apply(self, parameters: ModelRequestParameters) -> ModelRequestParameters:
        """Return parameters that ask for the shape."""
        ...

    def takes(self, tool: str) -> bool:
        """Whether a tool is the one by which the model gives its answer."""
        ...

    def read(self, response: ModelResponse) -> Reading:
        """Return the answer in a reply."""
        ...

    def error(self, agent: str, fault: str) -> OutputError:
        """Return the error of a run whose answers stayed wrong."""
        ...
