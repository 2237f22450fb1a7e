"""Starts the embedded PostgreSQL: as a child of its watcher on Linux, by `pg_ctl` elsewhere."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from host.storage.account import Place
from host.storage.binaries import Binaries
from host.storage.cluster import explain_log
from host.storage.lock import FileLock
from host.storage.watcher import (
    ALIVE_LOCK,
    CAN_GUARD,
    WATCHER_LOCK,
    Launch,
    Watch,
    spawn_watcher,
)

SETTINGS = {
    "max_wal_size": "256MB",
    "min_wal_size": "32MB",
    "shared_buffers": "32MB",
    "max_connections": "200",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "password_encryption": "scram-sha-256",
    "jit": "off",
    "logging_collector": "off",
    "cluster_name": "mcp-agent-host",
}
"""What the server is told at every start; a laptop's memory matters more than its throughput."""

_LOG_LIMIT = 4_000_000
_LEAVING = 10.0
"""Seconds that the watcher of a server that died has to leave."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a running embedded server listens.

    Attributes:
        host: Its socket folder, or a loopback address on Windows.
        port: Its port; with a socket folder, part of the socket's name.
        temporary: Whether the socket folder was made for this start.
        major: Which PostgreSQL it is.
    """

    host: str
    port: int
    temporary: bool
    major: int


def launch(
    watch: Watch, binaries: Binaries, address: Address, *, place: Place, log_file: Path
) -> None:
    """Start the server; the caller holds the start lock.

    Args:
        watch: What its watcher has to know.
        binaries: The programs.
        address: Where it is to listen.
        place: As whom, and where.
        log_file: Where it writes.

    Raises:
        StoreError: It did not start.
    """
    alive = FileLock(Path(watch.folder) / ALIVE_LOCK)
    alive.acquire("shared")
    if log_file.exists() and log_file.stat().st_size > _LOG_LIMIT:
        log_file.replace(log_file.with_suffix(".old.log"))
    settings = [f"{name}={value}" for name, value in _settings(binaries, address).items()]
    try:
        if CAN_GUARD and (lock := _watchers_place(Path(watch.folder))) is not None:
            words = [binaries.program("postgres"), *(w for s in settings for w in ("-c", s))]
            order = Launch(words, str(log_file), str(place.home), alive.descriptor)
            try:
                spawn_watcher(replace(watch, launch=order), lock)
            finally:
                lock.release()
        else:
            _run_pg_ctl(watch, binaries, settings, place=place, log_file=log_file, alive=alive)
    except (OSError, subprocess.CalledProcessError) as error:
        raise explain_log(log_file, cluster=Path(watch.cluster)) from error
    finally:
        alive.release()


def _watchers_place(folder: Path) -> FileLock | None:
    """Return the watcher's lock, held; None where a watcher of an older version keeps it.

    The watcher of a server that died leaves at once.
    """
    lock = FileLock(folder / WATCHER_LOCK)
    end = time.monotonic() + _LEAVING
    while not lock.try_acquire("exclusive"):
        if time.monotonic() > end:
            return None
        time.sleep(0.02)
    return lock


def _run_pg_ctl(
    watch: Watch,
    binaries: Binaries,
    settings: list[str],
    *,
    place: Place,
    log_file: Path,
    alive: FileLock,
) -> None:
    """Run `pg_ctl start`; the data path goes by environment, since pg_ctl quotes badly."""
    options = " ".join(f"-c {setting}" for setting in settings)
    with log_file.open("ab") as log:
        subprocess.run(  # noqa: S603  a program of the installed wheel
            [binaries.program("pg_ctl"), "start", "--no-wait", "--silent", "-o", options],
            env={**os.environ, "PGDATA": watch.cluster},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=place.home,
            pass_fds=() if sys.platform == "win32" else (alive.descriptor,),
            check=True,
            **place.run_as,
        )


def _settings(binaries: Binaries, address: Address) -> dict[str, str]:
    """Return what the server is told at its start."""
    settings = dict(SETTINGS)
    if binaries.major >= 18:
        settings["io_method"] = "sync"
    if sys.platform == "win32":
        return settings | {"listen_addresses": "127.0.0.1", "port": str(address.port)}
    settings |= {"listen_addresses": "", "unix_socket_directories": address.host}
    return settings | {"unix_socket_permissions": "0700"}
