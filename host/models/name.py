"""Model ids, `provider:name`, as everybody writes them."""

from dataclasses import dataclass

from typing_extensions import override

from host.domain.errors import ConfigError, NotFoundError

PROVIDERS = (
    "anthropic",
    "azure",
    "client",
    "deepseek",
    "google",
    "llamacpp",
    "lmstudio",
    "mistral",
    "ollama",
    "openai",
    "openai-chat",
    "openrouter",
    "scripted",
    "vllm",
    "xai",
)
"""Providers that are built in; `models.yaml` adds others under names of its own."""


DEFAULT_MODEL = "default"
"""Name of whichever model is to be had: the configured one, one that has a key, or Ollama's."""


@dataclass(frozen=True, slots=True)
class ModelName:
    """One model at one provider."""

    provider: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.provider}:{self.name}" if self.name else self.provider


def parse_model_name(text: str, known: tuple[str, ...] = PROVIDERS) -> ModelName:
    """Return a model id.

    Args:
        text: `provider:name`; `client` alone means the connected client's model.
        known: The providers there are.

    Raises:
        ConfigError: It is not written like that.
        NotFoundError: There is no such provider.
    """
    provider, colon, name = text.partition(":")
    if provider == "client" and not name:
        return ModelName("client", "")
    if not colon or not provider or not name:
        raise ConfigError(
            f"{text!r} is neither a name of models.yaml nor a model id.",
            next_step="Write provider:name, such as scripted:demo or ollama:qwen3; "
            "`host models list` shows what there is.",
        )
    if provider not in known:
        raise NotFoundError("model provider", provider, known)
    return ModelName(provider, name)
