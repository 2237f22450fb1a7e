"""Starts the tool servers of one daemon and ends every one of them when the daemon goes.

Run as a script by an isolated interpreter, so that it stays small and single-threaded: a fork here
copies no event loop and no lock. Its one argument is the descriptor of a socket to the daemon. On
Linux it is the reaper of all its descendants, so that even a grandchild that left its session
(`npx`, `uvx`) ends with the daemon, kill -9 included. It is two processes there, each of which ends
everything when the other one is killed; and what outlived both is known by a mark in its
environment, and ended by the daemon or the next keeper.

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
MARK = "HOST_SERVER_KEEPER"
"""The variable in which each server, and what it starts, carries whose it is."""
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


def processes() -> list[int]:
    """Return the ids of all processes; none where there is no /proc."""
    with contextlib.suppress(OSError):
        return [int(name) for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208 - pathlib would double the start-up time
    return []


def stat_of(pid: int) -> list[bytes]:
    """Return what the kernel tells of a process after its name: state, parent and so on.

    Raises:
        OSError: There is none.
    """
    with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as above
        return file.read().rpartition(b")")[2].split()


def parents() -> dict[int, int]:
    """Return every process's parent, by process id; empty where there is no /proc."""
    found: dict[int, int] = {}
    for pid in processes():
        with contextlib.suppress(OSError):
            found[pid] = int(stat_of(pid)[1])
    return found


def mark_of(pid: int) -> str:
    """Return what tells a process from all others: its namespace, its id, and when it began.

    Raises:
        OSError: There is no such process, or no /proc.
    """
    namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - as above
    return f"{namespace}/{pid}/{stat_of(pid)[19].decode()}"


def marked() -> dict[int, str]:
    """Return the marks of all processes of this user that have one."""
    found: dict[int, str] = {}
    wanted = f"{MARK}=".encode()
    for pid in processes():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - as above
            if os.fstat(file.fileno()).st_uid == os.geteuid():
                for variable in file.read().split(b"\0"):
                    if variable.startswith(wanted):
                        found[pid] = variable[len(wanted) :].decode("utf-8", "replace")
    return found


def is_lost(mark: str) -> bool:
    """Whether the keeper that made a mark is dead; one of another namespace cannot be judged."""
    namespace, _, rest = mark.partition("/")
    pid = rest.partition("/")[0]
    try:
        if namespace != os.readlink("/proc/self/ns/pid") or not pid.isdecimal():  # noqa: PTH115 - as above
            return False
        return mark_of(int(pid)) != mark or stat_of(int(pid))[0] in (b"Z", b"X")
    except OSError:
        return True


def sweep() -> None:
    """End what keepers left behind that were killed; Linux only."""
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        lost = [pid for pid, mark in marked().items() if is_lost(mark)]
        if not lost:
            return
        for pid in lost:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


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


def start(request: dict[str, Any], descriptors: list[int], mark: str | None) -> int:
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
            env = request["env"] if mark is None else {**request["env"], MARK: mark}
            os.execvpe(request["argv"][0], request["argv"], env)  # noqa: S606 - its job
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

    def __init__(self, control: socket.socket, mark: str | None) -> None:
        self.control = control
        self.mark = mark
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
            pid = start(request, given, self.mark)
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


def end_all(children: set[int]) -> None:
    """Kill every descendant, and those that appear meanwhile, until none is left.

    Args:
        children: Those whose process groups are ended as well.
    """
    own = os.getpid()
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        for pid in children:
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


def stay_on_guard() -> None:
    """Fork, and return in the child only: this process ends what the child leaves behind.

    A killed reaper's orphans go to the next one above it, which is this one.
    """
    guard = os.getpid()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    keeper = os.fork()
    if keeper == 0:
        prctl(PR_SET_PDEATHSIG, signal.SIGUSR1)
        if os.getppid() != guard:
            os._exit(1)
        return
    os.closerange(3, 4096)  # the daemon is to see the keeper's end, and not this one's
    while os.wait()[0] != keeper:
        pass
    end_all(set())
    os._exit(0)


def main() -> None:
    """Serve the daemon until its end of the socket closes."""
    os.setsid()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    mark: str | None = None
    killed: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, frame: killed.append(number))
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            mark = mark_of(os.getpid())
        stay_on_guard()
        sweep()
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.set_wakeup_fd(wake_write)
    keeper = Keeper(socket.socket(fileno=int(sys.argv[1])), mark)
    alive = True
    while alive and not killed:
        ready, _, _ = select.select([keeper.control, wake_read], [], [])
        if wake_read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake_read, 512)
            keeper.reap()
        if keeper.control in ready:
            alive = keeper.receive()
    end_all(keeper.children)


if __name__ == "__main__":
    main()
