"""Markdown as it streams: what is finished is printed for good, what is begun is redrawn."""

import asyncio

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.segment import Segment, Segments

_PAUSE = 0.125
"""Seconds between two redraws."""


class MarkdownStream:
    """Prints Markdown that comes in pieces.

    A terminal cannot redraw what has left its screen. So only the last paragraph, list, table or
    piece of code is redrawn, and of it only as much as fits.

    It is drawn in the event loop, not in Rich's thread, whose redraws and what is printed
    meanwhile may get in each other's way.

    Args:
        console: Where it is printed.
        pause: Seconds between two redraws.
    """

    def __init__(self, console: Console, *, pause: float = _PAUSE) -> None:
        self._console = console
        self._pause = pause
        self._soon: asyncio.TimerHandle | None = None
        self._begun = ""
        self._printed = False
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def add(self, text: str) -> None:
        """Take the next piece."""
        self._begun += text
        if "\n" in text:
            cut = _finished(self._begun)
            done, self._begun = self._begun[:cut], self._begun[cut:]
            self._print(done)
        self._live.update(_Tail(self._begun))
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(self._pause, self._redraw)

    def _redraw(self) -> None:
        self._soon = None
        self._live.refresh()

    def end(self) -> None:
        """Print what is left; nothing more comes."""
        if self._soon is not None:
            self._soon.cancel()
        self._live.stop()
        self._print(self._begun)

    def _print(self, text: str) -> None:
        if not text.strip():
            return
        if self._printed:
            self._console.print()
        lines = _rendered(self._console, self._console.options, text)
        self._console.print(Segments([*_joined(lines), Segment.line()]))
        self._printed = True


def _finished(text: str) -> int:
    """Return how many characters belong to blocks that nothing can be added to any more.

    A line that is still coming in says nothing yet: `2` may become a paragraph, or a list's item.
    """
    whole = text[: text.rfind("\n") + 1]
    tokens = [one for one in Markdown(whole).parsed if one.level == 0 and one.nesting >= 0]
    starts = [one.map[0] for one in tokens if one.map]
    if len(starts) < 2:
        return 0
    return sum(len(line) + 1 for line in whole.split("\n")[: starts[-1]])


class _Tail:
    """The last lines of Markdown, as many as the screen has.

    Args:
        text: The Markdown.
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield what is shown."""
        room = max(console.size.height - 2, 1)
        yield from _joined(_rendered(console, options, self._text)[-room:])


def _rendered(console: Console, options: ConsoleOptions, text: str) -> list[list[Segment]]:
    """Return lines of Markdown, without the empty ones that some blocks begin or end with."""
    lines = console.render_lines(Markdown(text), options, pad=False)
    full = [place for place, line in enumerate(lines) if any(one.text.strip() for one in line)]
    return lines[full[0] : full[-1] + 1] if full else []


def _joined(lines: list[list[Segment]]) -> list[Segment]:
    return [one for line in lines for one in (*line, Segment.line())][:-1]
