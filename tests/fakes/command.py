"""Commands of the host, run to their end: as processes, without the second that importing takes."""

import atexit
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.fakes.command_server import NUMBER

ROOT = Path(__file__).parents[2]
PATIENCE = 110.0
"""Seconds after which a command that goes on has failed."""


def run_host(
    *words: str, folder: Path, environ: Mapping[str, str], stdin: str | int | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run `python -m host WORDS` to its end.

    Args:
        words: The command's own.
        folder: Where it works.
        environ: The whole of its environment.
        stdin: What it is told, or a descriptor to read from; None is nothing.
    """
    with ExitStack() as stack:
        out, err = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
        inside = stack.enter_context(_inside(stdin))
        if hasattr(os, "fork"):
            status = _server().run(words, folder, environ, [inside, out.fileno(), err.fileno()])
        else:
            done = subprocess.run(
                [sys.executable, "-m", "host", *words],
                cwd=folder,
                env=environ,
                stdin=inside,
                stdout=out,
                stderr=err,
                check=False,
                timeout=PATIENCE,
            )
            status = done.returncode
        texts: list[str] = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode().replace("\r\n", "\n"))
        return subprocess.CompletedProcess(list(words), status, *texts)


@contextmanager
def _inside(stdin: str | int | None) -> Generator[int]:
    """Give a descriptor to read from; a text has to fit into a pipe."""
    if isinstance(stdin, int):
        yield stdin
        return
    if stdin is None:
        end = os.open(os.devnull, os.O_RDONLY)
    else:
        end, other = os.pipe()
        with os.fdopen(other, "wb") as told:
            told.write(stdin.encode())
    try:
        yield end
    finally:
        os.close(end)


class _Server:
    """The process that the commands of one test process are forked from."""

    def __init__(self) -> None:
        self._ours, its = socket.socketpair()
        self._lock = threading.Lock()
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fakes.command_server", str(its.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
            )
        self._ours.settimeout(PATIENCE)

    def run(
        self, words: tuple[str, ...], folder: Path, environ: Mapping[str, str], places: list[int]
    ) -> int:
        asked = {"words": words, "folder": str(folder), "environ": dict(environ)}
        data = json.dumps(asked).encode() + b"\n"
        with self._lock:
            socket.send_fds(self._ours, [data], places)
            process = self._number()
            try:
                return self._number()
            except BaseException:
                os.kill(process, signal.SIGKILL)
                self._number()
                raise

    def _number(self) -> int:
        return NUMBER.unpack(self._ours.recv(NUMBER.size, socket.MSG_WAITALL))[0]

    def close(self) -> None:
        self._ours.close()
        self._process.wait()


@functools.cache
def _server() -> _Server:
    server = _Server()
    atexit.register(server.close)
    return server
