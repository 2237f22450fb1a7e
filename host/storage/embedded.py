"""The embedded PostgreSQL: one server per data folder, from its first user to its last.

Who uses the server holds `users.lock`; who starts or stops it holds `start.lock`; the server itself
holds `alive.lock`, which it inherits. So nothing depends on process ids, and kill -9 of anybody
leaves nothing stale.
"""

import json
import logging
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg

from host.domain.errors import StoreError
from host.storage.account import SYSTEM_FOLDER, Place, choose_place
from host.storage.binaries import Binaries, find_binaries, reachable_binaries
from host.storage.cluster import create_cluster, explain_log, log_tail, read_major
from host.storage.credentials import Role, load_passwords, role_name
from host.storage.launch import Address, launch
from host.storage.lock import FileLock
from host.storage.watcher import (
    ALIVE_LOCK,
    CAN_GUARD,
    START_LOCK,
    USERS_LOCK,
    WATCHER_LOCK,
    Watch,
    end_server,
    spawn_watcher,
    stop_server,
)

log = logging.getLogger(__name__)

Progress = Callable[[str], None]
"""Told, in a phrase for people, what is being waited for."""

PATH_LIMIT = 90
"""Longest socket folder: the socket's path must fit in 103 bytes on macOS, 107 on Linux."""

_SAFE = re.compile(r"[A-Za-z0-9/._+-]+")


class EmbeddedServer:
    """A user's hold on the embedded server of one data folder.

    Every method blocks; the store calls them in a thread.

    Args:
        data_folder: The user's data folder.
        linger: Seconds that the server outlives its last user.
        system_folder: Where root's clusters lie when the data folder is closed to other users.
    """

    def __init__(
        self, data_folder: Path, *, linger: float = 3.0, system_folder: Path = SYSTEM_FOLDER
    ) -> None:
        self.data_folder = data_folder.absolute()
        self.folder = self.data_folder / "store"
        self._linger = linger
        self._system_folder = system_folder
        self._users = FileLock(self.folder / USERS_LOCK)
        self._address: Address | None = None

    @property
    def log_file(self) -> Path:
        """Where PostgreSQL writes its own log."""
        return self.folder / "server.log"

    @property
    def place(self) -> Place:
        """Who runs the server, and where its files are."""
        return choose_place(self.data_folder, system_folder=self._system_folder)

    @property
    def cluster(self) -> Path:
        """The server's data."""
        return self.place.home / "data"

    def acquire(
        self, *, progress: Progress | None = None, cancelled: threading.Event | None = None
    ) -> Address:
        """Become a user of the server, starting it if nobody has; returns when it answers.

        There is no time limit: a recovery takes as long as it takes, and is told as progress.
        Calling it again is how a user finds a server that died and was lost.

        Raises:
            StoreError: The server cannot be made or started, or `cancelled` was set.
        """
        tell = progress or _tell_nobody
        self._make_folders()
        start = FileLock(self.folder / START_LOCK)
        if not start.acquire(
            "exclusive",
            cancelled=cancelled,
            waiting=lambda: tell("another process is starting or stopping PostgreSQL"),
        ):
            raise _cancelled()
        try:
            # The watcher may be probing this lock for a moment, so this can wait, but not for long.
            self._users.acquire("shared")
            self._address = self._find_or_start(tell, cancelled)
        except BaseException:
            self.release()
            raise
        finally:
            start.release()
        return self._address

    def release(self) -> None:
        """Stop being a user; the watcher stops the server after the last one."""
        self._users.release()

    @property
    def users_descriptor(self) -> int:
        """The open file that makes this a user, to be handed to a process that stays one."""
        return self._users.descriptor

    def alive(self) -> bool:
        """Return whether a server, or what is left of a dying one, runs on the cluster."""
        lock = FileLock(self.folder / ALIVE_LOCK)
        if sys.platform == "win32":
            return self._known_address() is not None and self._accepts(self._known_address())
        free = lock.try_acquire("exclusive")
        lock.release()
        return not free

    def passwords(self) -> dict[Role, str]:
        """Return the password of each role."""
        exists = (self.cluster / "PG_VERSION").exists()
        return load_passwords(self.folder / "passwords.json", create=not exists)

    def conninfo(self, role: Role, *, database: str = "host") -> dict[str, Any]:
        """Return how to connect as one role; `acquire` goes first."""
        if self._address is None:
            raise StoreError("The embedded PostgreSQL was not started.")
        return self._conninfo(self._address, role, database)

    def _conninfo(self, address: Address, role: Role, database: str) -> dict[str, Any]:
        return {
            "host": address.host,
            "port": address.port,
            "user": role_name(role),
            "password": self.passwords()[role],
            "dbname": database,
        }

    def _make_folders(self) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in (USERS_LOCK, START_LOCK, WATCHER_LOCK, ALIVE_LOCK):
                (self.folder / name).touch(mode=0o600)
        except OSError as error:
            raise StoreError(
                f"The data folder {self.data_folder} cannot be used: {error.strerror}.",
                next_step="Make it a folder that this user can write, or choose another one.",
            ) from error

    def _binaries(self) -> Binaries:
        """Return the programs of the cluster's own major, or the newest for a new cluster."""
        found = find_binaries(read_major(self.cluster))
        place = self.place
        if place.account is not None:
            place.programs.mkdir(mode=0o755, parents=True, exist_ok=True)
        return reachable_binaries(found, uid=place.uid, copies=place.programs)

    def _find_or_start(self, tell: Progress, cancelled: threading.Event | None) -> Address:
        """Return where the server answers; one that was dying when it was found is started anew."""
        address = self._running(tell)
        if address is not None and self._answers(address, tell, cancelled):
            return address
        address = self._start(tell)
        if not self._answers(address, tell, cancelled):
            raise explain_log(self.log_file, cluster=self.cluster)
        return address

    def _running(self, tell: Progress) -> Address | None:
        """Return where a server runs that somebody else started, or None if there is none."""
        if not self.alive():
            return None
        address = self._known_address()
        if address is not None and Path(address.host).exists() and self._guarded():
            return address
        tell("restarting PostgreSQL, whose watcher or socket folder is gone")
        stop_server(self._watch_of(address))
        return None

    def _guarded(self) -> bool:
        """Return whether a watcher lives, where a server without one is about to end."""
        lock = FileLock(self.folder / WATCHER_LOCK)
        free = CAN_GUARD and lock.try_acquire("exclusive")
        lock.release()
        return not free

    def _start(self, tell: Progress) -> Address:
        self._put_aside(tell)
        binaries = self._binaries()
        if not (self.cluster / "PG_VERSION").exists():
            tell("making the database, once")
            create_cluster(self.place, binaries, password=self.passwords()["super"])
        self._forget_old_start()
        address = self._new_address(binaries.major)
        tell("starting PostgreSQL")
        launch(self._watch_of(address), binaries, address, place=self.place, log_file=self.log_file)
        return address

    def _put_aside(self, tell: Progress) -> None:
        """Make room where root's cluster, elsewhere, outlived the data folder with its passwords.

        Nobody can open it any more. It is moved and not removed: the folder may come back.
        """
        kept = [self.folder / name for name in ("passwords.json", "address.json")]
        if self.cluster.is_relative_to(self.data_folder) or any(file.exists() for file in kept):
            return
        if not (self.cluster / "PG_VERSION").exists():
            return
        aside = self.cluster.with_name("data.lost")
        tell("putting the database of a deleted data folder aside")
        end_server(self._watch_of(None))
        shutil.rmtree(aside, ignore_errors=True)
        self.cluster.rename(aside)
        log.warning(
            "%s was deleted, and the passwords of its database with it: that is in %s now, and a "
            "new one is made. `host restore` fills it from a backup.",
            self.data_folder,
            aside,
        )

    def _forget_old_start(self) -> None:
        """Remove what a killed server left; `alive.lock` is free, so no process uses it."""
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        old = self._known_address()
        if old is not None and old.temporary:
            shutil.rmtree(old.host, ignore_errors=True)

    def _new_address(self, major: int) -> Address:
        """Choose where the server will listen, and note it for the other users."""
        if sys.platform == "win32":
            address = Address(host="127.0.0.1", port=_free_port(), temporary=False, major=major)
        else:
            folder, temporary = self._socket_folder()
            address = Address(host=str(folder), port=5432, temporary=temporary, major=major)
        partial = self.folder / "address.new"
        partial.write_text(json.dumps(asdict(address)), encoding="utf-8")
        partial.replace(self.folder / "address.json")
        return address

    def _socket_folder(self) -> tuple[Path, bool]:
        """Return a short private folder, beside the cluster if its path allows, else elsewhere."""
        place = self.place
        beside = place.home / "socket"
        if len(os.fsencode(beside)) <= PATH_LIMIT and _SAFE.fullmatch(str(beside)):
            beside.mkdir(mode=0o700, exist_ok=True)
            place.give(beside)
            return beside, False
        for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  a 0700 folder with a random name
            if len(os.fsencode(parent)) <= PATH_LIMIT - 20 and _SAFE.fullmatch(parent):
                folder = Path(tempfile.mkdtemp(prefix="mah-", dir=parent))
                place.give(folder)
                return folder, True
        raise StoreError(
            "There is no folder with a path short enough for PostgreSQL's socket.",
            next_step=f"Set TMPDIR to a folder of at most {PATH_LIMIT - 20} bytes.",
        )

    def _known_address(self) -> Address | None:
        try:
            return Address(**json.loads((self.folder / "address.json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _answers(self, address: Address, tell: Progress, cancelled: threading.Event | None) -> bool:
        """Wait until the server answers; return whether it does, and not that it has ended."""
        # Before it is waited for, so that a server whose start is given up ends as well.
        self._watch(address)
        conninfo = self._conninfo(address, "super", "postgres")
        told = time.monotonic()
        while True:
            try:
                psycopg.connect(**conninfo, connect_timeout=10).close()
            except psycopg.OperationalError as error:
                if "password authentication failed" in str(error):
                    raise StoreError(
                        f"The embedded PostgreSQL refuses the password in {self.folder}.",
                        next_step="Restore passwords.json from the copy that belongs to this"
                        " data folder.",
                    ) from error
            else:
                return True
            if not self.alive():
                return False
            if cancelled is not None and cancelled.is_set():
                raise _cancelled()
            if time.monotonic() - told >= 1:
                told = time.monotonic()
                tell(f"PostgreSQL is not ready yet: {log_tail(self.log_file, lines=1)}")
            time.sleep(0.02)

    def _accepts(self, address: Address | None) -> bool:
        """Return whether something listens at a loopback address (Windows only)."""
        import socket  # noqa: PLC0415  only where there is no lock to go by

        try:
            socket.create_connection((address.host, address.port), 1).close()  # pyright: ignore[reportOptionalMemberAccess]
        except OSError:
            return False
        return True

    def _watch(self, address: Address) -> None:
        """See to it that a watcher waits for the last user to go."""
        lock = FileLock(self.folder / WATCHER_LOCK)
        if lock.try_acquire("exclusive"):
            try:
                spawn_watcher(self._watch_of(address), lock)
            finally:
                lock.release()

    def _watch_of(self, address: Address | None) -> Watch:
        place = self.place
        return Watch(
            folder=str(self.folder),
            pg_ctl=self._binaries().program("pg_ctl"),
            cluster=str(self.cluster),
            socket_folder=address.host if address is not None and address.temporary else None,
            uid=place.uid,
            gid=None if place.account is None else place.account.gid,
            linger=self._linger,
        )


def _free_port() -> int:
    """Return a loopback port that is free now."""
    import socket  # noqa: PLC0415  Windows only

    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _tell_nobody(_text: str) -> None:
    return None


def _cancelled() -> StoreError:
    return StoreError("Starting the embedded PostgreSQL was given up.", next_step="Try again.")
