"""What `host chat` shows and reads: Markdown as it streams, folded calls, an editor."""

import asyncio
import json
import sys
from collections.abc import Iterable

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.patch_stdout import patch_stdout
from rich.console import Console
from rich.markdown import Markdown
from rich.text import Text

from host.cli.line import read_line, read_secret
from host.cli.run import describe, text_of
from host.cli.streaming import MarkdownStream
from host.cli.tools import printable
from host.config.runtime import data_folder
from host.domain.jsonrpc import Json
from host.domain.protocol import object_member

SHOWN = ("call", "result", "rejected", "handoff", "error", "compacted", "approval", "note")
"""Events that are shown, each in one line."""


class Screen:
    """The terminal of a conversation; without one, lines are read and text is printed."""

    def __init__(self) -> None:
        self.interactive = sys.stdin.isatty() and sys.stdout.isatty()
        self.asking = asyncio.Lock()
        self.calls: list[Json] = []
        self._console = Console(highlight=False)
        self._streamed: MarkdownStream | None = None
        self._text = ""
        self._editor: PromptSession[str] | None = None
        self._words: list[str] = []

    def greet(self, agent: str, words: Iterable[str]) -> None:
        """Say what this is, and what can be completed."""
        self._words = list(words)
        self.say(
            f"You talk with {agent}. /help lists commands; Ctrl-C stops a step, Ctrl-D leaves."
        )

    async def read_message(self, prompt: str) -> str:
        """Return what was typed, over several lines if need be.

        Raises:
            EOFError: There is no more.
            KeyboardInterrupt: The line was given up.
        """
        if not self.interactive:
            line = await asyncio.to_thread(sys.stdin.readline)
            if not line:
                raise EOFError
            return line
        if self._editor is None:
            self._editor = _make_editor()
        with patch_stdout():
            return await self._editor.prompt_async(
                FormattedText([("bold", prompt)]),
                completer=WordCompleter(self._words, sentence=True),
                complete_while_typing=False,
            )

    async def read_line(self, prompt: str) -> str:
        """Return one line, asked for in the middle of a step."""
        async with self.asking:
            self.pause()
            return await read_line(prompt)

    async def read_secret(self, prompt: str) -> str:
        """Return a line that is not shown."""
        async with self.asking:
            self.pause()
            return await read_secret(prompt)

    def hear(self, event: Json) -> None:
        """Show what happens in a run."""
        kind, data = event.get("kind"), object_member(event, "data")
        if kind == "delta" and event.get("inside"):
            return  # what an agent says to another one is no answer
        if kind == "approval" and (self.interactive or event.get("inside")):
            return  # it is asked about, or the outermost run tells of it
        if kind == "delta":
            self._stream(printable(str(data.get("text", ""))))
        elif kind in SHOWN:
            self.pause()
            if kind in ("call", "result", "rejected"):
                self.calls.append(event)
            self._console.print(Text(describe(event), style="dim"), overflow="ellipsis")

    def _stream(self, text: str) -> None:
        self._text += text
        if not self.interactive:
            sys.stdout.write(text)
            return
        if self.asking.locked():
            return
        if self._streamed is None:
            self._streamed = MarkdownStream(self._console)
            text = self._text
        self._streamed.add(text)

    def pause(self) -> None:
        """End what is streaming, so that something else can be shown."""
        if self._streamed is not None:
            self._streamed.end()
            self._streamed = None
        elif self._text and self.interactive:  # it came while a question was open
            self._console.print(Markdown(self._text))
        elif self._text:
            sys.stdout.write("\n")
            sys.stdout.flush()
        self._text = ""

    def say(self, text: str) -> None:
        """Print a text as it is."""
        self.pause()
        self._console.print(Text(printable(text)))

    def show_markdown(self, text: str) -> None:
        """Print Markdown."""
        self.pause()
        self._console.print(Markdown(printable(text)))

    def fail(self, outcome: Json, result: Json) -> None:
        """Print why a run failed."""
        error = str(outcome.get("error") or text_of(result))
        self._console.print(Text(f"✗ {printable(error)}", style="red"))

    def unfold(self) -> None:
        """Print the calls of the last message whole."""
        for event in self.calls:
            data = object_member(event, "data")
            if event.get("kind") == "call":
                given = json.dumps(data.get("arguments"), indent=2, ensure_ascii=False)
                self.say(f"→ {data.get('tool')} {given}")
            else:
                self.say(f"← {data.get('tool')}\n{data.get('text')}")
        if not self.calls:
            self.say("No tool was called.")


def _make_editor() -> PromptSession[str]:
    """Return the line editor: Enter sends, Alt-Enter begins another line."""
    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _another_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    folder = data_folder()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    history = folder / "chat_history"
    history.touch(mode=0o600)
    return PromptSession(history=FileHistory(str(history)), key_bindings=keys)
