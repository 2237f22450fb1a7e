"""The providers that are built in, and the models behind each, made over pydantic-ai's adapters."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from host.domain.errors import ConfigError
from host.models.config import Dialect, ProviderConfig
from host.models.name import ModelName

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models import Model


@dataclass(frozen=True, slots=True)
class Provider:
    """An endpoint.

    Attributes:
        name: As in model ids.
        dialect: Wire format.
        base_url: Address; None: the vendor's own.
        key: Name of its key.
        variables: Environment variables that hold the key, first match wins.
        key_required: Whether it is of no use without a key.
        probe: A cheap model, for `host keys test`.
        api_version: Azure's.
    """

    name: str
    dialect: Dialect
    base_url: str | None = None
    key: str = ""
    variables: tuple[str, ...] = ()
    key_required: bool = True
    probe: str | None = None
    api_version: str | None = None

    def configured(self, config: ProviderConfig) -> "Provider":
        """Return this provider with what `models.yaml` says of it."""
        return replace(
            self,
            dialect=config.dialect or self.dialect,
            base_url=config.base_url or self.base_url,
            key=config.key or self.key,
            key_required=self.key_required if config.key_required is None else config.key_required,
            api_version=config.api_version or self.api_version,
        )


def _cloud(
    name: str, dialect: Dialect, base_url: str | None, probe: str, *, key: str | None = None
) -> Provider:
    owner = key or name
    return Provider(
        name, dialect, base_url, key=owner, variables=(f"{owner.upper()}_API_KEY",), probe=probe
    )


def _local(name: str, dialect: Dialect, base_url: str) -> Provider:
    variables = (f"{name.upper()}_API_KEY",)
    return Provider(name, dialect, base_url, key=name, variables=variables, key_required=False)


BUILT_IN: dict[str, Provider] = {
    provider.name: provider
    for provider in (
        _cloud("anthropic", "anthropic", None, "claude-haiku-4-5"),
        _cloud("openai", "openai-responses", None, "gpt-5-nano"),
        _cloud("openai-chat", "openai-chat", None, "gpt-5-nano", key="openai"),
        Provider("azure", "azure", key="azure", variables=("AZURE_OPENAI_API_KEY",)),
        replace(
            _cloud("google", "google", None, "gemini-2.5-flash-lite"),
            variables=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        ),
        _cloud("xai", "compatible", "https://api.x.ai/v1", "grok-3-mini"),
        _cloud("deepseek", "compatible", "https://api.deepseek.com", "deepseek-chat"),
        _cloud("mistral", "compatible", "https://api.mistral.ai/v1", "ministral-3b-latest"),
        _cloud(
            "openrouter", "compatible", "https://openrouter.ai/api/v1", "openai/gpt-5-nano"
        ),
        _local("ollama", "ollama", "http://127.0.0.1:11434"),
        _local("vllm", "compatible", "http://127.0.0.1:8000/v1"),
        _local("llamacpp", "compatible", "http://127.0.0.1:8080/v1"),
        _local("lmstudio", "compatible", "http://127.0.0.1:1234/v1"),
    )
}  # fmt: skip
"""Providers that need no configuration; xAI, DeepSeek, Mistral speak OpenAI's chat format."""


def providers(configs: dict[str, ProviderConfig]) -> dict[str, Provider]:
    """Return the built-in providers and the configured ones."""
    known = dict(BUILT_IN)
    for name, config in configs.items():
        fresh = Provider(
            name, "compatible", key=name, variables=(_variable(name),), key_required=False
        )
        known[name] = known.get(name, fresh).configured(config)
    return known


def key_names(configs: dict[str, ProviderConfig]) -> dict[str, Provider]:
    """Return the names under which keys may be stored, each with a provider that uses it."""
    return {provider.key: provider for provider in reversed(providers(configs).values())}


def _variable(name: str) -> str:
    return f"{name.upper().replace('-', '_')}_API_KEY"


def require_key(provider: Provider, name: ModelName, key: str | None) -> None:
    """Check that a provider has the key it needs.

    Raises:
        ConfigError: It has not.
    """
    if key is None and provider.key_required:
        places = " or ".join(provider.variables)
        raise ConfigError(
            f"There is no key for {name}.",
            next_step=f"Run `host keys set {provider.key}`, or set {places}.",
        )


def build_model(
    provider: Provider, name: str, *, key: str | None, client: "httpx2.AsyncClient"
) -> "Model[Any]":
    """Return pydantic-ai's model for a provider; nothing is connected yet.

    Args:
        provider: The provider.
        name: The model's name there.
        key: Its API key; None where it needs none.
        client: The HTTP client that is used.

    Raises:
        ConfigError: The provider lacks an address.
    """
    return _BUILDERS[provider.dialect](provider, name, key or _NO_KEY, client)


def _anthropic(provider: Provider, name: str, key: str, client: "httpx2.AsyncClient") -> Any:
    from pydantic_ai.providers.anthropic import AnthropicProvider

    from host.models.claude import ClaudeModel

    made = AnthropicProvider(api_key=key, base_url=provider.base_url, http_client=client)
    return ClaudeModel(name, provider=made)


def _responses(provider: Provider, name: str, key: str, client: "httpx2.AsyncClient") -> Any:
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    made = OpenAIProvider(api_key=key, base_url=provider.base_url or _OPENAI, http_client=client)
    return OpenAIResponsesModel(name, provider=made)


def _chat(provider: Provider, name: str, key: str, client: "httpx2.AsyncClient") -> Any:
    from pydantic_ai.providers.openai import OpenAIProvider

    from host.models.chat_media import ChatModel

    made = OpenAIProvider(api_key=key, base_url=provider.base_url or _OPENAI, http_client=client)
    return ChatModel(name, provider=made)


def _azure(provider: Provider, name: str, key: str, client: "httpx2.AsyncClient") -> Any:
    from pydantic_ai.providers.azure import AzureProvider

    from host.models.chat_media import ChatModel

    endpoint = _address(provider)
    made = AzureProvider(
        azure_endpoint=endpoint,
        api_version=provider.api_version,
        api_key=key,
        http_client=client,
    )
    return ChatModel(name, provider=made)


def _google(provider: Provider, name: str, key: str, client: "httpx2.AsyncClient") -> Any:
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    made = GoogleProvider(api_key=key, base_url=provider.base_url, http_client=client)
    return GoogleModel(name, provider=made)


def _ollama(provider: Provider, name: str, key: str, client: "httpx2.AsyncClient") -> Any:
    from host.models.ollama_model import OllamaModel

    known = "" if key == _NO_KEY else key
    return OllamaModel(name, base_url=_address(provider), key=known, client=client)


def _compatible(provider: Provider, name: str, key: str, client: "httpx2.AsyncClient") -> Any:
    from pydantic_ai.providers.deepseek import DeepSeekProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    from host.models.chat_media import ChatModel

    made = OpenAICompatibleProvider(
        provider.name,
        base_url=_address(provider),
        api_key=key,
        http_client=client,
        profile=DeepSeekProvider.model_profile if provider.name == "deepseek" else None,
    )
    return ChatModel(name, provider=made)


def _address(provider: Provider) -> str:
    if provider.base_url is None:
        raise ConfigError(
            f"The model provider {provider.name!r} has no base_url.",
            field=f"providers.{provider.name}.base_url",
            next_step="Set it in models.yaml.",
        )
    return provider.base_url


_OPENAI = "https://api.openai.com/v1"
_NO_KEY = "none"
"""Vendors' packages want one even where the server does not."""
_Builder = Callable[[Provider, str, str, "httpx2.AsyncClient"], Any]
_BUILDERS: dict[Dialect, _Builder] = {
    "anthropic": _anthropic,
    "openai-responses": _responses,
    "openai-chat": _chat,
    "azure": _azure,
    "google": _google,
    "ollama": _ollama,
    "compatible": _compatible,
}
