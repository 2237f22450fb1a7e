"""Questions of the host at a terminal: approvals and what servers want to know."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from host.cli.tools import printable
from host.domain.jsonrpc import METHOD_NOT_FOUND, Json, RpcError, as_object
from host.domain.protocol import list_member, object_member

Read = Callable[[str], Awaitable[str]]
"""Shows a prompt and returns the line that was typed."""


def can_ask() -> bool:
    """Whether a person sits at this terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def answer_question(
    method: str,
    params: Json,
    read: Read,
    show: Callable[[str], None],
    *,
    stop: Callable[[], bool] = lambda: False,
) -> Json:
    """Return the answer of a person to a question of the host.

    Where Ctrl-C stops the step there is none: it would reach the host before the cancellation, and
    the step could go on to its end with it. Whoever stops the step drops its questions.

    Args:
        method: `elicitation/create`, or something that a terminal cannot answer.
        params: The question, with the schema of its answer.
        read: Asks for a line.
        show: Prints text.
        stop: Ends the step, and returns whether there was one; called where Ctrl-C is typed
            instead of an answer.

    Raises:
        RpcError: The terminal cannot answer this.
    """
    if method != "elicitation/create":
        raise RpcError(METHOD_NOT_FOUND, f"The terminal does not answer {method}.")
    show(printable(str(params.get("message", ""))))
    if params.get("url"):
        show(printable(str(params["url"])))
    schema = object_member(params, "requestedSchema")
    fields = object_member(schema, "properties")
    required = list_member(schema, "required")
    try:
        if not fields:
            return {"action": "accept", "content": {}} if _yes(await read("Allow? [y/N] ")) else _NO
        content: Json = {}
        for name, raw in fields.items():
            about = as_object(raw) or {}
            value = await _ask_field(name, about, read, needed=name in required)
            if value is not None:
                content[name] = value
    except EOFError:
        return {"action": "cancel"}
    except KeyboardInterrupt:
        if stop():
            await asyncio.get_running_loop().create_future()
        return {"action": "cancel"}
    return {"action": "accept", "content": content}


_NO: Json = {"action": "decline"}


async def _ask_field(name: str, about: Json, read: Read, *, needed: bool) -> Any:  # noqa: ANN401 - a form's values
    title = printable(str(about.get("title") or about.get("description") or name))
    choices = [str(one) for one in list_member(about, "enum")] or [
        str((as_object(one) or {}).get("const")) for one in list_member(about, "oneOf")
    ]
    kind = about.get("type")
    default = about.get("default")
    hint = f" [{'/'.join(choices)}]" if choices else " [y/N]" if kind == "boolean" else ""
    while True:
        line = (await read(f"{title}{hint}: ")).strip()
        if not line and default is not None:
            return default
        if kind == "boolean":
            return _yes(line)
        if not line and not needed:
            return None
        value = _convert(line, kind, choices)
        if value is not None:
            return value


def _convert(line: str, kind: object, choices: list[str]) -> Any:  # noqa: ANN401 - a form's values
    """Return a line as the schema wants it; None if it does not fit."""
    if choices:
        fitting = [one for one in choices if one == line] or [
            one for one in choices if line and one.startswith(line)
        ]
        return fitting[0] if len(fitting) == 1 else None
    try:
        if kind == "integer":
            return int(line)
        if kind == "number":
            return float(line)
    except ValueError:
        return None
    return line or None


def _yes(line: str) -> bool:
    return line.strip().lower() in ("y", "yes")
