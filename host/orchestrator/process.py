"""What the daemon sees to for its process: its lock, port and descriptors, and a calm collector."""

import contextlib
import gc
import socket
import sys
from collections.abc import Generator

from host.config.paths import Paths
from host.config.settings import HttpConfig
from host.domain.errors import DaemonError, DaemonRunningError

MOST_FILES = 65_536
"""File descriptors that the daemon asks for, at most."""


def allow_many_files() -> None:
    """Use more file descriptors than the usual soft limit of 1,024, where the system allows it.

    Each client, server and call over HTTP holds some. Not without end: some children walk through
    all that they might have.
    """
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - Windows has none

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def calm_collector() -> None:
    """Let garbage be looked for less often, and not among what was made at the start.

    A call makes some hundred objects; the default, a look at every 700th, costs 5 to 8 % of it, and
    a full look at everything that was imported stops all calls for tens of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def bind(config: HttpConfig) -> socket.socket:
    """Return a socket that listens where the configuration says.

    Raises:
        DaemonError: The address cannot be used.
    """
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((config.host, config.port))
    except OSError as error:
        listener.close()
        raise DaemonError(
            f"Port {config.port} on {config.host} cannot be used: {error.strerror}.",
            next_step="Choose another with --port, or stop what uses it.",
        ) from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener


@contextlib.contextmanager
def only_daemon(paths: Paths) -> Generator[None]:
    """Hold the daemon's lock.

    Raises:
        DaemonRunningError: Another daemon of the same data folder runs.
    """
    import fcntl  # noqa: PLC0415 - not on Windows

    paths.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (paths.data / "daemon.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DaemonRunningError(
                "A daemon is running already.", next_step="`host status` shows it."
            ) from error
        yield
