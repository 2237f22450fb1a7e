"""Tries whether a key or model works: one request for a single short reply."""

from dataclasses import dataclass

from pydantic_ai.messages import ModelRequest, UserPromptPart
from pydantic_ai.models import ModelRequestParameters

from host.models.models import Models, Scope
from host.models.parameters import Parameters

MAX_TOKENS = 16
"""Longest reply of a probe; some providers refuse less."""
SECONDS = 30.0
"""Longest wait for it."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A request that worked.

    Attributes:
        model: Who answered.
        seconds: How long it took.
        cost: US dollars; None: unknown.
        input_tokens: Tokens read, and `output_tokens` written.
        notes: Parameters that were not sent.
    """

    model: str
    seconds: float
    cost: float | None
    input_tokens: int
    output_tokens: int
    notes: tuple[str, ...]


async def probe_model(models: Models, name: str, *, user: str = "") -> ProbeResult:
    """Ask a model to say OK.

    Args:
        models: All models.
        name: Which one.
        user: On whose account.

    Raises:
        ModelError: It does not.
        ConfigError: It lacks a key, or is none.
    """
    short = Parameters(max_tokens=MAX_TOKENS, timeout=SECONDS)
    model = models.resolve(name, parameters=short, scope=Scope(user=user))
    message = ModelRequest([UserPromptPart("Reply with OK.")])
    response = await model.request([message], None, ModelRequestParameters())
    known = response.metadata or {}
    return ProbeResult(
        model=known["model"],
        seconds=round(known["seconds"], 3),
        cost=known["cost"],
        input_tokens=response.usage.input_tokens,
        output_tokens=response.usage.output_tokens,
        notes=tuple(known["notes"]),
    )
