"""What Claude takes beside its thoughts: room for them in the longest reply, no other samplers."""

from dataclasses import replace
from typing import cast

from pydantic_ai.profiles import ModelProfile
from pydantic_ai.profiles.anthropic import ANTHROPIC_THINKING_BUDGET_MAP
from pydantic_ai.settings import ModelSettings

from host.models.settings import Settings

LEAST = 1_024
"""Fewest tokens that Claude thinks with (Anthropic's documentation of extended thinking)."""
_LEAST_TOP_P = 0.95
"""Lowest `top_p` that it takes while it thinks (there as well)."""


def fit_thinking(settings: Settings, profile: ModelProfile) -> Settings:
    """Return settings without what Anthropic would refuse a request for beside `reasoning`.

    Args:
        settings: As they were built from the parameters.
        profile: What pydantic-ai knows of the model.
    """
    level = settings.wanted.get("reasoning")
    if level in (None, "off") or not profile.get("supports_thinking", False):
        return settings
    if not profile.get("anthropic_supports_adaptive_thinking", False):
        most, budget = settings.max_tokens, ANTHROPIC_THINKING_BUDGET_MAP[level]
        if most is not None and most <= LEAST:
            why = f"it needs a max_tokens above {LEAST:,}"
            return _without(settings, "reasoning", "thinking", why)
        if most is not None and most <= budget:
            settings = _within(settings, most)
    for name in ("temperature", "top_k", "top_p"):
        value = settings.wanted.get(name)
        if value is not None and not (name == "top_p" and value >= _LEAST_TOP_P):
            settings = _without(settings, name, name, "it does not go with reasoning")
    return settings


def _within(settings: Settings, most: int) -> Settings:
    room = max(LEAST, most // 2)
    thinking = {"type": "enabled", "budget_tokens": room}
    note = f"anthropic thinks with {room:,} tokens: max_tokens = {most} leaves no more."
    values = cast("ModelSettings", {**settings.values, "anthropic_thinking": thinking})
    return replace(settings, values=values, notes=(*settings.notes, note))


def _without(settings: Settings, name: str, adapters: str, why: str) -> Settings:
    note = f"anthropic takes no {name}; {name} = {settings.wanted[name]!r} is not sent: {why}."
    values = {key: value for key, value in settings.values.items() if key != adapters}
    wanted = {key: value for key, value in settings.wanted.items() if key != name}
    return replace(
        settings,
        values=cast("ModelSettings", values),
        notes=(*settings.notes, note),
        wanted=wanted,
    )
