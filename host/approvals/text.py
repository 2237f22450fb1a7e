"""What an approver reads: everything decisive, with nothing in it that could deceive the eye."""

import difflib
import json
import unicodedata
from collections.abc import Iterable
from typing import Any

from host.domain.jsonrpc import Json

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
"""Categories of characters that steer a display instead of being seen: controls, bidirectional and
zero-width marks, surrogates, private and unassigned ones, line and paragraph separators."""
_BLANK = frozenset("\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800\u034f\u180b\u180c\u180d\u180f")
"""Letters and marks by category that show nothing."""


_REQUESTS = {
    "sampling/createMessage": "to use the model (sampling/createMessage)",
    "elicitation/create": "to ask something (elicitation/create)",
    "roots/list": "to see the folders (roots/list)",
}
"""What servers ask of clients."""


def escape(text: str, *, lines: bool = False) -> str:
    r"""Return a text whose every character is seen: others become `\u202e` and the like.

    Args:
        text: From a server, a model or a client.
        lines: Whether line breaks and tabs stay as they are.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(letter, lines=lines) for letter in text)


def _shown(letter: str, *, lines: bool) -> str:
    if letter == " " or (lines and letter in "\n\t"):
        return letter
    category = unicodedata.category(letter)
    # Spaces of other widths look like the plain one, and variation selectors like nothing.
    hidden = category in _HIDDEN or category == "Zs" or letter in _BLANK
    if hidden or 0xFE00 <= ord(letter) <= 0xFE0F or 0xE0100 <= ord(letter) <= 0xE01EF:
        return json.dumps(letter)[1:-1] if letter != "\x7f" else "\\u007f"
    return letter


def show_arguments(arguments: Any) -> str:  # noqa: ANN401 - any JSON
    """Return arguments as indented JSON, whole, with what cannot be seen escaped."""
    text = json.dumps(arguments, indent=2, ensure_ascii=False, sort_keys=True)
    return escape(text, lines=True)


def show_difference(before: Any, after: Any) -> list[str]:  # noqa: ANN401 - any JSON
    """Return how edited arguments differ, as the lines of a unified diff without its header."""
    lines = difflib.unified_diff(
        show_arguments(before).splitlines(), show_arguments(after).splitlines(), lineterm="", n=3
    )
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


def describe(
    method: str, name: str, *, caller: str, agent: str | None, reasons: Iterable[str]
) -> str:
    """Return who wants to do what, and why that is asked about."""
    who = f"{caller} (agent {agent})" if agent else caller
    why = "\n".join(f"- {escape(reason)}" for reason in reasons)
    if method in _REQUESTS:
        server = name.removesuffix(f":{method}")
        what = f"The server {server} wants {_REQUESTS[method]} through {who}."
    else:
        what = f"{who} wants to call {name}."
    return f"{escape(what)}\n{why}".rstrip()


def approval_lines(approval: Json, arguments: Any) -> list[str]:  # noqa: ANN401 - any JSON
    """Return everything that an approver has to know of an approval, as the lines of a page."""
    said = describe(
        str(approval["method"]),
        str(approval["name"]),
        caller=str(approval["caller"]),
        agent=approval.get("agent"),
        reasons=approval["reasons"],
    )
    lines = [*said.splitlines(), "arguments:"]
    lines += [f"  {line}" for line in show_arguments(arguments).splitlines()]
    if approval.get("destructive"):
        lines.append("It may destroy what cannot be brought back.")
    return lines
