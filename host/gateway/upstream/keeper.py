"""The daemon's side of the keeper, the process that starts tool servers and outlives no daemon."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from host.domain.errors import UpstreamUnavailableError
from host.domain.names import nearest_names
from host.domain.wait import end_of
from host.gateway.upstream.keeper_process import sweep

log = logging.getLogger(__name__)

_DYING = 0.5
"""Seconds that a killed keeper has to be gone."""

SCRIPT = Path(__file__).with_name("keeper_process.py")


@dataclass(slots=True)
class Child:
    """A running tool server.

    Attributes:
        pid: Its process id, also the id of its process group.
        exited: Done with the exit status (negative: the signal) once it has ended.
    """

    pid: int
    stdin: asyncio.StreamWriter
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader
    exited: asyncio.Future[int]


@dataclass(slots=True)
class _Ends:
    """The daemon's and the child's ends of the three standard pipes."""

    own: list[int] = field(default_factory=list[int])
    child: list[int] = field(default_factory=list[int])

    @classmethod
    def make(cls) -> "_Ends":
        (in_read, in_write), (out_read, out_write), (err_read, err_write) = (
            os.pipe(),
            os.pipe(),
            os.pipe(),
        )
        return cls([in_write, out_read, err_read], [in_read, out_write, err_write])


class Keeper:
    """Starts children through the keeper process, which is started with the first of them."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._next_id = 0
        self._starting: dict[int, asyncio.Future[tuple[int, bool]]] = {}
        self._children: dict[int, asyncio.Future[int]] = {}
        self._early_exits: dict[int, int] = {}
        self._abandoned: set[int] = set()
        """Starts that nobody waits for any more; what they started is ended at once."""
        self._unwanted: set[int] = set()
        self._buffer = b""
        self.hides: bool | None = None
        """Whether folders are hidden from children that are not to see them; None: not known."""

    async def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: str | None = None,
        hide: Sequence[Path] = (),
    ) -> Child:
        """Start a server.

        Args:
            name: The server's name, for messages.
            argv: The command and its arguments; never a shell string.
            env: Its whole environment.
            cwd: Its working folder; None is the daemon's.
            hide: Folders that it finds empty, where the system can do that.

        Raises:
            UpstreamUnavailableError: The command cannot be executed.
        """
        control = self._connect()
        ends = _Ends.make()
        self._next_id += 1
        request_id = self._next_id
        started: asyncio.Future[tuple[int, bool]] = asyncio.get_running_loop().create_future()
        self._starting[request_id] = started
        hidden = [str(folder) for folder in hide if folder.is_dir()]
        message = {"id": request_id, "argv": list(argv), "env": dict(env), "cwd": cwd}
        message["hide"] = hidden
        try:
            line = json.dumps(message).encode() + b"\n"
            sent = socket.send_fds(control, [line], ends.child)
            if sent < len(line):
                control.sendall(line[sent:])
            pid, concealed = await started
            if hidden:
                self._note_hiding(concealed)
        except BaseException as error:
            for descriptor in ends.own:
                os.close(descriptor)
            if isinstance(error, OSError):
                self._starting.pop(request_id, None)
                raise _cannot_start(name, argv, cwd, error) from error
            if started.done() and not started.cancelled():
                self._end_unwanted(started.result()[0])
            else:
                self._abandoned.add(request_id)
            raise
        finally:
            for descriptor in ends.child:
                os.close(descriptor)
        return await self._take_in(pid, ends.own)

    async def _take_in(self, pid: int, own: list[int]) -> Child:
        """Return a child that was started; where nobody gets to know of it any more, end it."""
        exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if pid in self._early_exits:
            exited.set_result(self._early_exits.pop(pid))
        else:
            self._children[pid] = exited
        opening = asyncio.create_task(_open_streams(pid, own, exited))
        try:
            await end_of(opening)
        except asyncio.CancelledError:
            opening.result().stdin.close()
            self._end_unwanted(pid)
            raise
        return opening.result()

    def _note_hiding(self, concealed: bool) -> None:
        """Say once that this system cannot keep servers off the host's own folders."""
        if not concealed and self.hides is None:
            log.warning(
                "tool servers can read the host's own folders: this system lets no process have "
                "its own view of the files"
            )
        self.hides = concealed

    async def stop(self, child: Child, *, grace: float = 2.0) -> None:
        """End a child: close its input, then SIGTERM, then SIGKILL, each after `grace` seconds."""
        child.stdin.close()
        for number in (None, signal.SIGTERM, signal.SIGKILL):
            if number is not None:
                self.signal(child, number)
            await asyncio.wait([child.exited], timeout=grace)
            if child.exited.done():
                return

    def signal(self, child: Child, number: int) -> None:
        """Signal a child and everything that it started."""
        if not child.exited.done():
            self._send_signal(child.pid, number)

    def _send_signal(self, pid: int, number: int) -> None:
        if self._socket is not None:
            message = {"kill": pid, "signal": int(number)}
            with contextlib.suppress(OSError):
                self._socket.sendall(json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        """End the keeper, and with it every child."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.wait(timeout=10)
            self._process = None

    def _connect(self) -> socket.socket:
        if self._socket is not None:
            return self._socket
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own script, a fixed argument list
                [sys.executable, "-I", "-S", str(SCRIPT), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        asyncio.get_running_loop().add_reader(ours.fileno(), self._receive)
        self._socket = ours
        return ours

    def _receive(self) -> None:
        assert self._socket is not None  # noqa: S101 - the reader is removed with the socket
        try:
            data = self._socket.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._handle(json.loads(line))

    def _handle(self, answer: dict[str, Any]) -> None:
        if "exit" in answer:
            future = self._children.pop(answer["exit"], None)
            if answer["exit"] in self._unwanted:
                self._unwanted.discard(answer["exit"])
            elif future is None:
                self._early_exits[answer["exit"]] = answer["status"]
            elif not future.done():
                future.set_result(answer["status"])
            return
        started = self._starting.pop(answer["id"], None)
        if answer["id"] in self._abandoned:
            self._abandoned.discard(answer["id"])
            if "pid" in answer:
                self._end_unwanted(answer["pid"])
            return
        if started is None or started.done():
            return
        if "pid" in answer:
            started.set_result((answer["pid"], answer["hidden"]))
        else:
            started.set_exception(OSError(answer["errno"], answer["error"]))

    def _end_unwanted(self, pid: int) -> None:
        """End a child of which nobody knows, or will ask how it ended."""
        self._children.pop(pid, None)
        if self._early_exits.pop(pid, None) is None:
            self._unwanted.add(pid)
            self._send_signal(pid, signal.SIGKILL)

    def _lose(self) -> None:
        """The keeper was killed: its children died with it; the next start makes a new one."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.poll()
            self._process = None
        waiting, self._starting = self._starting, {}
        for started in waiting.values():
            if not started.done():
                started.set_exception(OSError(0, "the keeper process was killed"))
        for exited in self._children.values():
            if not exited.done():
                exited.set_result(-signal.SIGKILL)
        self._children.clear()
        if sys.platform == "linux":  # whatever left its session is found by its mark
            asyncio.get_running_loop().run_in_executor(None, _sweep_again)


def _sweep_again() -> None:
    """Sweep, and once more: a keeper that is just dying still counts as one the first time."""
    sweep()
    time.sleep(_DYING)
    sweep()


async def _open_streams(pid: int, own: list[int], exited: asyncio.Future[int]) -> Child:
    loop = asyncio.get_running_loop()
    stdin_fd, stdout_fd, stderr_fd = own
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop=loop), os.fdopen(stdin_fd, "wb", 0)
    )
    stdin = asyncio.StreamWriter(transport, protocol, None, loop)
    readers: list[asyncio.StreamReader] = []
    for descriptor in (stdout_fd, stderr_fd):
        reader = asyncio.StreamReader(limit=1 << 18)
        await loop.connect_read_pipe(
            lambda reader=reader: asyncio.StreamReaderProtocol(reader),
            os.fdopen(descriptor, "rb", 0),
        )
        readers.append(reader)
    return Child(pid, stdin, readers[0], readers[1], exited)


def _cannot_start(
    name: str, argv: Sequence[str], cwd: str | None, error: OSError
) -> UpstreamUnavailableError:
    command = argv[0]
    if cwd is not None and not Path(cwd).is_dir():
        next_step = f"Its working folder {cwd} does not exist; create it or change `cwd`."
    elif error.errno == 2 and "/" not in command:
        near = nearest_names(command, ["npx", "node", "uvx", "python", "python3", "docker", "deno"])
        hint = f" Did you mean {near[0]}?" if near and near[0] != command else ""
        next_step = f"{command!r} is not on PATH.{hint} Install it, or give its full path."
    else:
        next_step = "Run the command yourself to see what it says."
    return UpstreamUnavailableError(
        f"Server {name!r} could not be started: {command}: {error.strerror}.",
        upstream=name,
        next_step=next_step,
    )
