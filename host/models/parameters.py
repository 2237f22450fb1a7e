"""Parameters of a model: the block of YAML, and what of it a provider takes."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Parameters(BaseModel):
    """How a model is asked; None leaves each to the provider."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    temperature: float | None = Field(default=None, ge=0, le=2)
    """Randomness of the choice of tokens."""
    top_p: float | None = Field(default=None, gt=0, le=1)
    """Choose among the likeliest tokens that together have this probability."""
    top_k: int | None = Field(default=None, ge=1)
    """Choose among this many likeliest tokens."""
    top_a: float | None = Field(default=None, ge=0, le=1)
    """Drop tokens below this times the square of the likeliest one's probability."""
    min_p: float | None = Field(default=None, ge=0, le=1)
    """Drop tokens below this times the likeliest one's probability."""
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Against tokens that have occurred."""
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    """Against tokens, by how often they have occurred."""
    repetition_penalty: float | None = Field(default=None, gt=0, le=2)
    """Factor against repeated tokens; 1 is none."""
    seed: int | None = None
    """Start of the random numbers, for providers that try to repeat themselves."""
    stop: tuple[str, ...] | None = None
    """Texts that end the reply."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Longest reply, in tokens."""
    reasoning: Literal["off", "minimal", "low", "medium", "high", "max"] | None = None
    """How much the model thinks before it answers."""
    parallel_tools: bool | None = None
    """Whether it may call several tools at once."""
    service_tier: Literal["auto", "default", "flex", "priority"] | None = None
    """Price and speed class of the provider."""
    cache: bool | Literal["5m", "1h"] | None = None
    """Prompt caching: on, off, or on for at least so long."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds for one request; None: 600."""
    options: dict[str, JsonValue] | None = None
    """Further fields of the request body, sent as they are."""

    def with_option(self, name: str, value: JsonValue) -> "Parameters":
        """Return them with a further field of the body, unless the field is among them."""
        return self.model_copy(update={"options": {name: value, **(self.options or {})}})
