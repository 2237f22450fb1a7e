"""Parses a document in a process of its own, killed when it overruns its limits."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import anyio
import anyio.abc

from servers.tool import RefusalError

Kind = Literal["html", "pdf", "text"]
FileKind = Literal["html", "pdf", "docx"]
"""Files that are parsed in the process; plain text needs no parser."""
_PROGRAM = Path(__file__).with_name("extract.py")


@dataclass(frozen=True)
class Document:
    """The text of a document.

    Args:
        title: As the document names itself.
        text: Markdown for HTML; page by page, with a marker each, for PDF.
        pages: Number of pages, for PDF.
        cut: Whether the text was longer than what is kept.
    """

    title: str | None
    text: str
    pages: int | None
    cut: bool


@dataclass(frozen=True)
class Passages:
    """A document cut into passages.

    Args:
        title: As the document names itself.
        rows: Each with `text`, `unit`, `first` and `last`.
    """

    title: str | None
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Reader:
    """Runs the extraction program.

    Args:
        seconds: Longest run, by the clock and in CPU time.
        memory: Most bytes of address space, where the system enforces it.
        max_chars: Longest text kept.
    """

    seconds: float
    memory: int
    max_chars: int
    program: Path = _PROGRAM

    async def read(self, body: bytes, kind: Kind, *, url: str, charset: str | None) -> Document:
        """Return the text of `body`.

        Raises:
            RefusalError: It cannot be parsed, or not within the limits.
        """
        found = await self._ask(body, url, {"kind": kind, "charset": charset})
        return Document(found["title"], found["text"], found["pages"], bool(found.get("cut")))

    async def passages(self, body: bytes, kind: FileKind, name: str) -> Passages:
        """Return the passages of a file.

        Raises:
            RefusalError: It cannot be parsed, or not within the limits.
        """
        found = await self._ask(body, name, {"kind": kind, "passages": True})
        return Passages(found["title"], found["passages"])

    async def _ask(self, body: bytes, url: str, about: dict[str, Any]) -> dict[str, Any]:
        header = {
            **about,
            "url": url,
            "max_chars": self.max_chars,
            "memory": self.memory,
            "seconds": int(self.seconds) + 1,
        }
        written = json.dumps(header).encode() + b"\n" + body
        try:
            with anyio.fail_after(self.seconds):
                status, output = await self._run(written)
        except TimeoutError as error:
            raise RefusalError(
                f"{url} took longer than {self.seconds:g} s to parse and was given up.",
                "Try another source; the server's setting parse_seconds is the limit.",
            ) from error
        return _parse_answer(url, status, output)

    async def _run(self, written: bytes) -> tuple[int, bytes]:
        """Feed the program and collect its output; leaving this call kills it."""
        process = await anyio.open_process(
            [sys.executable, "-I", "-X", "utf8", str(self.program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        output = bytearray()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_feed, process, written)
                tasks.start_soon(self._collect, process, output)
            return await process.wait(), bytes(output)
        finally:
            with anyio.CancelScope(shield=True):
                if process.returncode is None:
                    process.kill()
                await process.aclose()

    async def _collect(self, process: anyio.abc.Process, output: bytearray) -> None:
        stdout = cast("anyio.abc.ByteReceiveStream", process.stdout)
        async for part in stdout:
            output += part
            if len(output) > 12 * self.max_chars + 10_000:  # a character is at most \\uXXXX\\uXXXX
                process.kill()
                return


async def _feed(process: anyio.abc.Process, written: bytes) -> None:
    stdin = cast("anyio.abc.ByteSendStream", process.stdin)
    try:
        await stdin.send(written)
        await stdin.aclose()
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return  # it has ended already; its exit status tells why


def _environment() -> dict[str, str]:
    """Nothing of the parent's environment but what Windows needs to start a program."""
    return {n: os.environ[n] for n in ("SYSTEMROOT", "WINDIR") if n in os.environ}


def _parse_answer(url: str, status: int, output: bytes) -> dict[str, Any]:
    found: dict[str, Any]
    try:
        found = json.loads(output)
    except ValueError:
        found = {"error": f"its parser ended with status {status}, probably at a limit"}
    if found.get("error"):
        raise RefusalError(f"{url} cannot be parsed: {found['error']}.", "Try another source.")
    return found
