"""A program in a real pseudo-terminal: what it shows is read, what a person types is sent."""

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

PATIENCE = 60.0
"""Seconds after which waiting for a text has failed."""

# The terminal is opened by the new session's leader, which makes it the controlling one.
_LAUNCH = (
    "import os, sys; os.setsid(); fd = os.open(sys.argv[1], os.O_RDWR);"
    "[os.dup2(fd, number) for number in (0, 1, 2)];"
    "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
)
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[()][A-Z0-9]|\x1b[=>]|\r")


class Terminal:
    """One program.

    Args:
        words: What follows the Python interpreter.
        environ: Its environment.
        folder: Where it works.
    """

    def __init__(self, words: list[str], environ: Mapping[str, str], folder: Path) -> None:
        import pty  # noqa: PLC0415 - not on Windows

        self._master, slave = pty.openpty()
        name = os.ttyname(slave)
        self._child = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, name, *words],
            env={**environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "COLUMNS": "120"},
            cwd=folder,
            stdin=subprocess.DEVNULL,
        )
        self._slave = slave
        self.shown = ""
        self._seen = 0

    def type(self, text: str) -> None:
        """Send what a person types."""
        os.write(self._master, text.encode())

    def wait_for(self, text: str) -> str:
        """Return what was shown since the last wait, up to a text and with it."""
        end = time.monotonic() + PATIENCE
        while True:
            plain = _CONTROL.sub("", self.shown)
            place = plain.find(text, self._seen)
            if place >= 0:
                begun, self._seen = self._seen, place + len(text)
                return plain[begun : self._seen]
            left = end - time.monotonic()
            assert left > 0, f"{text!r} was not shown; this was: {plain[self._seen :]!r}"
            self._read(left)

    def wait(self) -> int:
        """Return the exit status; what is shown meanwhile is read."""
        end = time.monotonic() + PATIENCE
        while self._child.poll() is None:
            assert time.monotonic() < end, f"it does not end; it shows {self.shown[-500:]!r}"
            self._read(0.1)
        return self._child.returncode

    def close(self) -> None:
        """End the program, if it goes on."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        os.close(self._master)
        os.close(self._slave)

    def _read(self, seconds: float) -> None:
        ready, _, _ = select.select([self._master], [], [], min(seconds, 1.0))
        if ready:
            self.shown += os.read(self._master, 65_536).decode("utf-8", "replace")
