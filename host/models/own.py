"""What the models that no vendor's package asks have in common."""

from pydantic_ai.messages import ModelMessage
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
