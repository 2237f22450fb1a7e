"""`models.yaml`: providers, models, routes, limits, prices and budgets."""

from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from host.domain.errors import Fault
from host.models.parameters import Parameters

_STRICT = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

Dialect = Literal[
    "anthropic", "openai-responses", "openai-chat", "azure", "google", "ollama", "compatible"
]
"""Wire format of a provider; `compatible` is OpenAI's chat format spoken by somebody else."""


class LimitConfig(BaseModel):
    """What may be sent to one provider, with one key, for one model, by all processes together."""

    model_config = _STRICT

    requests_per_minute: int | None = Field(default=None, ge=1)
    """Requests in any 60 seconds; None: as many as the provider takes."""
    tokens_per_minute: int | None = Field(default=None, ge=1)
    """Tokens, read and written, in any 60 seconds; None: as many as the provider takes."""
    concurrency: int | None = Field(default=None, ge=1)
    """Requests at the same time; None: any number."""


class PriceConfig(BaseModel):
    """Price in US dollars for a million tokens."""

    model_config = _STRICT

    input: float = Field(ge=0)
    """Tokens read."""
    output: float = Field(ge=0)
    """Tokens written."""
    cache_read: float | None = Field(default=None, ge=0)
    """Tokens read from the prompt cache; None: as `input`."""
    cache_write: float | None = Field(default=None, ge=0)
    """Tokens written to the prompt cache; None: as `input`."""


class ProviderConfig(BaseModel):
    """An endpoint that is not built in, or a built-in one that is to be reached otherwise."""

    model_config = _STRICT

    dialect: Dialect | None = None
    """Wire format; None: that of the built-in provider of this name, else `compatible`."""
    base_url: str | None = Field(default=None, pattern="^https?://")
    """Address; None: the provider's own."""
    key: str | None = None
    """Name of the key (`host keys set NAME`); None: the provider's name."""
    key_required: bool | None = None
    """Whether to refuse without a key; None: as the built-in provider, else false."""
    api_version: str | None = None
    """Azure's `api-version`."""
    limits: LimitConfig = LimitConfig()
    """Limits for each of its models that has none of its own."""


class ModelConfig(BaseModel):
    """A model under a name of the user's."""

    model_config = _STRICT

    model: str
    """Model id, `provider:name`."""
    parameters: Parameters = Parameters()
    """How it is asked unless an agent says otherwise."""
    limits: LimitConfig | None = None
    """What may be sent to it; None: its provider's limits."""
    price: PriceConfig | None = None
    """What it costs; None: the price table's."""
    context: int | None = Field(default=None, ge=1)
    """Tokens that fit in a request; None: what is known of the model."""
    vision: bool | None = None
    """Whether it sees images; None: what is known of the model."""
    tools: bool | None = None
    """Whether it calls tools; None: what is known of the model."""
    schema_output: Literal["native", "tool", "prompted"] | None = None
    """How a JSON Schema is asked for; None: the best that the model is known to do."""


class RequirementConfig(BaseModel):
    """What a task needs of a model; models without it are left out of a route."""

    model_config = _STRICT

    vision: bool = False
    """It sees images."""
    tools: bool = False
    """It calls tools."""
    context: int = Field(default=0, ge=0)
    """At least this many tokens fit."""
    max_price: float | None = Field(default=None, ge=0)
    """US dollars for a million tokens read, at most; None: any. Unknown prices do not pass."""


class RouteConfig(BaseModel):
    """Several models that stand in for each other."""

    model_config = _STRICT

    models: tuple[str, ...] = Field(min_length=1)
    """Names or model ids, the preferred one first."""
    prefer: Literal["order", "cost", "latency"] = "order"
    """`order`: as listed; `cost`: the cheapest first; `latency`: the quickest lately first."""
    needs: RequirementConfig = RequirementConfig()
    """What a model must be able to do."""
    retries: int = Field(default=2, ge=0, le=10)
    """Further tries at the same model after a transient failure."""
    fallback_on: tuple[Fault, ...] = (
        "auth", "not_found", "rate_limit", "quota", "overloaded", "server", "timeout",
        "connection", "cut", "malformed",
    )  # fmt: skip
    """Failures after which the next model is tried."""
    max_wait: float = Field(default=60, ge=0)
    """Longest wait before a retry, in seconds; a provider that asks for more fails over."""
    cooldown_after: int = Field(default=3, ge=1)
    """Failed requests in a row after which a model is passed over."""
    cooldown: float = Field(default=60, ge=0)
    """Seconds for which it is."""


class BudgetConfig(BaseModel):
    """What may be spent on models, in US dollars; None is no limit."""

    model_config = _STRICT

    run: float | None = Field(default=None, ge=0)
    """One run."""
    day: float | None = Field(default=None, ge=0)
    """All runs of a day (UTC)."""
    user: float | None = Field(default=None, ge=0)
    """One user's runs of a day."""
    unpriced: Literal["allow", "deny"] = "allow"
    """Whether a model whose price is unknown may be asked while a budget is set."""


class ModelsConfig(BaseModel):
    """All of `models.yaml`."""

    model_config = _STRICT

    default: str | None = None
    """Model or route of agents that name none; None: the first one that has a key."""
    providers: dict[str, ProviderConfig] = {}
    """Endpoints by name."""
    models: dict[str, ModelConfig] = {}
    """Models by name."""
    routes: dict[str, RouteConfig] = {}
    """Routes by name."""
    prices: dict[str, PriceConfig] = {}
    """Prices by model id; they stand before the shipped table's."""
    budgets: BudgetConfig = BudgetConfig()
    """What may be spent."""

    @model_validator(mode="after")
    def _names(self) -> "ModelsConfig":
        both = self.models.keys() & self.routes.keys()
        if both:
            raise ValueError(f"{', '.join(sorted(both))}: a model and a route share this name")
        for name in (*self.models, *self.routes):
            if ":" in name or name == "client":
                raise ValueError(f"{name!r} cannot be the name of a model or route")
        return self


@lru_cache(maxsize=1024)
def route_of(name: str) -> RouteConfig:
    """Return a route of one model."""
    return RouteConfig(models=(name,))


@lru_cache(maxsize=1024)
def model_of(entry: str) -> ModelConfig:
    """Return a model that `models.yaml` says nothing of."""
    return ModelConfig(model=entry)
