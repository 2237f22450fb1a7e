"""What a reply costs: the user's prices, else the dated table of the genai-prices package."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from pydantic_ai.usage import RequestUsage

from host.models.config import PriceConfig
from host.models.name import ModelName

_TABLE_PROVIDERS = {"openai-chat": "openai", "xai": "x-ai"}
"""Our names of providers → the table's, where they differ."""
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the table knows of a model.

    Attributes:
        input: US dollars for a million tokens read, below any tier; None: unknown.
        output: The same for tokens written.
        context: Tokens that fit.
    """

    input: float | None = None
    output: float | None = None
    context: int | None = None


class PriceTable:
    """Prices of models.

    Args:
        overrides: The user's prices, by model id.
    """

    def __init__(self, overrides: dict[str, PriceConfig]) -> None:
        self._overrides = overrides

    @property
    def source(self) -> str:
        """Where the prices are from that nobody overrode, and of when."""
        return f"genai-prices {version('genai-prices')}"

    def cost(self, model: ModelName, usage: RequestUsage) -> float | None:
        """Return the price of a reply in US dollars; None if it is unknown."""
        own = self._overrides.get(str(model))
        return own_cost(own, usage) if own is not None else _table_cost(model, usage)

    def facts(self, model: ModelName) -> ModelFacts:
        """Return what is known of a model."""
        known = _table_facts(model.provider, model.name)
        own = self._overrides.get(str(model))
        return known if own is None else ModelFacts(own.input, own.output, known.context)


def own_cost(price: PriceConfig, usage: RequestUsage) -> float:
    """Return what a reply costs at a price of the user's."""
    read, written = usage.cache_read_tokens, usage.cache_write_tokens
    plain = max(0, usage.input_tokens - read - written)
    cache_read = price.input if price.cache_read is None else price.cache_read
    cache_write = price.input if price.cache_write is None else price.cache_write
    return (
        plain * price.input
        + read * cache_read
        + written * cache_write
        + usage.output_tokens * price.output
    ) / _MILLION


def _table_cost(model: ModelName, usage: RequestUsage) -> float | None:
    if model.provider in {"scripted", "ollama", "llamacpp", "lmstudio", "vllm"}:
        return 0.0  # on the user's own machine
    from genai_prices import calc_price

    provider = _TABLE_PROVIDERS.get(model.provider, model.provider)
    try:
        return float(calc_price(usage, model_ref=model.name, provider_id=provider).total_price)
    except (LookupError, ValueError):
        return None


@lru_cache(maxsize=256)
def _table_facts(provider: str, name: str) -> ModelFacts:
    from genai_prices import Usage, calc_price

    table = _TABLE_PROVIDERS.get(provider, provider)
    million = Usage(input_tokens=1000, output_tokens=1000)
    try:
        found: Any = calc_price(million, model_ref=name, provider_id=table)
    except (LookupError, ValueError):
        return ModelFacts()
    context: int | None = found.model.context_window
    return ModelFacts(float(found.input_price) * 1000, float(found.output_price) * 1000, context)
