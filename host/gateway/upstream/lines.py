"""Newline-delimited JSON over a byte stream, with a bound on the size of one message."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

CHUNK = 1 << 18
"""Bytes asked for in one read."""

_ID_TEXT = rb'"id"\s*:\s*(\d+|"(?:[^"\\]|\\.)*")'
_FIRST = re.compile(rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?' + _ID_TEXT)
_LAST = re.compile(_ID_TEXT + rb'\s*(?:,\s*"jsonrpc"\s*:\s*"2\.0"\s*)?\}\s*$')


@dataclass(frozen=True, slots=True)
class Oversize:
    """A message that was longer than allowed and was thrown away.

    Attributes:
        size: Its length in bytes.
        id_text: The JSON text of its `id`, as far as its first and last bytes show one.
    """

    size: int
    id_text: bytes | None


async def read_lines(
    reader: asyncio.StreamReader, *, limit: int
) -> AsyncIterator[bytes | Oversize]:
    """Yield the lines of a stream without their newline; blank lines are passed over.

    Args:
        reader: The stream.
        limit: Bytes that one line may have; a longer one is skipped and reported as `Oversize`.
    """
    parts: list[bytes] = []
    held = dropped = 0
    head = tail = b""
    while chunk := await reader.read(CHUNK):
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            if dropped:
                tail = (tail + line)[-512:]
                yield Oversize(dropped + len(line), find_id(head, tail))
            elif held + len(line) > limit:
                whole = b"".join([*parts, line])
                yield Oversize(len(whole), find_id(whole[:512], whole[-512:]))
            else:
                text = b"".join([*parts, line]) if parts else line
                if text.strip():
                    yield text
            parts, held, dropped = [], 0, 0
        if dropped:
            dropped += len(rest)
            tail = (tail + rest)[-512:]
        elif rest:
            parts.append(rest)
            held += len(rest)
            if held > limit:
                head, tail, dropped = parts[0][:512], rest[-512:], held
                parts = []


def find_id(head: bytes, tail: bytes) -> bytes | None:
    """Return the JSON text of a message's own `id`, where it stands first or last in it."""
    found = _FIRST.match(head) or _LAST.search(tail)
    return found.group(1) if found else None
