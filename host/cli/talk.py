"""A conversation as Markdown, for `/export`, and for `/resume` to show what was said before."""

import json
import re
from collections.abc import Iterable

from host.cli.tools import printable
from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import list_member, object_member

_SHOWN = 200
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def render_talk(runs: Iterable[Iterable[Json]]) -> str:
    """Return a conversation as Markdown.

    Args:
        runs: The events of each of its runs, in order.
    """
    parts = [part for events in runs for part in _of_run(events)]
    return "\n\n".join(parts) + "\n"


def _of_run(events: Iterable[Json]) -> list[str]:
    parts: list[str] = []
    last, agent = "", ""
    for event in events:
        kind, data = event.get("kind"), object_member(event, "data")
        agent = str(data.get("agent") or data.get("to") or agent)
        if kind == "started":
            parts.append(_named("You", _asked(data.get("input"))))
        elif kind == "reply":
            last = _text_of_reply(data)
            parts += [_named(data.get("agent"), last)] if last.strip() else []
        elif kind == "call":
            given = json.dumps(data.get("arguments"), ensure_ascii=False)
            parts.append(f"{_code(data.get('tool'))} {_code(given[:_SHOWN])}")
        elif kind in ("error", "cancelled") and data.get("said"):
            parts.append(f"{_named(agent, str(data['said']))}\n\n*It was cut off here.*")
        elif kind == "finished":
            parts += _ending(data, last)
    return parts


def _ending(data: Json, last: str) -> list[str]:
    """Return the answer, unless it was the last reply as well, or why there is none."""
    text, status = str(data.get("text") or ""), data.get("status")
    said = [_named(data.get("agent"), text)] if text.strip() and text != last else []
    if status == "cancelled":
        return [*said, "*Stopped.*"]
    if status == "failed":
        return [*said, f"*Failed:* {printable(str(data.get('error') or ''))}"]
    return said


def _named(who: object, text: str) -> str:
    """Return what somebody said; a heading, list or table at its beginning stays one."""
    return f"**{who}:**\n\n{_said(text)}"


def _said(text: str) -> str:
    """Return a text whose code does not run on into what follows."""
    fence = ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if found is None:
            continue
        if not fence:
            fence = found[1]
        elif found[1].startswith(fence) and not line.strip(" " + fence[0]):
            fence = ""
    shown = printable(text).strip("\n")
    return f"{shown}\n{fence}" if fence else shown


def _code(text: object) -> str:
    """Return a text as code, whatever backticks it has itself."""
    shown = printable(str(text))
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    ticks = "`" * (longest + 1)
    pad = " " if longest else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"


def _text_of_reply(data: Json) -> str:
    parts = [as_object(one) or {} for one in list_member(object_member(data, "response"), "parts")]
    texts = [str(one.get("content") or "") for one in parts if one.get("part_kind") == "text"]
    return "\n\n".join(text for text in texts if text)


def _asked(content: object) -> str:
    """Return what a person wrote, and of which kinds the files with it were."""
    if isinstance(content, str):
        return content
    parts = list_member({"parts": content}, "parts")
    lines = [one if isinstance(one, str) else _file(as_object(one) or {}) for one in parts]
    return "\n\n".join(lines)


def _file(part: Json) -> str:
    return f"[{part.get('media_type') or part.get('kind') or 'a file'}]"
