"""Keeps what is sent to a model within its agent's buffer: counts tokens, plans summaries."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from host.agents.paging import count_tokens
from host.agents.transcript import plain_text, user_message
from host.models.media import PICTURE_TOKENS

SUMMARISE = (
    "Sum up the conversation above for yourself, so that you can go on with it without having it: "
    "what was asked, what was decided and why, what the tools said that still matters (names, "
    "numbers, paths exactly), and what is left to do. Write only the summary."
)

_KEEP = 0.5
"""Share of the buffer that the latest messages may fill after a summary."""
_SHOWN = 8_000
"""Characters of one message that a summary is made from."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be summed up: all messages but the last `kept`.

    Attributes:
        tokens: About how many there were before.
    """

    kept: int
    tokens: int


class Context:
    """The size of a conversation; the provider's own count is used wherever there is one.

    Args:
        limit: Tokens that may be sent.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._counted = 0
        self._messages = 0

    def note(self, response: ModelResponse, messages: int) -> None:
        """Take the provider's count of a request that had so many messages before its reply."""
        used = response.usage
        if used.input_tokens:
            self._counted = used.input_tokens + used.output_tokens
            self._messages = messages + 1

    def forget(self) -> None:
        """Drop the provider's count, since the messages are others now."""
        self._counted = self._messages = 0

    def size(self, messages: Sequence[ModelMessage]) -> int:
        """Return about how many tokens a conversation has."""
        return self._counted + sum(map(message_tokens, messages[self._messages :]))

    def plan(self, messages: Sequence[ModelMessage], *, force: bool = False) -> Plan | None:
        """Return what has to be summed up before the next request; None if nothing.

        Args:
            messages: The conversation, without instructions.
            force: Whether it is too long whatever the count says.
        """
        size = self.size(messages)
        if size <= self._limit and not force:
            return None
        # What a provider finds too long may fit our count: then as little as can be is kept.
        kept = self._tail(messages, 0 if force else self._limit * _KEEP)
        if kept == 0 or kept >= len(messages):
            return None
        return Plan(kept, size)

    def _tail(self, messages: Sequence[ModelMessage], room: float) -> int:
        """Return how many of the last messages stay; a call is never parted from its result."""
        best = 0
        for kept, message in enumerate(reversed(messages), 1):
            room -= message_tokens(message)
            if _begins(message) and (room >= 0 or best == 0):
                best = kept
            if room < 0 and best:
                break
        return best

    @staticmethod
    def summary_request(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
        """Return what asks a model for a summary."""
        lines = [line for message in messages for line in _told(message)]
        return [user_message("\n\n".join([*lines, SUMMARISE]))]


def _begins(message: ModelMessage) -> bool:
    """Whether a conversation can begin with a message: no result without its call."""
    if isinstance(message, ModelResponse):
        return True
    return not any(isinstance(part, ToolReturnPart) for part in message.parts)


def message_tokens(message: ModelMessage) -> int:
    """Return about how many tokens a message has."""
    total = 4
    for part in message.parts:
        if isinstance(part, ToolCallPart):
            total += count_tokens(part.args_as_json_str()) + 8
        elif isinstance(part, ToolReturnPart):
            total += count_tokens(part.model_response_str(wrap_if_error=False))
            total += PICTURE_TOKENS * len(part.files)
        elif isinstance(part, UserPromptPart) and not isinstance(part.content, str):
            total += count_tokens(plain_text(part.content))
            total += PICTURE_TOKENS * sum(1 for one in part.content if not isinstance(one, str))
        else:
            content = getattr(part, "content", "")
            total += count_tokens(content if isinstance(content, str) else "")
    return total


def _told(message: ModelMessage) -> list[str]:
    lines: list[str] = []
    for part in message.parts:
        if isinstance(part, ToolCallPart):
            lines.append(f"[you called {part.tool_name} with {part.args_as_json_str()[:_SHOWN]}]")
        elif isinstance(part, ToolReturnPart):
            text = part.model_response_str(wrap_if_error=False)
            lines.append(f"[{part.tool_name} answered: {text[:_SHOWN]}]")
        elif isinstance(part, TextPart):
            lines.append(f"You: {part.content[:_SHOWN]}")
        elif isinstance(part, UserPromptPart):
            lines.append(f"User: {plain_text(part.content)[:_SHOWN]}")
    return lines
