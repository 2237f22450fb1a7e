"""Commands to the running daemon, over its private socket."""

import json
import socket
import time
from typing import Any

from host.config.runtime import data_folder, socket_path
from host.domain.errors import DaemonError

STOP_LIMIT = 30.0
"""Seconds that a daemon may take to stop."""
END_LIMIT = 5.0
"""Seconds that a killed daemon may take until its lock is free."""


def ask_daemon(method: str, params: dict[str, Any] | None = None) -> Any:  # noqa: ANN401 - any JSON
    """Return a command's result; None where no daemon runs, or it was killed before it answered.

    Commands may be given twice: an answer to an approval that was taken already is refused.

    Raises:
        DaemonError: The daemon refused, or does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(STOP_LIMIT)
        try:
            client.connect(str(socket_path()))
        except OSError:
            return None
        hello = {"hello": "control", "method": method, "params": params or {}}
        try:
            client.sendall(json.dumps(hello).encode() + b"\n")
            with client.makefile("rb") as reader:
                line = reader.readline()
        except OSError as error:
            if isinstance(error, ConnectionError) and _has_ended():
                return None
            raise DaemonError(f"The daemon does not answer: {error}.") from error
    if not line:
        raise DaemonError("The daemon closed the connection.", next_step="See `host logs`.")
    answer = json.loads(line)
    if "error" in answer:
        raise DaemonError(answer["error"])
    return answer["result"]


def stop_daemon() -> int | None:
    """Stop the daemon and wait until it is gone; return its process id, None if none ran.

    Raises:
        DaemonError: It is still there after `STOP_LIMIT` seconds.
    """
    answer = ask_daemon("stop")
    if answer is None:
        return None
    deadline = time.monotonic() + STOP_LIMIT
    while is_locked():
        if time.monotonic() > deadline:
            raise DaemonError(
                f"The daemon (pid {answer['pid']}) has not ended after {STOP_LIMIT:g} s.",
                next_step=f"End it with `kill -9 {answer['pid']}`; no record is lost by that.",
            )
        time.sleep(0.02)
    return answer["pid"]


def _has_ended() -> bool:
    """Whether the daemon that a connection broke off from is gone; a killed one takes a moment."""
    deadline = time.monotonic() + END_LIMIT
    while is_locked():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_locked() -> bool:
    """Whether a daemon holds the lock of the data folder."""
    import fcntl

    try:
        with (data_folder() / "daemon.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
