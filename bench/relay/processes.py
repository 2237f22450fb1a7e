"""What processes cost: CPU time and memory of a process and its descendants, from /proc."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PROC = Path("/proc")


def _stat(pid: int) -> list[str]:
    text = (_PROC / str(pid) / "stat").read_text()
    return text.rpartition(")")[2].split()


def _cpu(pid: int) -> float:
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / _TICK


def _memory(pid: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("Pss", "Rss"):
            found[name.lower()] = int(rest.split()[0])
    return found


def _kind(pid: int) -> str:
    line = (
        (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    )
    if "postgres" in line:
        return "store"
    upstream = "conformance.upstream" in line and "bench.relay.peers" not in line
    return "upstream" if upstream else "process"


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                found.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except OSError:  # it ended meanwhile
                continue
    return found


def tree(pid: int) -> Iterator[int]:
    """Yield a process and all its descendants."""
    children, open_pids = _children(), [pid]
    while open_pids:
        yield (current := open_pids.pop())
        open_pids += children.get(current, [])


@dataclass
class Usage:
    """CPU seconds and KiB of memory, by kind: `process` (what is measured), `store`, `upstream`."""

    cpu: dict[str, float] = field(default_factory=dict[str, float])
    pss: dict[str, int] = field(default_factory=dict[str, int])
    rss: dict[str, int] = field(default_factory=dict[str, int])


def usage(*pids: int, memory: bool = False) -> Usage:
    """Return what these processes and their descendants have used so far."""
    found = Usage()
    for pid in {pid for root in pids for pid in tree(root)}:
        try:
            kind = _kind(pid)
            found.cpu[kind] = found.cpu.get(kind, 0.0) + _cpu(pid)
            if memory:
                held = _memory(pid)
                found.pss[kind] = found.pss.get(kind, 0) + held["pss"]
                found.rss[kind] = found.rss.get(kind, 0) + held["rss"]
        except (OSError, KeyError):  # it ended meanwhile
            continue
    return found
