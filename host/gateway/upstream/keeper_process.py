"""Starts the tool servers of one daemon and ends every one of them when the daemon goes.

Run as a script by an isolated interpreter, so that it stays small and single-threaded: a fork here
copies no event loop and no lock. Its one argument is the descriptor of a socket to the daemon. On
Linux it is the reaper of all its descendants, so that even a grandchild that left its session
(`npx`, `uvx`) ends with the daemon, kill -9 included.

Requests come as lines of JSON: `{"id", "argv", "env", "cwd", "hide"}` with the three
standard descriptors of the child attached, or `{"id", "kill": pid, "signal"}`. Answers are
`{"id", "pid", "hidden"}`, `{"id", "error"}` and `{"exit": pid, "status"}`.
"""

import array
import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REC, MS_SLAVE = 1, 2, 4, 1 << 14, 1 << 19
DEADLINE = 5.0
"""Seconds that ending the descendants may take."""


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process, where the system is Linux."""
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - only Linux needs it

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def hide(folders: list[str]) -> None:
    """Give this process a view of the files in which some folders are empty and stay so.

    A tool server runs as the user, whose right to read the host's secrets no mode bits take away.

    Raises:
        OSError: The system does not allow it.
    """
    import ctypes  # noqa: PLC0415 - as above

    libc = ctypes.CDLL(None, use_errno=True)

    def check(outcome: int) -> None:
        if outcome != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"its view of the files cannot be made: {os.strerror(number)}")

    if libc.unshare(CLONE_NEWNS) != 0:  # only root may do it just so
        uid, gid = os.geteuid(), os.getegid()
        check(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS))
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{uid} {uid} 1"),
            ("gid_map", f"{gid} {gid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123 - as above
                file.write(text)
    check(libc.mount(b"none", b"/", None, MS_REC | MS_SLAVE, None))
    for folder in filter(os.path.isdir, folders):
        flags = MS_RDONLY | MS_NOSUID | MS_NODEV
        check(libc.mount(b"none", os.fsencode(folder), b"tmpfs", flags, b"size=4k,mode=0555"))
    with contextlib.suppress(OSError):  # a working folder that is hidden now is left
        os.chdir(os.getcwd())  # noqa: PTH109 - as above


def can_hide(folders: list[str]) -> bool:
    """Whether the system lets a process have such a view: tried in one that ends at once."""
    pid = os.fork()
    if pid == 0:
        try:
            hide(folders)
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def parents() -> dict[int, int]:
    """Return every process's parent, by process id; empty where there is no /proc."""
    found: dict[int, int] = {}
    with contextlib.suppress(OSError):
        for entry in os.listdir("/proc"):  # noqa: PTH208 - pathlib would double the start-up time
            if entry.isdecimal():
                with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", "rb") as file:  # noqa: PTH123 - as above
                    found[int(entry)] = int(file.read().rpartition(b")")[2].split()[1])
    return found


def descendants(root: int) -> set[int]:
    """Return the process ids below `root`."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents().items():
        children.setdefault(parent, []).append(pid)
    found: set[int] = set()
    queue = [root]
    while queue:
        for pid in children.get(queue.pop(), []):
            if pid not in found:
                found.add(pid)
                queue.append(pid)
    return found


def kill_tree(pid: int, number: int) -> None:
    """Signal a child's process group and everything that descends from the child."""
    targets = descendants(pid)
    with contextlib.suppress(OSError):
        os.killpg(pid, number)
    for target in targets:
        with contextlib.suppress(OSError):
            os.kill(target, number)


def start(request: dict[str, Any], descriptors: list[int]) -> int:
    """Fork and execute one server; return its process id.

    Raises:
        OSError: The command cannot be executed.
    """
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, False)
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            if request["hide"]:
                hide(request["hide"])
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            for target, source in enumerate(descriptors):
                os.dup2(source, target)
            os.closerange(3, write_end)
            os.closerange(write_end + 1, 4096)
            if request["cwd"]:
                os.chdir(request["cwd"])
            for number in (signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            os.execvpe(request["argv"][0], request["argv"], request["env"])  # noqa: S606 - its job
        except OSError as error:
            os.write(write_end, f"{error.errno} {error.strerror}".encode())
        finally:
            os._exit(127)
    os.close(write_end)
    with open(read_end, "rb") as pipe:  # noqa: PTH123 - a descriptor, not a path
        failure = pipe.read()
    if failure:
        os.waitpid(pid, 0)
        number, _, text = failure.decode().partition(" ")
        raise OSError(int(number), text.strip())
    return pid


class Keeper:
    """The loop: requests in, answers and exits out."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.children: set[int] = set()
        self.descriptors: list[int] = []
        self.buffer = b""
        self.hides: bool | None = None
        """Whether folders can be hidden from children; None until that was tried."""

    def answer(self, message: dict[str, Any]) -> None:
        """Write one answer; a daemon that is gone is noticed by the next read."""
        with contextlib.suppress(OSError):
            self.control.sendall(json.dumps(message).encode() + b"\n")

    def reap(self) -> None:
        """Report children that ended, with what they left behind; collect adopted ones silently."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self.children:
                self.children.discard(pid)
                kill_tree(pid, signal.SIGKILL)
                self.answer({"exit": pid, "status": os.waitstatus_to_exitcode(status)})

    def handle(self, request: dict[str, Any]) -> None:
        """Carry out one request."""
        if "kill" in request:
            kill_tree(request["kill"], request["signal"])
            return
        given, self.descriptors = self.descriptors[:3], self.descriptors[3:]
        try:
            if request["hide"] and self.hides is None:
                self.hides = sys.platform == "linux" and can_hide(request["hide"])
            if not self.hides:
                request["hide"] = []
            pid = start(request, given)
            self.children.add(pid)
            self.answer({"id": request["id"], "pid": pid, "hidden": self.hides is True})
        except OSError as error:
            self.answer({"id": request["id"], "error": f"{error.strerror}", "errno": error.errno})
        finally:
            for descriptor in given:
                os.close(descriptor)

    def receive(self) -> bool:
        """Read what the daemon sent; return False once it is gone."""
        space = socket.CMSG_SPACE(12 * array.array("i").itemsize)
        try:
            data, extra, _, _ = self.control.recvmsg(1 << 16, space)
        except OSError:
            return False
        for _, kind, content in extra:
            if kind == socket.SCM_RIGHTS:
                numbers = array.array("i")
                numbers.frombytes(content[: len(content) - len(content) % numbers.itemsize])
                for number in numbers:
                    os.set_inheritable(number, False)
                    self.descriptors.append(number)
        self.buffer += data
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            self.handle(json.loads(line))
        return bool(data)

    def end_all(self) -> None:
        """Kill every descendant, and those that appear meanwhile, until none is left."""
        own = os.getpid()
        deadline = time.monotonic() + DEADLINE
        while time.monotonic() < deadline:
            for pid in self.children:
                kill_tree(pid, signal.SIGKILL)
            for pid in descendants(own):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            time.sleep(0.01)


def main() -> None:
    """Serve the daemon until its end of the socket closes."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.set_wakeup_fd(wake_write)
    keeper = Keeper(socket.socket(fileno=int(sys.argv[1])))
    alive = True
    while alive:
        ready, _, _ = select.select([keeper.control, wake_read], [], [])
        if wake_read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake_read, 512)
            keeper.reap()
        if keeper.control in ready:
            alive = keeper.receive()
    keeper.end_all()


if __name__ == "__main__":
    main()
