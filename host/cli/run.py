"""`host run`: one message to an agent, from a terminal or a script."""

import asyncio
import base64
import json
import mimetypes
import sys
from pathlib import Path
from typing import Literal

import typer

from host.cli.answer_files import answer_files, save_answer_files
from host.cli.ask import can_ask
from host.cli.client import show_json
from host.cli.tools import printable
from host.domain.errors import ConfigError
from host.domain.jsonrpc import Json, as_object
from host.domain.protocol import META_WRONG, list_member, object_member
from host.domain.shell import quoted

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""

Rewrite = Literal["no", "shown", "unseen"]
"""Whether a message is rewritten first, and whether a person looks at it then."""

_SHOWN = 200

_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}
"""How pictures begin, for those whose name says nothing of their kind."""


def register(root: typer.Typer) -> None:
    """Add the command."""
    root.command("run")(run)


def run(  # noqa: PLR0913 - a command's options are its interface
    agent: str = typer.Argument(help="The agent's name; `host agents list` shows them."),
    message: str | None = typer.Argument(None, help="What it is asked; - or none reads stdin."),
    *,
    file: list[Path] = typer.Option([], "--file", "-f", help="A file to go with it; repeatable."),
    image: list[Path] = typer.Option([], "--image", help="A picture to go with it; repeatable."),
    model: str = typer.Option("", help="A model in place of the agent's own."),
    schema: str | None = typer.Option(None, help="JSON Schema of the answer: a file, or JSON."),
    reformulate: bool = typer.Option(
        False, help="Have a small model rewrite the message, and look at it before it is sent."
    ),
    yes: bool = typer.Option(False, "--yes", "-y", help="Send what was rewritten unseen."),
    thread: str = typer.Option("", help="The conversation to go on with: a run's id or a name."),
    as_json: bool = typer.Option(False, "--json", help="Print the whole outcome as JSON."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Do not show tool calls."),
) -> None:
    """Ask an agent once. Exit status: 0 answered, 1 failed, 2 wrong input, 130 interrupted."""
    rewrite: Rewrite = "no" if not reformulate else "unseen" if yes else "shown"
    if rewrite == "shown" and not can_ask():
        raise ConfigError(
            "Nobody is there to look at the rewritten message.", next_step="Give --yes as well."
        )
    arguments: Json = {"message": read_message(message)}
    files = [read_file(path) for path in file] + [read_picture(path) for path in image]
    if files:
        arguments["files"] = files
    if model:
        arguments["model"] = model
    if schema is not None:
        arguments["schema"] = read_schema(schema)
    shown = Printer(quiet=quiet or as_json, silent=as_json or schema is not None)
    try:
        result = asyncio.run(_run(agent, arguments, thread, shown, rewrite=rewrite))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\nhost: the run was cancelled.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    shown.end()
    _print_result(result, as_json=as_json, with_schema=schema is not None)
    if result.get("isError") is True:
        raise typer.Exit(1)


def _print_result(result: Json, *, as_json: bool, with_schema: bool) -> None:
    """Print what was not printed while it came in, and save the files of the answer."""
    outcome = object_member(result, "structuredContent")
    if as_json:
        files = {"files": given} if (given := answer_files(result)) else {}
        print(show_json({**(outcome or {"status": "failed", "error": text_of(result)}), **files}))
        return
    if result.get("isError") is True:
        print(f"host: {printable(text_of(result))}", file=sys.stderr)
    elif with_schema:
        print(json.dumps(outcome.get("output"), indent=2, ensure_ascii=False))
    for line in save_answer_files(result, Path.cwd()):
        print(f"  {line}", file=sys.stderr)


async def _run(
    agent: str, arguments: Json, thread: str, shown: "Printer", *, rewrite: Rewrite
) -> Json:
    from host.cli.agent_client import open_client
    from host.cli.attended import Attended

    attended = Attended(shown)
    async with open_client(attended.question if can_ask() else None) as client:
        if thread:
            found = await client.call("orchestrator__find_thread", {"name": thread})
            if found.get("isError") is True:
                raise ConfigError(text_of(found))
            arguments["thread"] = object_member(found, "structuredContent").get("thread", "")
        if rewrite != "no":
            from host.cli.reformulating import settle_message

            unseen = rewrite == "unseen"
            message = str(arguments["message"])
            arguments["message"] = await settle_message(client, message, unseen=unseen)
        asked = {"agent": agent, **arguments}
        result = await attended.call(client, "orchestrator__run_agent", asked)
        if object_member(result, "_meta").get(META_WRONG):
            raise ConfigError(text_of(result))
        return result


class Printer:
    """Prints what a run does: text on standard output, calls on standard error.

    Args:
        quiet: Print no calls.
        silent: Print no text either.
    """

    def __init__(self, *, quiet: bool, silent: bool) -> None:
        self._quiet, self._silent = quiet, silent
        self._open = False

    def hear(self, event: Json) -> None:
        """Take an event."""
        kind, data = event.get("kind"), object_member(event, "data")
        if kind == "delta" and event.get("inside"):
            return  # what an agent says to another one is no answer
        if kind == "delta" and not self._silent:
            sys.stdout.write(printable(str(data.get("text", ""))))
            sys.stdout.flush()
            self._open = True
        elif self._says(event):
            self.end()
            print(describe(event), file=sys.stderr)

    def _says(self, event: Json) -> bool:
        """Whether an event is told of; what it waits for or does without even a quiet command."""
        kind = event.get("kind")
        if kind == "approval":
            return not event.get("inside") and not can_ask()
        calls = ("call", "result", "rejected", "handoff", "error")
        return kind == "note" or (kind in calls and not self._quiet)

    def end(self) -> None:
        """End a line that was begun."""
        if self._open:
            print(flush=True)
            self._open = False


def describe(event: Json) -> str:
    """Return an event in one line; what happens in a run inside another one is indented."""
    if event.get("inside"):
        return "  " + describe({**event, "inside": None})
    kind, data = event.get("kind"), object_member(event, "data")
    if kind == "call":
        given = json.dumps(data.get("arguments"), ensure_ascii=False)
        return f"  → {data.get('tool')} {printable(given)[:_SHOWN]}"
    if kind in ("result", "rejected"):
        mark = "✗" if data.get("error") or kind == "rejected" else "←"
        lines = printable(str(data.get("text", ""))).strip().splitlines() or [""]
        more = f" … {len(lines)} lines" if len(lines) > 1 else ""
        return f"  {mark} {data.get('tool') or ''} {lines[0][:_SHOWN]}{more}"
    if kind == "approval":
        name = data.get("approval")
        return (
            f"  … waits for an approval: `host approvals show {name}`, then "
            f"`host approvals approve {name}` or `host approvals deny {name}`"
        )
    if kind == "handoff":
        return f"  ⇒ {data.get('from')} hands over to {data.get('to')}"
    return f"  {kind}: {printable(str(data.get('text', '')))[:_SHOWN]}"


def read_message(message: str | None) -> str:
    """Return what was given, or standard input.

    Raises:
        ConfigError: There is nothing.
    """
    text = message
    if text is None or text == "-":
        text = "" if sys.stdin.isatty() and message is None else sys.stdin.read()
    if not text.strip():
        raise ConfigError(
            "There is no message.",
            next_step='Write it: host run demo "What is in my files folder?"',
        )
    return text


def read_file(path: Path) -> Json:
    """Return a file as the agent's tool takes it.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    kind = mimetypes.guess_type(path.name)[0] or _kind_by_content(data)
    return {"name": path.name, "media_type": kind, "data": base64.b64encode(data).decode()}


def read_picture(path: Path) -> Json:
    """Return a picture as the agent's tool takes it.

    Raises:
        ConfigError: It cannot be read, or is no picture.
    """
    found = read_file(path)
    if not str(found["media_type"]).startswith("image/"):
        raise ConfigError(
            f"{path} is no picture ({found['media_type']}).",
            next_step=f"Send it with `--file {quoted(path)}`.",
        )
    return found


def _kind_by_content(data: bytes) -> str:
    """Return the media type of a file whose name does not tell it."""
    found = (kind for start, kind in _PICTURES.items() if data.startswith(start))
    return next(found, "application/octet-stream")


def read_schema(text: str) -> Json:
    """Return a JSON Schema from a file or from the text itself.

    Raises:
        ConfigError: It is neither.
    """
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The schema {text} cannot be read: {error}.") from error
    try:
        found = as_object(json.loads(text))
    except ValueError as error:
        raise ConfigError(f"The schema is not JSON: {error}.") from error
    if found is None:
        raise ConfigError("The schema has to be a JSON object.")
    return found


def text_of(result: Json) -> str:
    """Return the text of a tool's result."""
    blocks = [as_object(block) or {} for block in list_member(result, "content")]
    return "\n".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
