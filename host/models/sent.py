"""Looks at what really left for a provider, and says which parameters are not in it.

Adapters leave out what a model is known to refuse, and say nothing. So the body of the first
request of each model is read on its way out: what was wanted and is not there is reported.
"""

import json
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import httpx2

_FIELDS: dict[str, frozenset[str]] = {
    "temperature": frozenset(("temperature",)),
    "top_p": frozenset(("top_p", "topP")),
    "top_k": frozenset(("top_k", "topK")),
    "presence_penalty": frozenset(("presence_penalty", "presencePenalty")),
    "frequency_penalty": frozenset(("frequency_penalty", "frequencyPenalty")),
    "seed": frozenset(("seed", "random_seed")),
    "stop": frozenset(("stop", "stop_sequences", "stopSequences")),
    "max_tokens": frozenset(
        (
            "max_tokens",
            "max_completion_tokens",
            "max_output_tokens",
            "maxOutputTokens",
            "num_predict",
        )
    ),
    "reasoning": frozenset(
        ("reasoning", "reasoning_effort", "thinking", "thinkingConfig", "think")
    ),
    "parallel_tools": frozenset(("parallel_tool_calls", "disable_parallel_tool_use")),
    "service_tier": frozenset(("service_tier", "serviceTier")),
    "cache": frozenset(("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options")),
}
"""Parameters → the fields that carry them, in any format."""
_NESTED = ("generationConfig", "tool_choice", "options")
"""Objects of a body that have such fields too."""
_BY_ABSENCE = {
    ("cache", False): frozenset(("anthropic",)),
    ("reasoning", "off"): frozenset(("anthropic",)),
    ("service_tier", "auto"): frozenset(("google",)),
}
"""Values that are the formats' own defaults: leaving the field out is sending them."""


@dataclass(slots=True)
class Witness:
    """What one model was really sent.

    Attributes:
        wanted: The parameters that were handed to the adapter.
        notes: One sentence for each that did not get into the body; None before the first request.
    """

    model: str
    dialect: str
    wanted: Mapping[str, Any]
    thinks: bool = True
    notes: tuple[str, ...] | None = field(default=None)

    @contextmanager
    def watching(self) -> Generator[None]:
        """Look at the request that is made inside."""
        if self.notes is not None or not self.wanted:
            yield
            return
        # The adapters' word for what the notes say, on standard error and without the model's name.
        warnings.filterwarnings("ignore", "Sampling parameters", UserWarning)
        before = _WATCHING.set(self)
        try:
            yield
        finally:
            _WATCHING.reset(before)

    def read(self, content: bytes) -> None:
        """Compare a request's body with what was wanted."""
        try:
            body = json.loads(content)
        except ValueError:
            return
        if isinstance(body, dict):
            fields = cast("dict[str, Any]", body)
            missing = (name for name in self.wanted if not self._sent(name, fields, content))
            self.notes = tuple(self._note(name) for name in missing)

    def _sent(self, name: str, body: dict[str, Any], content: bytes) -> bool:
        value = self.wanted[name]
        if name == "options":
            return value.keys() <= _names(body)
        if name == "parallel_tools" and not body.get("tools"):
            return True  # there is nothing to call
        if self.dialect in _BY_ABSENCE.get((name, value) if _plain(value) else ("", ""), ()):
            return True
        if name == "reasoning" and value == "off" and not self.thinks:
            return True
        if name == "cache" and b'"cache_control":' in content:
            return True
        return not _names(body).isdisjoint(_FIELDS.get(name, {name}))

    def _note(self, name: str) -> str:
        return f"{self.model} takes no {name}; {name} = {self.wanted[name]!r} is not sent."


def _names(body: dict[str, Any]) -> set[str]:
    """Return the names of a body's fields, and of those inside the objects that hold parameters."""
    nested = [body.get(key) for key in _NESTED]
    inside = [cast("dict[str, Any]", part) for part in nested if isinstance(part, dict)]
    return set(body).union(*inside)


def _plain(value: object) -> bool:
    return isinstance(value, str | bool)


_WATCHING: ContextVar[Witness | None] = ContextVar("watching", default=None)


async def watch_request(request: "httpx2.Request") -> None:
    """Show a request to whoever watches; a hook of every HTTP client of the models."""
    witness = _WATCHING.get()
    if witness is not None and witness.notes is None:
        witness.read(await request.aread())
