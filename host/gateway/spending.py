"""What a call has cost, for limits of `tokens` and `cost`: as far as the host can know."""

from collections.abc import Iterator
from typing import Any, cast

from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import object_member
from host.policy.limit import Measure

LETTERS = 4
"""Characters of a token, about, where nobody counted them."""


def spent(measure: Measure, method: str, params: Json, result: Json, *, own: bool) -> float:
    """Return how much of something a call has used.

    Args:
        measure: What is counted.
        method: The MCP method.
        params: Of the call.
        result: What came back.
        own: Whether the host itself served it; a server's word on its own cost does not count.
    """
    if measure == "calls":
        return 1
    if method == "sampling/createMessage":
        return _tokens(params) + _tokens(result) if measure == "tokens" else 0
    said = object_member(result, "structuredContent") if own else {}
    names = ("cost",) if measure == "cost" else ("input_tokens", "output_tokens")
    return sum(_number(said.get(name)) for name in names)


def _number(value: object) -> float:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return max(0.0, float(cast("float", value))) if plain else 0.0


def _tokens(value: object) -> float:
    """Return about how many tokens the texts of some JSON are."""
    return sum(len(text) for text in _texts(value)) / LETTERS


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    waiting = [value]
    while waiting:
        one = waiting.pop()
        members = as_object(one)
        if members is not None:
            waiting.extend(part for name, part in members.items() if name not in ("data", "_meta"))
        elif isinstance(one, list):
            waiting.extend(cast("list[Any]", one))
        elif isinstance(one, str):
            yield one
