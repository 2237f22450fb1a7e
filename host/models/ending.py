"""How a reply ended: whole, cut off at its longest, withheld, or given up by the provider."""

import json
from typing import Any, Literal

from pydantic_ai.messages import FinishReason, ModelResponse, ToolCallPart
from pydantic_ai.models import ModelRequestParameters, StreamedResponse

from host.domain.errors import ModelError
from host.domain.fixed import fixed
from host.models.fault import DETAIL_CHARS, hidden

End = Literal["whole", "odd", "length", "filtered", "malformed", "overloaded", "server"]
"""How a reply can end: `odd` is in words that are not known, and from `length` on it is a fault."""

_BY_WORD: dict[str, End] = {
    **dict.fromkeys(
        ("safety", "recitation", "blocklist", "prohibited_content", "spii", "language",
         "image_safety", "image_prohibited_content", "image_recitation", "model_armor",
         "refusal", "content_filter", "guardrail_intervened", "sensitive"),
        "filtered",
    ),
    **dict.fromkeys(
        ("max_tokens", "max_output_tokens", "model_length", "length", "continuation",
         "model_context_window_exceeded"),
        "length",
    ),
    **dict.fromkeys(
        ("malformed_function_call", "malformed_response", "unexpected_tool_call",
         "too_many_tool_calls", "missing_thought_signature", "no_image", "image_other"),
        "malformed",
    ),
    **dict.fromkeys(("error", "failed", "cancelled", "network_error"), "server"),
    **dict.fromkeys(("eos", "eos_token", "end_turn", "stop_sequence", "pause_turn"), "whole"),
    "insufficient_system_resource": "overloaded",
}  # fmt: skip
"""The providers' own words, in lower case; they say more than what the adapters make of them."""
_BY_REASON: dict[FinishReason, End] = {
    "content_filter": "filtered",
    "length": "length",
    "error": "malformed",
}
_SAYS: dict[End, str] = {
    "odd": "gave its reply up",
    "filtered": "withheld its reply (content filter)",
    "malformed": "answered with something that cannot be read",
    "overloaded": "is overloaded and gave its reply up",
    "server": "failed on its side and gave its reply up",
}
_TOO_SHORT = "Set a higher `max_tokens` in the model's parameters, or ask for less."
_TOO_FULL = "Shorten the conversation, or use a model with a larger context."


@fixed()
class Ending:
    """How one reply ended.

    Attributes:
        model: Whose reply, `provider:name`.
        end: How.
        word: The provider's own words for it; empty where it has none.
        full: Whether the context was full, rather than the longest reply reached.
    """

    model: str
    end: End
    word: str = ""
    full: bool = False

    def error(
        self, response: ModelResponse, parameters: ModelRequestParameters
    ) -> ModelError | None:
        """Return why a reply is none; None where it is one, or half of one that is of use.

        Args:
            response: The reply.
            parameters: What was asked for.
        """
        if self.end == "whole" or (self.end == "odd" and response.parts):
            return None
        if self.end == "length":
            lost = _lost(response, parameters)
            return self._cut_off(lost) if lost else None
        said = f": {self.word}" if self.word else ""
        return ModelError(
            f"{self.model} {_SAYS[self.end]}{said}.",
            model=self.model,
            fault="malformed" if self.end == "odd" else self.end,
            next_step="Put it in other words, or name another model."
            if self.end == "filtered"
            else None,
        )

    def notes(self) -> list[str]:
        """Return what is said beside half an answer."""
        if self.end == "odd":
            return [f"{self.model} ended its reply in words of its own: {self.word}."]
        if self.end == "length":
            return [f"{self.model} stopped {self._where}: the answer is cut off."]
        return []

    @property
    def _where(self) -> str:
        return "when its context was full" if self.full else "at its longest reply (max_tokens)"

    def _cut_off(self, lost: str) -> ModelError:
        return ModelError(
            f"{self.model} stopped {self._where}, {lost}.",
            model=self.model,
            fault="length",
            next_step=_TOO_FULL if self.full else _TOO_SHORT,
        )


def ending_of(reply: ModelResponse | StreamedResponse, *, model: str, secret: str = "") -> Ending:
    """Return how a reply ended, or a stream that is over.

    Args:
        reply: What the adapter made of it.
        model: The model's name.
        secret: The key, to keep it out of the provider's words.
    """
    details: dict[str, Any] = reply.provider_details or {}
    word = str(details.get("finish_reason") or details.get("block_reason") or "")
    meant = _BY_REASON.get(reply.finish_reason or "stop", "whole")
    if word and reply.finish_reason is None:
        meant = "odd"
    end = meant if "block_reason" in details else _BY_WORD.get(word.lower(), meant)
    full = word.lower() == "model_context_window_exceeded"
    told = " ".join(hidden(_told(details, word), secret).split()).rstrip(".")
    return Ending(model, end, told[:DETAIL_CHARS], full)


def names_its_end(stream: StreamedResponse) -> bool:
    """Return whether a provider said how it ended a stream, if in a word that is not known."""
    return bool((stream.provider_details or {}).get("finish_reason"))


def _told(details: dict[str, Any], word: str) -> str:
    why = details.get("refusal") or details.get("block_reason_message")
    return f"{word}: {why}" if word and why else str(why or word)


def _lost(response: ModelResponse, parameters: ModelRequestParameters) -> str | None:
    """Return what is of no use in a reply that was cut off; None: it is half an answer."""
    calls = [part for part in response.parts if isinstance(part, ToolCallPart)]
    # The last one may look whole and not be: some providers make an object of what had come.
    if calls and (calls[-1] is response.parts[-1] or not all(map(_is_whole, calls))):
        return "in the middle of a tool call"
    if calls:
        return None
    if not response.text and not response.files:
        return "before it answered"
    if parameters.output_mode != "text" and not _is_json(response.text or ""):
        return "before its answer was what the schema asks for"
    return None


def _is_whole(call: ToolCallPart) -> bool:
    return not isinstance(call.args, str) or _is_json(call.args)


def _is_json(text: str) -> bool:
    """Return whether a text is one JSON value; a number is none, since half of one looks whole."""
    try:
        return isinstance(json.loads(text), str | list | dict)
    except (ValueError, RecursionError):
        return False
