"""Processes that scan file contents: started when needed, kept warm, killed when one hangs."""

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from servers.tool import RefusalError

_MOST_PROCESSES = 8
_MOST_IDLE = 2
_PACKAGES = Path(__file__).resolve().parents[2]


class HungError(Exception):
    """A process did not answer in time, or died; the crew is of no more use."""


class Crew:
    """Some scanning processes that work on one search at a time."""

    def __init__(self, size: int, descriptors: tuple[int, ...], way: str) -> None:
        self.size = size
        self._buffers = [bytearray() for _ in range(size)]
        self._processes = [_start(descriptors, way) for _ in range(size)]

    def send(self, worker: int, job: dict[str, Any]) -> None:
        """Give a process one job; it must not have an unanswered one."""
        data = memoryview(json.dumps(job).encode() + b"\n")
        pipe = self._processes[worker].stdin
        if pipe is None:
            raise HungError
        try:
            while data:
                data = data[os.write(pipe.fileno(), data) :]
        except OSError as error:
            raise HungError from error

    def receive(self, worker: int, deadline: float) -> dict[str, Any]:
        """Wait for a process's answer.

        Raises:
            HungError: When the deadline passes or the process is gone.
        """
        pipe = self._processes[worker].stdout
        if pipe is None:
            raise HungError
        buffer = self._buffers[worker]
        while (end := buffer.find(b"\n")) < 0:
            ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(pipe.fileno(), 1 << 18) if ready else b""
            if not chunk:
                raise HungError
            buffer += chunk
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        return json.loads(line)

    def kill(self) -> None:
        """End every process."""
        for process in self._processes:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
            process.wait()


def _start(descriptors: tuple[int, ...], way: str) -> "subprocess.Popen[bytes]":
    environment = {"PYTHONPATH": str(_PACKAGES), "PATH": os.environ.get("PATH", "")}
    try:
        return subprocess.Popen(  # noqa: S603 - our own module, no shell
            [sys.executable, "-s", "-m", "servers.files.scan", way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment,
            pass_fds=descriptors,
        )
    except OSError as error:
        raise RefusalError(f"The search process did not start: {error.strerror}.") from error


class Crews:
    """The crews of a server; each search borrows one."""

    def __init__(self, descriptors: tuple[int, ...], *, processes: int, way: str) -> None:
        self._descriptors = descriptors
        self._way = way
        self._size = processes or min(os.cpu_count() or 1, _MOST_PROCESSES)
        self._idle: list[Crew] = []
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(_MOST_IDLE)

    @contextmanager
    def borrowed(self, deadline: float) -> Generator[Crew]:
        """Have a crew for one search; one that hung, or whose search broke off, is killed.

        Raises:
            RefusalError: When all crews are busy until the deadline.
        """
        if not self._slots.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise RefusalError("Other searches are still running.", "Try again in a moment.")
        try:
            with self._lock:
                crew = self._idle.pop() if self._idle else None
            crew = crew or Crew(self._size, self._descriptors, self._way)
            try:
                yield crew
            except BaseException:
                crew.kill()
                raise
            with self._lock:
                self._idle.append(crew)
        finally:
            self._slots.release()

    def close(self) -> None:
        """End all processes that wait."""
        with self._lock:
            idle, self._idle = self._idle, []
        for crew in idle:
            crew.kill()
