"""Has a small model rewrite a message before an agent gets it; a person looks at it in between."""

from collections.abc import Callable
from pathlib import Path

from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import ModelRequestParameters

from host.agents.casting import chosen_model
from host.agents.transcript import system_message, user_message
from host.config.reformulate import ReformulateConfig
from host.config.yaml import read_bytes
from host.domain.errors import ModelError
from host.domain.principal import Principal
from host.models.models import Models, Scope
from host.prompts.library import PromptLibrary

LIBRARY_PROMPT = "reformulate"
"""The prompt of the library that is used where the configuration names none."""


class Reformulator:
    """Rewrites messages.

    Args:
        config: Returns what the configuration says now.
        models: Returns the models.
        prompts: The library.
        folder: From which a prompt's file is seen.
    """

    def __init__(
        self,
        config: Callable[[], ReformulateConfig],
        models: Callable[[], Models],
        *,
        prompts: PromptLibrary,
        folder: Path,
    ) -> None:
        self._config, self._models = config, models
        self._prompts, self._folder = prompts, folder

    async def rewrite(
        self, principal: Principal, message: str, *, earlier: str = "", remark: str = ""
    ) -> str:
        """Return a message in other words.

        Args:
            principal: On whose account the model is asked.
            message: What somebody wrote.
            earlier: How it was rewritten before.
            remark: What they said about that.

        Raises:
            ConfigError: The model or the prompt is not to be had.
            ModelError: The model failed, or said nothing.
        """
        models = self._models()
        name = await chosen_model(models, self._config().model)
        model = models.resolve(name, scope=Scope(user=principal.user))
        asked = message
        if remark:
            asked = (
                f"The request:\n{message}\n\nYour last version:\n{earlier}\n\n"
                f"What its author says of your version:\n{remark}"
            )
        messages: list[ModelMessage] = [system_message(self.instructions()), user_message(asked)]
        reply = await model.ask(messages, ModelRequestParameters())
        text = (reply.text or "").strip()
        if not text:
            text = f"{name} did not rewrite the message: it said nothing."
            raise ModelError(text, model=name, fault="malformed")
        return text

    def instructions(self) -> str:
        """Return what the model is told.

        Raises:
            ConfigError: The prompt's file cannot be read.
        """
        config = self._config()
        if config.prompt is not None:
            return config.prompt
        if config.prompt_file is not None:
            file = self._folder / config.prompt_file.expanduser()
            return read_bytes(file).decode("utf-8", "replace")
        return self._prompts.get(LIBRARY_PROMPT).text
