"""What the models that no vendor's package asks have in common."""

from collections.abc import Iterator

from pydantic_ai.messages import ModelMessage, ModelRequest, SystemPromptPart
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.profiles import ModelProfile
from typing_extensions import override


class OwnModel(Model[None]):
    """A model of the host's own making.

    Args:
        system: Who answers, as in model ids.
        name: The model's name there.
        profile: What it can do; None: everything.
    """

    def __init_subclass__(cls, **arguments: object) -> None:
        """Leave out what pydantic-ai puts around every `request` of a vendor's model.

        That counts files that are downloaded on the way and takes joiners out of replies that its
        `prepare_messages` had put in; here nothing is downloaded and messages stay as they are.
        """
        super(Model, cls).__init_subclass__(**arguments)

    def __init__(self, system: str, name: str, *, profile: ModelProfile | None = None) -> None:
        super().__init__(profile=profile)
        self._system = system
        self._name = name

    @override
    def prepare_messages(
        self,
        messages: list[ModelMessage],
        model_request_parameters: ModelRequestParameters | None = None,
    ) -> list[ModelMessage]:
        """Return the messages as they are: what is rendered for a vendor's format is not needed."""
        return messages

    @property
    @override
    def model_name(self) -> str:
        return self._name

    @property
    @override
    def system(self) -> str:
        return self._system

    @property
    @override
    def provider(self) -> None:
        return None


def instructions_of(
    messages: list[ModelMessage], parameters: ModelRequestParameters
) -> Iterator[str]:
    """Return what a model is told before the conversation, for formats that have one place for it.

    Args:
        messages: The conversation.
        parameters: Its instructions, and those for a schema that is asked for in words.
    """
    if parameters.instruction_parts:
        yield from (part.content for part in parameters.instruction_parts)
    elif messages and isinstance(messages[-1], ModelRequest) and messages[-1].instructions:
        yield messages[-1].instructions
    for message in messages:
        if isinstance(message, ModelRequest):
            yield from (
                part.content for part in message.parts if isinstance(part, SystemPromptPart)
            )
    if parameters.output_mode == "prompted" and parameters.prompted_output_instructions:
        yield parameters.prompted_output_instructions
