"""Cgroups (version 2) for workers, where this process was given a part of the tree to manage.

The kernel lets a group hand its controllers down only while no process is in it. So the host moves
itself and its children into a leaf of the group that it was started in, and each worker gets a
group beside it:

    the host's own group ─┬─ mcp-agent-host.self      the host and what it starts
                          └─ mcp-agent-host.plugins ─── one group for each worker

A group that holds anybody else's processes is left alone.
"""

import itertools
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from host.sandbox.config import MEBIBYTE

_LEAF = "mcp-agent-host.self"
_GROUP = "mcp-agent-host.plugins"
_NEEDED = ("memory", "pids")
_OPTIONAL = ("cpu",)
_ROUNDS = 10
BLANK_BYTES = 64 * MEBIBYTE
"""Memory of a worker without a plugin, above what it shares with the zygote; generous."""

_LIMITS = {
    "memory.swap.max": "0",
    "memory.oom.group": "1",
    "pids.max": "1",
    "cpu.max": "100000 100000",  # one processor, should the filter of system calls be missing
}
_WEIGHT = "50"
"""Share of the processor of all workers together, where the host's is 100."""

_numbers = itertools.count(1)


class WorkerGroup:
    """The group of one worker.

    Args:
        place: Its folder.
    """

    def __init__(self, place: Path) -> None:
        self.place = place

    def limit_memory(self, size: int) -> None:
        """Bound the pages that the worker may hold; beyond that the kernel ends it.

        Args:
            size: Bytes, above those of a blank worker.
        """
        with suppress(OSError):  # the worker has ended; its connection says so
            (self.place / "memory.max").write_text(str(size + BLANK_BYTES))

    def remove(self) -> None:
        """Remove it if its worker has ended."""
        with suppress(OSError):
            self.place.rmdir()


class Cgroups:
    """The groups of one pool's workers; made by `claim`.

    Args:
        group: The folder that they are in.
    """

    def __init__(self, group: Path) -> None:
        self.group = group

    def enter(self, pid: int) -> WorkerGroup:
        """Put a worker that has no plugin yet into a group of its own.

        Raises:
            OSError: The kernel refuses.
        """
        place = self.group / f"{os.getpid()}-{next(_numbers)}"
        place.mkdir()
        try:
            for name, value in _LIMITS.items():
                if (place / name).exists():  # no swap, or no processor to share out
                    (place / name).write_text(value)
            (place / "cgroup.procs").write_text(str(pid))
        except OSError:
            place.rmdir()
            raise
        return WorkerGroup(place)

    def sweep(self) -> None:
        """Remove the groups of workers that have ended."""
        for place in self.group.iterdir():
            if place.is_dir():
                WorkerGroup(place).remove()


def claim(*, tree: Path | None = None, process: Path = Path("/proc/self")) -> Cgroups:
    """Return the groups below this process's own one, if that was handed to it.

    Args:
        tree: Where the tree is mounted; None looks it up.
        process: This process in /proc.

    Raises:
        OSError: It was not; the text says why.
    """
    tree = tree or _mounted(process)
    own = tree / _membership(process).lstrip("/")
    base = own.parent if own.name == _LEAF else own
    _require_delegated(base, tree)
    offered = (base / "cgroup.controllers").read_text().split()
    lacking = [name for name in _NEEDED if name not in offered]
    if lacking:
        raise OSError(f"the group has no controllers for {' and '.join(lacking)}")
    if own.name != _LEAF:
        _move_to_leaf(base)
    handed = " ".join(f"+{name}" for name in (*_NEEDED, *_OPTIONAL) if name in offered)
    group = base / _GROUP
    (base / "cgroup.subtree_control").write_text(handed)
    group.mkdir(exist_ok=True)
    (group / "cgroup.subtree_control").write_text(handed)
    if "cpu" in offered:
        (group / "cpu.weight").write_text(_WEIGHT)
    found = Cgroups(group)
    found.sweep()
    return found


def _mounted(process: Path) -> Path:
    for line in (process / "mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return Path(before.split()[4])
    raise OSError("no cgroup2 file system is mounted")


def _membership(process: Path) -> str:
    for line in (process / "cgroup").read_text().splitlines():
        if line.startswith("0::") and "/.." not in line:
            return line[3:]
    raise OSError("this process is in no cgroup (version 2) that it can see")


def _require_delegated(base: Path, tree: Path) -> None:
    """See that whoever manages the tree handed this group over; being able to write is not enough.

    Root can write everywhere; systemd marks what it gives away, and a container's root is its own.
    """
    files = [base, base / "cgroup.procs", base / "cgroup.subtree_control"]
    writable = all(os.access(file, os.W_OK) for file in files)
    if not writable or (os.geteuid() == 0 and base != tree and not _is_marked(base)):
        raise OSError("the group was not handed to the host (systemd: Delegate=yes)")


def _is_marked(base: Path) -> bool:
    for name in ("trusted.delegate", "user.delegate"):
        with suppress(OSError):
            if os.getxattr(base, name) == b"1":
                return True
    return False


def _move_to_leaf(base: Path) -> None:
    """Empty a group that only this process and its children are in.

    Raises:
        OSError: Others are in it.
    """
    others = [pid for pid in _processes(base) if os.getpid() not in _ancestry(pid)]
    if others:
        raise OSError(f"the group also holds process {others[0]}, which is not the host's")
    leaf = base / _LEAF
    leaf.mkdir(exist_ok=True)
    for _ in range(_ROUNDS):  # a child may be born while the others are moved
        present = _processes(base)
        if not present:
            return
        for pid in present:
            with suppress(ProcessLookupError):
                (leaf / "cgroup.procs").write_text(str(pid))
    raise OSError("the host's own processes could not be moved out of the group")


def _processes(group: Path) -> list[int]:
    return [int(line) for line in (group / "cgroup.procs").read_text().split()]


def _ancestry(pid: int) -> Iterator[int]:
    """Yield a process, its parent, and so on, as far as they can be seen."""
    while pid > 0:
        yield pid
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return
        pid = int(stat.rpartition(")")[2].split()[1])
