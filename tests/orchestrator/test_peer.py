import fcntl
import os
import socket
import subprocess
import sys
import termios
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from host.domain.errors import AccessError
from host.orchestrator.peer import Peer, check_person, peer_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

STRANGER = 2**22 + 1
"""A process id that Linux never gives."""


def take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def child(*, terminal: bool) -> Generator[int]:
    """Start a process in a session of its own, with a terminal or without, and yield its id."""
    master, slave = os.openpty()
    process = subprocess.Popen(
        ["/bin/sh", "-c", "echo ready >&2; read line"],
        stdin=slave if terminal else subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=take_terminal if terminal else None,  # noqa: PLW1509 - its own terminal
    )
    assert process.stderr is not None
    with process:
        try:
            process.stderr.readline()
            yield process.pid
        finally:
            process.kill()
            os.close(master)
            os.close(slave)


def test_the_kernel_says_who_is_at_the_other_end():
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert peer_of(ours) == Peer(os.getpid(), os.geteuid())


def test_a_process_in_a_terminal_that_the_host_did_not_start_may_answer():
    with child(terminal=True) as pid:
        check_person(Peer(pid, 0), "approvals.answer", own=STRANGER)


def test_a_process_without_a_terminal_may_not_answer():
    with child(terminal=False) as pid, pytest.raises(AccessError, match=f"process {pid} has none"):
        check_person(Peer(pid, 0), "approvals.answer", own=STRANGER)


def test_what_the_host_started_may_not_answer_although_it_opens_a_terminal():
    for daemon in (os.getpid(), os.getppid()):  # a child, and a child's child
        with child(terminal=True) as pid, pytest.raises(AccessError, match="by the host itself"):
            check_person(Peer(pid, 0), "approvals.answer", own=daemon)


def test_a_process_that_cannot_be_seen_may_not_answer():
    for pid in (None, STRANGER):
        with pytest.raises(AccessError, match="cannot be seen"):
            check_person(Peer(pid, 0), "approvals.answer")


def test_a_name_with_parentheses_hides_no_missing_terminal(tmp_path: Path):
    program = tmp_path / "x) S 1 1 1 34816 ("
    program.symlink_to("/bin/sleep")
    pid = os.posix_spawn(program, [str(program), "600"], {}, setsid=True)
    try:
        with pytest.raises(AccessError, match="has none"):
            check_person(Peer(pid, 0), "approvals.answer", own=STRANGER)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
