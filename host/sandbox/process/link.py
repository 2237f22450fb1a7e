"""The host's end of the zygote: starts it, asks it for workers, hears which ones ended."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.domain.errors import ConfinementError, SandboxError
from host.domain.wait import outcome_of

ROOT = Path(__file__).parents[3]
BOOT = Path(__file__).with_name("boot.py")
_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ZygoteSettings:
    """What a zygote needs to know once.

    Attributes:
        loader: `module:function` that compiles plugin source inside the worker.
        layers: Layers to apply; empty means all.
        memory_bytes: The most address space a worker may be given on top of a blank one's.
    """

    loader: str
    layers: tuple[str, ...] = ()
    memory_bytes: int = 512 * _MEBIBYTE


@dataclass(slots=True)
class Fork:
    """A forked worker: its wire, and the handle by which it is ended.

    Attributes:
        number: Counted from 1 by one zygote link.
        sock: The host's end of the wire, non-blocking.
        pidfd: Names the process beyond any reuse of its pid.
        pid: The pid as the host sees it.
        ended: Resolves to the exit code, minus the signal that ended it, or None when unknown.
    """

    number: int
    sock: socket.socket
    pidfd: int
    pid: int
    ended: asyncio.Future[int | None]

    def kill(self) -> None:
        """Ends the process; harmless when it has ended."""
        if self.pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def release(self) -> None:
        """Closes the host's descriptors of it."""
        self.sock.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def cpu_seconds(self) -> float:
        """CPU seconds used so far; infinity when the process has gone."""
        try:
            # The kernel's own encoding of "CPU clock of that process".
            return time.clock_gettime((~self.pid << 3) | 2)
        except OSError:
            return float("inf")


class ZygoteLink:
    """One zygote process; use `start`, then `fork` as often as needed, then `close`.

    Args:
        settings: Handed to the zygote when it starts.
        on_death: Called once if the zygote ends by itself.
    """

    def __init__(self, settings: ZygoteSettings, *, on_death: Callable[[], None]) -> None:
        self._settings = settings
        self._on_death = on_death
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._forking: dict[int, tuple[socket.socket, asyncio.Future[Fork]]] = {}
        self._running: dict[int, Fork] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._last = 0

    @property
    def alive(self) -> bool:
        """Whether the zygote can be asked for workers."""
        return self._control is not None

    @property
    def pid(self) -> int:
        """Pid of the keeper, the parent of the zygote."""
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        """Starts the processes and waits until the first worker can be forked.

        Raises:
            SandboxError: The zygote ended instead.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        arguments = ["-I", "-S", "-B", "-X", "utf8", str(BOOT), str(theirs.fileno()), str(ROOT)]
        self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own file; returns at exec
            [sys.executable, *arguments],
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        ours.setblocking(False)
        self._control = ours
        settings = {
            "parent": os.getpid(),
            "loader": self._settings.loader,
            "layers": self._settings.layers,
            "memory_bytes": self._settings.memory_bytes,
            "path": [entry for entry in (str(ROOT), *sys.path) if entry],
        }
        ours.send(json.dumps(settings).encode())
        self._loop.add_reader(ours, self._readable)
        await outcome_of(self._ready)

    async def fork(self, *, rehearse: bool = True) -> Fork:
        """Has a confined worker forked.

        Args:
            rehearse: Whether it rehearses first, which only pays while nobody waits for it.

        Raises:
            SandboxError: The zygote is gone or the system allows no further process.
        """
        if self._control is None:
            msg = "The sandbox process is not running."
            raise SandboxError(msg)
        self._last += 1
        number = self._last
        answer: asyncio.Future[Fork] = self._loop.create_future()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._forking[number] = (ours, answer)
        with theirs:
            request = json.dumps({"fork": number, "rehearse": rehearse}).encode()
            try:
                socket.send_fds(self._control, [request], [theirs.fileno()])
            except ConnectionError:  # it ended just now, which was not read yet
                self._died()
        try:
            return await answer
        except asyncio.CancelledError:
            if answer.done() and not answer.cancelled() and answer.exception() is None:
                answer.result().kill()  # it came while the caller was already leaving
                answer.result().release()
            raise

    def _readable(self) -> None:
        while self._control is not None:
            try:
                message, fds, _, _ = socket.recv_fds(self._control, 65536, 1)
            except BlockingIOError:
                return
            except OSError:
                message, fds = b"", []
            if not message:
                self._died()
                return
            self._handle(json.loads(message), fds)

    def _handle(self, message: dict[str, Any], fds: list[int]) -> None:
        match message:
            case {"ready": True}:
                self._ready.set_result(None)
            case {"broken": str(why)}:
                self._ready.set_exception(SandboxError(f"The sandbox cannot start: {why}"))
            case {"forked": int(number)}:
                self._forked(number, fds[0])
            case {"failed": int(number), "why": why}:
                sock, answer = self._forking.pop(number)
                sock.close()
                if not answer.done():
                    answer.set_exception(SandboxError(f"No worker could be started: {why}"))
            case {"exited": int(number), "code": code}:
                fork = self._running.pop(number, None)
                if fork is not None and not fork.ended.done():
                    fork.ended.set_result(code)
            case _:
                pass  # the zygote is ours and sends nothing else

    def _forked(self, number: int, pidfd: int) -> None:
        sock, answer = self._forking.pop(number)
        ended: asyncio.Future[int | None] = self._loop.create_future()
        fork = Fork(number, sock, pidfd, _pid_of(pidfd), ended)
        if answer.cancelled():
            fork.kill()
            sock.close()
            os.close(pidfd)
            return
        self._running[number] = fork
        answer.set_result(fork)

    def _died(self) -> None:
        self._hang_up()
        error = SandboxError("The sandbox process ended.", next_step="See `host doctor`.")
        if not self._ready.done():
            self._ready.set_exception(error)
        self._on_death()

    def _hang_up(self) -> None:
        if self._control is not None:
            self._loop.remove_reader(self._control)
            self._control.close()
            self._control = None
        for sock, answer in self._forking.values():
            sock.close()
            if not answer.done():
                answer.set_exception(SandboxError("The sandbox process ended."))
        self._forking.clear()
        for fork in self._running.values():
            if not fork.ended.done():
                fork.ended.set_result(None)
        self._running.clear()

    def close(self) -> None:
        """Ends the zygote and with it every worker; returns when they are gone."""
        for fork in self._running.values():
            fork.kill()
        self._hang_up()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _pid_of(pidfd: int) -> int:
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    msg = "The kernel does not say which process a pidfd stands for."
    raise ConfinementError(msg, next_step="Linux 5.4 or newer is needed.")
