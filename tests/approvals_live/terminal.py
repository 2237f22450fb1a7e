"""A person's terminal: a real pseudo-terminal in which a command runs, read and typed into."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

PATIENCE = 60.0
"""Seconds that anything may take before the test has failed."""


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A `host` command that runs in a terminal of its own.

    Args:
        words: The command's words.
        env: Its environment.
        folder: Where it runs.
    """

    def __init__(self, *words: str, env: dict[str, str], folder: Path) -> None:
        self._master, slave = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "host", *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=env,
            cwd=folder,
            start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - the terminal has to be the child's own
        )
        os.close(slave)
        self._shown = ""
        self._changed = threading.Condition()
        self._ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65_536)
            except OSError:
                data = b""
            with self._changed:
                self._shown += data.decode(errors="replace")
                self._ended = self._ended or not data
                self._changed.notify_all()
            if not data:
                return

    @property
    def shown(self) -> str:
        """Everything that was printed."""
        return self._shown.replace("\r\n", "\n")

    def expect(self, pattern: str) -> str:
        """Wait until something was printed, take it and all before it, and return what matched."""
        deadline = time.monotonic() + PATIENCE
        with self._changed:
            while True:
                found = re.search(pattern, self._shown)
                if found is not None:
                    self._shown = self._shown[found.end() :]
                    return found[0]
                left = deadline - time.monotonic()
                assert left > 0, f"{pattern!r} was not printed, but: {self._shown}"
                assert not self._ended, f"it ended without {pattern!r}: {self._shown}"
                self._changed.wait(left)

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._master, text.encode())

    def wait(self) -> int:
        """Wait until the command has ended and all it printed was read; return its status."""
        status = self.process.wait(PATIENCE)
        with self._changed:
            self._changed.wait_for(lambda: self._ended, PATIENCE)
        return status

    def close(self) -> None:
        """End the command."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self._master)
