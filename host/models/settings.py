"""Turns parameters into the settings of one provider, and reports what it does not take."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic_ai.settings import ModelSettings

from host.models.config import Dialect
from host.models.parameters import Parameters

DEFAULT_TIMEOUT = 600.0
"""Seconds for one request where nothing is said."""
_NAMES = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "seed": "seed",
    "stop": "stop_sequences",
    "max_tokens": "max_tokens",
    "reasoning": "thinking",
    "parallel_tools": "parallel_tool_calls",
    "service_tier": "service_tier",
    "cache": "cache",
    "options": "extra_body",
}
"""Our names → pydantic-ai's."""
_EVERYWHERE = frozenset(("temperature", "top_p", "max_tokens", "reasoning", "timeout"))
_CHAT = _EVERYWHERE | {
    "presence_penalty", "frequency_penalty", "seed", "stop", "parallel_tools", "options",
}  # fmt: skip
_OPENAI = _CHAT | {"service_tier", "cache"}
_SAMPLERS = ("top_k", "top_a", "min_p", "repetition_penalty")
TAKEN: dict[Dialect | str, frozenset[str]] = {
    "anthropic": _EVERYWHERE
    | {"top_k", "stop", "parallel_tools", "service_tier", "cache", "options"},
    "openai-responses": _EVERYWHERE | {"parallel_tools", "service_tier", "cache", "options"},
    "openai-chat": _OPENAI,
    "azure": _OPENAI,
    "google": _EVERYWHERE
    | {"top_k", "presence_penalty", "frequency_penalty", "seed", "stop", "service_tier"},
    "ollama": (_CHAT | {"top_k"}) - {"parallel_tools"},
    "compatible": _CHAT,
    "client": frozenset(("temperature", "max_tokens", "stop")),
    "scripted": frozenset((*_NAMES, *_SAMPLERS)),  # it reads none and acts the same
}
"""What each wire format has a field for."""
_MAX_TOKENS = {"max_tokens": "max_tokens"}
"""These servers do not read OpenAI's newer `max_completion_tokens`."""
_BODY_FIELDS: dict[str, dict[str, str]] = {
    "openrouter": {**{name: name for name in _SAMPLERS}, **_MAX_TOKENS},
    "vllm": {"top_k": "top_k", "min_p": "min_p", "repetition_penalty": "repetition_penalty"},
    "llamacpp": {
        "top_k": "top_k", "min_p": "min_p", "repetition_penalty": "repeat_penalty", **_MAX_TOKENS,
    },
    "lmstudio": {"top_k": "top_k", "repetition_penalty": "repeat_penalty", **_MAX_TOKENS},
    "mistral": {"seed": "random_seed", **_MAX_TOKENS},
    "xai": {},
}  # fmt: skip
"""Parameters that a provider takes as further fields of the body, or under another name."""
_BY_DIALECT = {
    "compatible": _MAX_TOKENS,
    "ollama": {"min_p": "min_p", "repetition_penalty": "repeat_penalty"},
}
"""The same for providers that are not among them."""
_OLLAMA_EFFORTS = {"minimal": "low", "max": "high"}
"""Levels that Ollama has no word for → the next ones that it has."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is sent with a request.

    Attributes:
        values: pydantic-ai's settings.
        notes: One sentence for each parameter that has no field in the format.
        wanted: The parameters that are handed to the adapter, by our names.
        max_tokens: Longest reply, where it is said; adapters may keep it under another name.
    """

    values: ModelSettings
    notes: tuple[str, ...]
    wanted: Mapping[str, Any] = field(default_factory=dict[str, Any])
    max_tokens: int | None = None


def build_settings(parameters: Parameters, *, provider: str, dialect: str) -> Settings:
    """Return the settings for a provider.

    Args:
        parameters: What is wanted.
        provider: The provider's name.
        dialect: Its wire format, `client` or `scripted`.
    """
    values: dict[str, Any] = {"max_retries": 0}  # one retry loop, and it is ours
    body: dict[str, Any] = {}
    notes: list[str] = []
    wanted: dict[str, Any] = {}
    extra = _renamed(provider, dialect)
    for name, value in parameters.model_dump(exclude_none=True, exclude={"timeout"}).items():
        if name in extra:
            body[extra[name]] = value
        elif name in TAKEN[dialect] and not _refused(name, value, dialect):
            values[_NAMES.get(name, name)] = _value(name, value, dialect)
            wanted[name] = value
            if _rounded(name, value, dialect):
                sent = _OLLAMA_EFFORTS[value]
                notes.append(f"{provider} takes no {name} {value!r}; {sent!r} is sent.")
        else:
            notes.append(_note(provider, name, value, takes_options="options" in TAKEN[dialect]))
    if dialect not in {"client", "scripted"}:
        values["timeout"] = parameters.timeout or DEFAULT_TIMEOUT
    if body:
        values["extra_body"] = {**body, **values.get("extra_body", {})}
    return Settings(cast("ModelSettings", values), tuple(notes), wanted, parameters.max_tokens)


def _note(provider: str, name: str, value: object, *, takes_options: bool) -> str:
    note = f"{provider} takes no {name}; {name} = {value!r} is not sent."
    return f"{note} `options` sends a field as it is." if takes_options else note


def _refused(name: str, value: object, dialect: str) -> bool:
    # Left out by the adapter rather than refused, so it would be dropped in silence.
    return name == "service_tier" and dialect == "anthropic" and value in {"flex", "priority"}


def _renamed(provider: str, dialect: str) -> Mapping[str, str]:
    if dialect == "compatible" and provider in _BODY_FIELDS:
        return _BODY_FIELDS[provider]
    return _BY_DIALECT.get(dialect, {})


def _rounded(name: str, value: object, dialect: str) -> bool:
    return name == "reasoning" and dialect == "ollama" and value in _OLLAMA_EFFORTS


def _value(name: str, value: Any, dialect: str) -> Any:  # noqa: ANN401 - one of the parameters' types
    if _rounded(name, value, dialect):
        return _OLLAMA_EFFORTS[value]
    if name == "reasoning" and value == "off":
        return False
    return list(value) if name == "stop" else value
