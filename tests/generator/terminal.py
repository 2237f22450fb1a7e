"""A pseudo-terminal with a program in it, waited for by what it shows."""

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from fcntl import ioctl
from pathlib import Path

DEADLINE = 60
"""Longest wait for a text, in seconds; reached only where something is broken."""


class Terminal:
    """Runs `python -m host …` in a terminal, of 100 columns mostly; close it when done."""

    def __init__(
        self, words: list[str], *, folder: Path, environ: Mapping[str, str], columns: int = 100
    ) -> None:
        self._screen, inside = pty.openpty()
        ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "host", *words],
            stdin=inside,
            stdout=inside,
            stderr=inside,
            cwd=folder,
            env={**environ, "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(inside)
        self.shown = ""
        self._seen = 0
        self._raw = b""
        self._answered = 0

    def wait_for(self, text: str) -> None:
        """Wait until a text is shown after what was waited for before."""
        until = time.monotonic() + DEADLINE
        while (found := self.shown.find(text, self._seen)) < 0:
            if not self._read(until):
                raise AssertionError(f"{text!r} was not shown:\n{self.shown[self._seen :]}")
        self._seen = found + len(text)

    def type(self, text: str) -> None:
        """Type a text."""
        os.write(self._screen, text.encode())

    def end(self) -> int:
        """Wait for the program's end and return its exit status."""
        until = time.monotonic() + DEADLINE
        while self._read(until):
            pass
        return self._process.wait(DEADLINE)

    def close(self) -> None:
        """End what still runs."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(DEADLINE)
        os.close(self._screen)

    def _read(self, until: float) -> bool:
        ready, _, _ = select.select([self._screen], [], [], max(0, until - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._screen, 65_536)
        except OSError:
            return False
        self._raw += data
        while self._raw.count(b"\x1b[6n") > self._answered:  # where the cursor is, as terminals say
            self._answered += 1
            os.write(self._screen, b"\x1b[1;1R")
        plain = re.sub(rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[=>()][AB0]?)", b"", self._raw)
        self.shown = plain.decode("utf-8", "replace")
        return bool(data)
