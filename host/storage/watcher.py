"""The process that stops the embedded PostgreSQL when its last user is gone, however it ended.

It is started detached with each server and waits, asleep in the kernel, for the users' lock to be
free. On Linux it is the server's parent, and the kernel tells the server to stop if the watcher
itself is killed: so nothing is left even where everybody is killed at once. It imports only the
standard library, so that it costs a few megabytes.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from host.storage.lock import FileLock, wait_until_free

STOP_LIMIT = 300.0
"""Seconds for an orderly stop, after which the server is ended without a checkpoint."""

ASK_AGAIN = 1.0
"""Seconds after which a server that still runs is asked again to stop."""

USERS_LOCK = "users.lock"
START_LOCK = "start.lock"
WATCHER_LOCK = "watcher.lock"
ALIVE_LOCK = "alive.lock"


PR_SET_PDEATHSIG = 1

CAN_GUARD = sys.platform == "linux"
"""Whether the system tells a server that its watcher was killed."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A server that the watcher is to start.

    Attributes:
        words: The program and its arguments.
        log: Where it writes.
        home: Its working folder.
        alive: Descriptor of the lock that it holds as long as it lives.
    """

    words: list[str]
    log: str
    home: str
    alive: int


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
        launch: The server to start; None where it runs.
    """

    folder: str
    pg_ctl: str
    cluster: str
    socket_folder: str | None
    uid: int | None
    gid: int | None
    linger: float
    held: int | None = None
    launch: Launch | None = None


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
        pass_fds=() if windows else _passed(watch),
    )
    threading.Thread(target=child.wait, daemon=True, name="reap-watcher").start()


def _passed(watch: Watch) -> list[int]:
    """Return the descriptors that a watcher gets."""
    launched = None if watch.launch is None else watch.launch.alive
    return [number for number in (watch.held, launched) if number is not None]


def main(argument: str) -> None:
    """Start the server if asked to, wait for the last user to go, stop the server, end."""
    given = json.loads(argument)
    launch = given.pop("launch")
    watch = Watch(**given)
    folder = Path(watch.folder)
    if launch is not None:
        _start_server(watch, Launch(**launch))
    if sys.platform == "win32" and not FileLock(folder / WATCHER_LOCK).try_acquire("exclusive"):
        return
    try:
        while not _stop_if_unused(watch, folder):
            pass
    except FileNotFoundError:
        # Somebody deleted the folder of the locks; root's cluster is elsewhere and still runs.
        _run_pg_ctl(watch, "immediate")


_ending = threading.Lock()
"""Held while the server is being stopped; its end is then no reason to leave at once."""


def _start_server(watch: Watch, launch: Launch) -> None:
    """Start the server as a child, whose end is this process's end as well."""
    tie = _prepare_tie()
    with Path(launch.log).open("ab") as log:
        try:
            child = subprocess.Popen(  # noqa: S603  a program of the installed wheel
                launch.words,
                env={**os.environ, "PGDATA": watch.cluster},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=launch.home,
                pass_fds=(launch.alive,),
                preexec_fn=tie,  # noqa: PLW1509  there is one thread as yet
                user=watch.uid,
                group=watch.gid,
                extra_groups=None if watch.uid is None else (),
            )
        except OSError as error:
            log.write(f"FATAL:  {launch.words[0]}: {error.strerror}\n".encode())
            sys.exit(1)
    os.close(launch.alive)

    def leave_with_it() -> None:
        child.wait()
        with _ending:
            os._exit(0)

    threading.Thread(target=leave_with_it, daemon=True, name="server").start()


def _prepare_tie() -> Callable[[], None] | None:
    """Return what a child does so that it stops, in good order, when this process is killed."""
    try:
        import ctypes  # noqa: PLC0415  missing in some builds of Python
    except ImportError:
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def tie() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie


def _stop_if_unused(watch: Watch, folder: Path) -> bool:
    """Wait for the last user to go; stop the server and return True if no other has come."""
    wait_until_free(folder / USERS_LOCK)
    time.sleep(watch.linger)
    with FileLock(folder / START_LOCK):
        users = FileLock(folder / USERS_LOCK)
        if not users.try_acquire("exclusive"):
            return False
        _ending.acquire()  # until the end of this process
        stop_server(watch)
        # Given up before the start lock is, so that the next user starts another.
        if watch.held is not None:
            os.close(watch.held)
        return True


def stop_server(watch: Watch) -> None:
    """Stop the server, if there is one; the caller holds the start lock."""
    alive = FileLock(Path(watch.folder) / ALIVE_LOCK)
    if not _has_ended(watch, "fast", alive):
        _has_ended(watch, "immediate", alive)
    alive.release()
    if watch.socket_folder is not None:
        shutil.rmtree(watch.socket_folder, ignore_errors=True)


def _has_ended(watch: Watch, mode: str, alive: FileLock) -> bool:
    """Ask the server to stop until it has, or until too long; one just begun cannot be asked."""
    end = time.monotonic() + STOP_LIMIT
    asked: float | None = None
    while time.monotonic() < end:
        if (asked is not None or sys.platform != "win32") and alive.try_acquire("exclusive"):
            return True
        if asked is None or time.monotonic() > asked + ASK_AGAIN:
            _run_pg_ctl(watch, mode)
            asked = time.monotonic()
        time.sleep(0.02)
    return False


def end_server(watch: Watch) -> None:
    """End a server whose locks are gone, and wait for its end."""
    _run_pg_ctl(watch, "immediate", wait=True)


def _run_pg_ctl(watch: Watch, mode: str, *, wait: bool = False) -> None:
    """Ask the server to stop; otherwise it is waited for by its lock."""
    subprocess.run(  # noqa: S603  a program of the installed wheel
        [watch.pg_ctl, "stop", "--silent", "--mode", mode, "--wait" if wait else "--no-wait"],
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
