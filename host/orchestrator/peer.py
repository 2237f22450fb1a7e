"""The process at the other end of the private socket, and whether a person can sit at it."""

import os
import socket as sockets
import struct
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host.domain.errors import AccessError

_LOCAL_PEERPID = 2
"""macOS: the option of a Unix socket that holds the other end's process id, at level 0."""
_DEEPEST = 1000
"""Most ancestors that are looked at."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A process that connected.

    Attributes:
        pid: Its id when it connected; None where the system does not tell.
        uid: Its user; None where the system does not tell.
    """

    pid: int | None = None
    uid: int | None = None


@dataclass(frozen=True, slots=True)
class _Standing:
    """Attributes: parent: the parent's id. terminal: whether it has a controlling terminal."""

    parent: int
    terminal: bool


def peer_of(connection: Any) -> Peer:  # noqa: ANN401 - asyncio gives no type
    """Return who is at the other end of a Unix socket, as the kernel says."""
    if sys.platform == "linux":
        size = struct.calcsize("3i")
        raw = connection.getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, size)
        pid, uid, _ = struct.unpack("3i", raw)
        return Peer(pid or None, uid)
    if sys.platform == "darwin":
        raw = connection.getsockopt(0, _LOCAL_PEERPID, struct.calcsize("i"))
        return Peer(struct.unpack("i", raw)[0])
    return Peer()


def check_person(peer: Peer, method: str, *, own: int | None = None) -> None:
    """Check that a person can be behind a command that only a person may give.

    A model's shell tool, a job, or a server that the daemon runs has no terminal, or is the
    daemon's own child. A program that opens a pseudo-terminal for itself passes: the passphrase is
    for that.

    Args:
        peer: Who gives it.
        method: The command.
        own: The daemon's process id; by default this process's.

    Raises:
        AccessError: Nobody can be behind it.
    """
    if sys.platform not in ("linux", "darwin"):
        return  # the system does not say who connects; the passphrase alone is asked for
    daemon = os.getpid() if own is None else own
    standing = None if peer.pid is None else _look(peer.pid)
    if peer.pid is None or standing is None:
        raise _refusal(method, "the process that asks cannot be seen from here")
    if not standing.terminal:
        raise _refusal(method, f"process {peer.pid} has none")
    if peer.pid == daemon or daemon in _ancestors(standing.parent):
        raise _refusal(method, f"process {peer.pid} was started by the host itself")


def _refusal(method: str, why: str) -> AccessError:
    return AccessError(
        f"{method} needs a person at a terminal, and {why}.",
        next_step="Run the command in a terminal of your own.",
    )


def _ancestors(pid: int) -> Generator[int]:
    """Yield a process and those that it descends from; servers cannot leave: see the keeper."""
    for _ in range(_DEEPEST):
        if pid <= 1:
            return
        yield pid
        standing = _look(pid)
        if standing is None:
            return
        pid = standing.parent


def _look(pid: int) -> _Standing | None:
    return _look_in_proc(pid) if sys.platform == "linux" else _look_by_ps(pid)


def _look_in_proc(pid: int) -> _Standing | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        # The name stands in parentheses and may hold any character, parentheses too.
        fields = text[text.rindex(")") + 1 :].split()
        return _Standing(parent=int(fields[1]), terminal=int(fields[4]) != 0)
    except (OSError, ValueError, IndexError):
        return None


def _look_by_ps(pid: int) -> _Standing | None:
    try:
        done = subprocess.run(  # noqa: S603 - the system's own program
            ["/bin/ps", "-o", "ppid=,tty=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
        parent, terminal = done.stdout.split()
        return _Standing(parent=int(parent), terminal=not terminal.startswith("?"))
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
