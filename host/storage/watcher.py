"""The process that stops the embedded PostgreSQL when its last user is gone, however it ended.

It is started detached with each server and waits, asleep in the kernel, for the users' lock to be
free. It imports only the standard library, so that it costs a few megabytes.
"""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from host.storage.lock import FileLock, wait_until_free

STOP_LIMIT = 300.0
"""Seconds for an orderly stop, after which the server is ended without a checkpoint."""

USERS_LOCK = "users.lock"
START_LOCK = "start.lock"
WATCHER_LOCK = "watcher.lock"
ALIVE_LOCK = "alive.lock"


@dataclass(frozen=True, slots=True)
class Watch:
    """What a watcher has to know.

    Attributes:
        folder: The folder of the locks.
        pg_ctl: The program that stops the server.
        cluster: The server's data.
        socket_folder: Removed after the stop, when it is a temporary one.
        uid: User of the server, when root dropped to another.
        gid: Its group.
        linger: Seconds the server outlives its last user, since commands follow one another.
        held: Descriptor of the watcher's lock, which it got from who started it.
    """

    folder: str
    pg_ctl: str
    cluster: str
    socket_folder: str | None
    uid: int | None
    gid: int | None
    linger: float
    held: int | None = None


def spawn_watcher(watch: Watch, lock: FileLock) -> None:
    """Start a watcher that outlives this process and holds `lock` from its first moment.

    Args:
        watch: What it has to know.
        lock: The watcher's lock, held by the caller, who gives it up afterwards.
    """
    root = str(Path(__file__).parents[2])
    code = (
        f"import sys; sys.path.insert(0, {root!r});"
        "from host.storage.watcher import main; main(sys.argv[1])"
    )
    windows = sys.platform == "win32"
    if windows:
        lock.release()
    watch = replace(watch, held=None if windows else lock.descriptor)
    child = subprocess.Popen(  # noqa: S603  this Python
        [sys.executable, "-I", "-S", "-c", code, json.dumps(asdict(watch))],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/" if not windows else None,
        start_new_session=True,
        pass_fds=() if windows else (lock.descriptor,),
    )
    threading.Thread(target=child.wait, daemon=True, name="reap-watcher").start()


def main(argument: str) -> None:
    """Wait for the last user to go, stop the server, end."""
    watch = Watch(**json.loads(argument))
    folder = Path(watch.folder)
    if sys.platform == "win32" and not FileLock(folder / WATCHER_LOCK).try_acquire("exclusive"):
        return
    try:
        while not _stop_if_unused(watch, folder):
            pass
    except FileNotFoundError:
        # Somebody deleted the folder of the locks; root's cluster is elsewhere and still runs.
        _run_pg_ctl(watch, "immediate")


def _stop_if_unused(watch: Watch, folder: Path) -> bool:
    """Wait for the last user to go; stop the server and return True if no other has come."""
    wait_until_free(folder / USERS_LOCK)
    time.sleep(watch.linger)
    with FileLock(folder / START_LOCK):
        users = FileLock(folder / USERS_LOCK)
        if not users.try_acquire("exclusive"):
            return False
        stop_server(watch)
        # Given up before the start lock is, so that the next user starts another.
        if watch.held is not None:
            os.close(watch.held)
        return True


def stop_server(watch: Watch) -> None:
    """Stop the server, if there is one; the caller holds the start lock."""
    alive = FileLock(Path(watch.folder) / ALIVE_LOCK)
    for mode in ("fast", "immediate"):
        if sys.platform != "win32" and alive.try_acquire("exclusive"):
            break
        _run_pg_ctl(watch, mode)
        deadline = time.monotonic() + STOP_LIMIT
        while time.monotonic() < deadline and not alive.try_acquire("exclusive"):
            time.sleep(0.02)
    alive.release()
    if watch.socket_folder is not None:
        shutil.rmtree(watch.socket_folder, ignore_errors=True)


def _run_pg_ctl(watch: Watch, mode: str) -> None:
    """Ask the server to stop; it is waited for by its lock."""
    subprocess.run(  # noqa: S603  a program of the installed wheel
        [watch.pg_ctl, "stop", "--silent", "--mode", mode, "--no-wait"],
        env={**os.environ, "PGDATA": watch.cluster},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/" if sys.platform != "win32" else None,
        check=False,
        user=watch.uid,
        group=watch.gid,
        extra_groups=None if watch.uid is None else (),
    )
