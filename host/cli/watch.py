"""`host approvals watch`: one call at a time, answered with one key."""

import contextlib
import os
import select
import shlex
import subprocess
import sys
import tempfile
import termios
import threading
import time
import tty
from collections.abc import Generator
from getpass import getpass
from pathlib import Path
from typing import cast

from typing_extensions import override

from host.approvals.text import escape, show_arguments, show_difference
from host.cli.approvals import ask, page, read_arguments, read_terms, send_answer, summary
from host.domain.errors import HostError
from host.domain.jsonrpc import Json

KEYS = "[a]pprove  [e]dit  [d]eny  [g]rant  [s]kip  [q]uit"
PAUSE = 1.0
"""Seconds before the daemon is asked again after it could not be reached."""


class Lookout(threading.Thread):
    """Keeps looking at what waits, and says by a pipe that it changed.

    Attributes:
        waiting: The approvals that wait, oldest first.
        error: Why nothing could be seen at the last look.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.waiting: list[Json] = []
        self.error: str | None = None
        self.reader, self._writer = os.pipe()

    @override
    def run(self) -> None:
        """Look until the program ends."""
        version: int | None = None
        while True:
            try:
                found: Json = ask("approvals.watch", {"since": version})
                version, self.waiting = found["version"], found["approvals"]
                self.error = None
            except HostError as error:
                self.error, version = str(error), None
                time.sleep(PAUSE)
            os.write(self._writer, b".")

    def acknowledge(self) -> None:
        """Take the sign of a change."""
        os.read(self.reader, 4096)


class Watch:
    """The terminal's side: shows one approval and takes a key.

    Args:
        lookout: Knows what waits.
    """

    def __init__(self, lookout: Lookout) -> None:
        self._lookout = lookout
        self._seen: set[str] = set()
        self._done: set[str] = set()
        """Approvals that were answered or skipped here; the look-out may not know yet."""
        self._shown: str | None = None
        self._passphrase: str | None = None
        self._said: str | None = None

    def run(self) -> None:
        """Serve until the person quits."""
        print("Waiting for calls that need a yes; q quits.", flush=True)
        while True:
            current = self._current()
            key = self._wait_key()
            if key == "q":
                return
            if key is None or current is None:
                continue
            if current["id"] not in {one["id"] for one in self._waiting()}:
                continue  # it was answered elsewhere while the key was pressed
            try:
                self._act(key, current)
            except HostError as error:
                print(f"host: {error}")
                self._passphrase = None
                self._shown = None

    def _waiting(self) -> list[Json]:
        return [one for one in self._lookout.waiting if one["id"] not in self._done]

    def _current(self) -> Json | None:
        """Return the approval that is shown, and show it if it is another one."""
        waiting = self._waiting()
        if self._lookout.error != self._said:
            self._said = self._lookout.error
            if self._said:
                print(f"host: {self._said}", flush=True)
        for one in waiting:
            if one["id"] not in self._seen:
                self._seen.add(one["id"])
                print(f"\a{summary(one)}", flush=True)
        current = waiting[0] if waiting else None
        if self._shown is not None and self._shown not in {one["id"] for one in waiting}:
            print(f"{self._shown} is no longer open.", flush=True)
            self._shown = None
        if current is None:
            return None
        if self._shown == current["id"]:
            return current
        try:
            full: Json = ask("approvals.show", {"id": current["id"]})
        except HostError:
            return None
        self._shown = current["id"]
        print("\n".join(["", *page(full), KEYS]), flush=True)
        return full

    def _wait_key(self) -> str | None:
        """Return the key that was pressed; None where something changed instead."""
        with _single_keys():
            ready, _, _ = select.select([sys.stdin, self._lookout.reader], [], [])
            if self._lookout.reader in ready:
                self._lookout.acknowledge()
                return None
            key = os.read(sys.stdin.fileno(), 1).decode(errors="replace")
            return key or "q"

    def _act(self, key: str, current: Json) -> None:
        full: Json = ask("approvals.show", {"id": current["id"]})
        if key == "s":
            self._done.add(current["id"])
            self._shown = None
        elif key == "a":
            self._answer(full, {"approve": True})
        elif key == "d":
            self._answer(full, {"approve": False, "reason": input("reason: ") or None})
        elif key == "e":
            self._edit(full)
        elif key == "g":
            self._grant(full)

    def _answer(self, full: Json, answer: Json) -> None:
        answer = {"id": full["id"], "digest": full["digest"], "channel": "terminal", **answer}
        if ask("approvals.guarded", {})["passphrase"]:
            self._passphrase = self._passphrase or getpass("Passphrase: ")
            answer["passphrase"] = self._passphrase
        found = send_answer(answer)
        self._done.add(full["id"])
        self._shown = None
        print(f"{found['id']} is {found['state']}.", flush=True)

    def _edit(self, full: Json) -> None:
        """Let the person's editor change the arguments, show the difference, and ask once more."""
        before = cast("Json", full.get("arguments") or {})
        with tempfile.TemporaryDirectory(prefix="host-") as folder:
            file = Path(folder) / "arguments.json"
            file.write_text(show_arguments(before))
            editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
            subprocess.run([*shlex.split(editor), str(file)], check=False)  # noqa: S603 - their own
            after = read_arguments(str(file))
        if after == before:
            print("Nothing was changed.")
            return
        print("\n".join(show_difference(before, after)))
        if input("send these arguments? [y/N] ").strip().lower() == "y":
            self._answer(full, {"approve": True, "arguments": after})

    def _grant(self, full: Json) -> None:
        """Ask for a grant's terms."""
        scope = input("for this session, agent, or always? ").strip()
        exact = input("exactly these arguments only? [Y/n] ").strip().lower() != "n"
        expires = input("for how long (30m, 8h; empty is no limit)? ").strip() or None
        count = input("for how many calls (empty is any number)? ").strip()
        most = int(count) if count.isdecimal() else None
        terms = read_terms(scope, exact=exact, where=None, expires=expires, count=most)
        if count and most is None:
            print(f"{escape(count)} is no number of calls.")
            return
        self._answer(full, {"approve": True, "grant": terms})


@contextlib.contextmanager
def _single_keys() -> Generator[None]:
    """Let the terminal hand over each key at once."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin, termios.TCSANOW)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def run_watch() -> None:
    """Watch until the person quits."""
    lookout = Lookout()
    lookout.start()
    with contextlib.suppress(KeyboardInterrupt, EOFError):
        Watch(lookout).run()
