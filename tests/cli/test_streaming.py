"""Markdown that streams is shown once, whatever its length, as if it had come at once."""

import io
import re

import anyio.lowlevel
import pytest
from rich.console import Console
from rich.markdown import Markdown

from host.cli.streaming import MarkdownStream

pytestmark = pytest.mark.anyio

HEIGHT = 20

ANSWER = """\
# All

text

## Some

- one
- two

  more

1. a
2. b

> said
> so

```python
print(1)

x = 2
```
after

| a | b |
|---|---|
| 1 | 2 |

last"""


async def test_answer_in_pieces_is_shown_as_the_whole_one_is() -> None:
    for size in (1, 7, len(ANSWER)):
        assert full_lines(await streamed(ANSWER, size)) == full_lines(at_once(ANSWER))


async def test_answer_longer_than_the_screen_is_shown_once() -> None:
    paragraphs = [f"Paragraph {number} is here." for number in range(200)]
    shown = on_screen(await streamed("\n\n".join(paragraphs), 16, terminal=True))
    assert [line for line in shown if line] == paragraphs


async def streamed(text: str, size: int, *, terminal: bool = False) -> str:
    """Return what is printed of a text that comes in pieces."""
    out = io.StringIO()
    console = Console(file=out, width=60, height=HEIGHT, force_terminal=terminal, color_system=None)
    stream = MarkdownStream(console, pause=0)
    for begin in range(0, len(text), size):
        stream.add(text[begin : begin + size])
        await anyio.lowlevel.checkpoint()  # it is redrawn
    stream.end()
    return out.getvalue()


def at_once(text: str) -> str:
    """Return what is printed of a whole text."""
    out = io.StringIO()
    Console(file=out, width=60, color_system=None).print(Markdown(text))
    return out.getvalue()


def full_lines(shown: str) -> list[str]:
    """Return lines that have something."""
    return [line.rstrip() for line in shown.splitlines() if line.strip()]


def on_screen(shown: str) -> list[str]:
    """Return the lines of a terminal and of what has left it, which it cannot go back to."""
    lines, at = [""], 0
    for part in re.findall(r"\x1b\[[?\d]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", shown):
        if part == "\n":
            at += 1
            lines += [""] * (at == len(lines))
        elif part == "\x1b[1A":
            at = max(at - 1, len(lines) - HEIGHT, 0)
        elif part == "\x1b[2K":
            lines[at] = ""
        elif part != "\r" and not part.startswith("\x1b"):
            lines[at] += part
    return [line.rstrip() for line in lines]
