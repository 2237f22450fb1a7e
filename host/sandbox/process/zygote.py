"""The zygote: a single-threaded process with an empty environment that forks confined workers.

Two processes run this file. The keeper is what the host started; it makes the namespaces (a new
pid namespace holds only children, never its maker) and waits. The zygote is its child, process 1
of that namespace: when it dies the kernel ends every worker with it. Both die with the host.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, NoReturn

from host.sandbox.process import confine, kernel, worker
from host.sandbox.process.channel import Channel
from host.sandbox.process.layer import ACTIVE, STOPS
from host.sandbox.process.loader import Loader

NAMESPACES = {
    "mount_namespace": kernel.CLONE_NEWNS,
    "pid_namespace": kernel.CLONE_NEWPID,
    "network_namespace": kernel.CLONE_NEWNET,
    "ipc_namespace": kernel.CLONE_NEWIPC,
    "uts_namespace": kernel.CLONE_NEWUTS,
}
_REHEARSALS = 16
"""So often that the interpreter has specialised the code: a worker then need not, in pages of its
own."""

INSIDE_UID = 1000
"""The uid that an ordinary user's workers have inside their user namespace."""

# Imported lazily by the standard library in the middle of a call, when no file can be read.
PRELOAD = """
encodings.idna encodings.ascii encodings.latin_1 encodings.utf_16 encodings.utf_32
encodings.unicode_escape encodings.raw_unicode_escape encodings.hex_codec
encodings.base64_codec encodings.rot_13 encodings.cp1252  _strptime _pydecimal _pydatetime
_colorize string.templatelib annotationlib unicodedata  json re math cmath statistics
datetime decimal fractions numbers collections  collections.abc itertools functools
textwrap string random hashlib base64 binascii uuid  urllib.parse enum dataclasses typing
types operator bisect heapq copy time calendar  contextlib abc html difflib csv io struct
secrets hmac zlib array graphlib pprint  traceback linecache inspect reprlib keyword
"""


def main(control_fd: int) -> NoReturn:
    """Runs the keeper: takes its settings, makes the namespaces, starts the zygote, waits."""
    control = socket.socket(fileno=control_fd)
    settings = json.loads(control.recv(65536))
    if sys.platform == "linux":
        confine.die_with_parent(settings["parent"])
    os.setsid()
    layers = frozenset(settings["layers"] or STOPS)
    report: dict[str, str] = {}
    if sys.platform == "linux":
        report = enter_namespaces(layers)
        confine.die_with_parent(settings["parent"])  # again: a change of credentials clears it
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            Zygote(control, settings, report=report, keeper=keeper).serve()
        except BaseException as error:  # noqa: BLE001 - the boundary of a child process
            why = f"{type(error).__name__}: {error}"
            control.send(json.dumps({"broken": why[:4000]}).encode())
        finally:
            os._exit(1)
    control.close()
    os.waitpid(child, 0)
    os._exit(0)


def enter_namespaces(layers: frozenset[str]) -> dict[str, str]:
    """Makes the namespaces that all workers share; root needs no user namespace for it."""
    wanted = {name: flag for name, flag in NAMESPACES.items() if name in layers}
    ordinary = os.geteuid() != 0
    report = {
        name: "switched off" for name in (*NAMESPACES, "user_namespace") if name not in layers
    }
    if ordinary and "user_namespace" not in layers:
        return {**report, **dict.fromkeys(wanted, "needs the user namespace")}
    uid, gid = os.geteuid(), os.getegid()
    try:
        flags = sum(wanted.values())
        kernel.unshare(flags | kernel.CLONE_NEWUSER if ordinary else flags)
        if ordinary:
            _map_identity(uid, gid)
            report["user_namespace"] = ACTIVE
    except OSError as error:
        names = (*wanted, "user_namespace") if ordinary else wanted
        return {**report, **dict.fromkeys(names, str(error))}
    return {**report, **dict.fromkeys(wanted, ACTIVE)}


def _map_identity(uid: int, gid: int) -> None:
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{INSIDE_UID} {uid} 1"),
        ("gid_map", f"{INSIDE_UID} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - no pathlib in the zygote
            file.write(text)


class Zygote:
    """Forks a worker for each request that arrives on the control socket.

    Args:
        control: The socket to the host; one message carries one request and one descriptor.
        settings: The host's first message.
        report: Which namespaces hold.
        keeper: Pid of the keeper, as seen from outside the pid namespace.
    """

    def __init__(
        self,
        control: socket.socket,
        settings: dict[str, Any],
        *,
        report: dict[str, str],
        keeper: int,
    ) -> None:
        self._control = control
        self._layers = frozenset(settings["layers"] or STOPS)
        self._own_pids: int | None = None
        self._running: dict[int, tuple[int, int]] = {}
        if sys.platform == "linux":
            alone = report.get("pid_namespace") == ACTIVE
            confine.die_with_parent(0 if alone else keeper)
        loader = self._preload(settings["path"], settings["loader"])
        self._worker = worker.Worker(Channel(), loader)
        self._base = confine.address_space() if sys.platform == "linux" else 0
        if sys.platform == "linux":
            self._settle(report)
        self._plan = confine.prepare(
            self._layers,
            report,
            memory_bytes=self._base + settings["memory_bytes"],
            parent=0 if self._own_pids is not None else os.getpid(),
        )
        self._fresh: dict[str, str] = {}
        self._moved = False
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        gc.collect()
        gc.freeze()  # keeps the collector from touching, and so copying, the shared pages

    def _preload(self, path: list[str], loader_name: str) -> Loader:
        sys.path[:] = path
        for name in PRELOAD.split():
            with suppress(ImportError):  # not every Python has every one
                importlib.import_module(name)
        loader = Loader.named(loader_name)
        if loader.preload is not None:
            loader.preload()
        for _ in range(_REHEARSALS):
            worker.rehearse(loader)
        sys.path.clear()
        return loader

    def _settle(self, report: dict[str, str]) -> None:
        """Opens what needs /proc, then gives the files up."""
        if report.get("pid_namespace") == ACTIVE:
            self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        if report.get("mount_namespace") == ACTIVE:
            try:
                kernel.empty_root()
            except OSError as error:
                report["mount_namespace"] = str(error)
        if self._own_pids is not None:
            try:
                self._new_pids()
            except OSError as error:
                os.close(self._own_pids)
                self._own_pids = None
                report["pid_namespace"] = f"shared by all workers: {error}"
        kernel.prctl(kernel.PR_SET_DUMPABLE, 0)

    def _new_pids(self) -> None:
        """Makes the next child process 1 of a pid namespace of its own."""
        if self._own_pids is not None:
            kernel.setns(self._own_pids, kernel.CLONE_NEWPID)  # or the kernel refuses a second one
            kernel.unshare(kernel.CLONE_NEWPID)

    def _move_on(self) -> None:
        """Enters namespaces that nobody is in, for the next worker to be born in.

        This takes about a millisecond, and is done while nobody waits for it.

        Raises:
            OSError: No further pid namespace can be had.
        """
        if sys.platform == "linux":
            self._fresh = confine.fresh_namespaces(self._layers)
        self._new_pids()
        self._moved = True

    def serve(self) -> NoReturn:
        """Forks and reaps until the host closes the control socket."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        self._control.send(b'{"ready":true}')
        with suppress(OSError):
            self._move_on()
        while True:
            for fd, _ in poll.poll():
                if fd == self._control.fileno():
                    self._fork(poll)
                else:
                    poll.unregister(fd)
                    self._reap(fd)

    def _fork(self, poll: select.poll) -> None:
        message, fds, _, _ = socket.recv_fds(self._control, 4096, 1)
        if not message:
            os._exit(0)
        request = json.loads(message)
        number = request["fork"]
        try:
            if not self._moved:
                self._move_on()
            self._moved = False
            pid = os.fork()
        except OSError as error:
            os.close(fds[0])
            self._control.send(json.dumps({"failed": number, "why": str(error)}).encode())
            return
        if pid == 0:
            rehearsed = request["rehearse"]
            birth = worker.Birth(fds[0], number, self._fresh, self._base, rehearsed=rehearsed)
            worker.run(self._worker, self._plan, birth)
        os.close(fds[0])
        pidfd = os.pidfd_open(pid)
        socket.send_fds(self._control, [json.dumps({"forked": number}).encode()], [pidfd])
        self._running[pidfd] = (pid, number)
        poll.register(pidfd, select.POLLIN)
        with suppress(OSError):  # tried again, and told, when the next worker is asked for
            self._move_on()

    def _reap(self, pidfd: int) -> None:
        pid, number = self._running.pop(pidfd)
        _, status = os.waitpid(pid, 0)
        os.close(pidfd)
        code = os.waitstatus_to_exitcode(status)
        with suppress(OSError):
            self._control.send(json.dumps({"exited": number, "code": code}).encode())


def signal_name(code: int) -> str:
    """Names what ended a worker from its exit code, which is minus the signal's number."""
    return signal.Signals(-code).name if code < 0 else f"exit status {code}"
