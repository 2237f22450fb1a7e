"""Commands to a daemon that ends while it is asked."""

import fcntl
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.cli import control
from host.cli.control import ask_daemon
from host.domain.errors import DaemonError


@pytest.fixture
def broken_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A socket whose connections end before what was sent is read; yields the data folder."""
    monkeypatch.setattr(control, "socket_path", lambda: tmp_path / "s")
    monkeypatch.setattr(control, "data_folder", lambda: tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()

        def serve() -> None:
            with listener.accept()[0] as peer:
                select.select([peer], [], [])

        thread = threading.Thread(target=serve)
        thread.start()
        yield tmp_path
        thread.join()


def test_a_daemon_that_was_killed_while_it_was_asked_runs_no_longer(broken_off: Path):
    assert (broken_off / "s").exists()
    assert ask_daemon("status") is None


def test_a_daemon_that_breaks_off_and_goes_on_is_said_not_to_answer(
    broken_off: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(control, "END_LIMIT", 0.0)
    with (broken_off / "daemon.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DaemonError, match="does not answer"):
            ask_daemon("status")
