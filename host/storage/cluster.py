"""A PostgreSQL cluster on disk: made once, and what its log says when it will not start."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from host.domain.errors import StoreError
from host.storage.account import Place
from host.storage.binaries import Binaries
from host.storage.credentials import role_name

_CAUSES = (
    ("No space left on device", "Free some space on its disk and try again."),
    ("Disk quota exceeded", "Free some space on its disk and try again."),
    (
        "Permission denied",
        "Give the folder back to the user that made it; a cluster cannot change hands.",
    ),
    (
        "has wrong ownership",
        "Give the folder back to the user that made it; a cluster cannot change hands.",
    ),
    ("invalid permissions", "Set the cluster folder's mode to 0700."),
    (
        "could not locate a valid checkpoint record",
        "The cluster is damaged: move it away and `host restore` a backup.",
    ),
    ("PANIC", "The cluster is damaged: move it away and `host restore` a backup."),
    (
        "database files are incompatible",
        "It was made by another PostgreSQL: move it away and `host restore` a backup.",
    ),
    (
        "could not open file",
        "The cluster is damaged: move it away and `host restore` a backup.",
    ),
    ("shared memory", "Free shared memory, or raise its limit (`--shm-size` in a container)."),
)


OWNER_FILE = "folder"
"""Names the data folder of a cluster that lies elsewhere."""


def read_major(cluster: Path) -> int | None:
    """Return the PostgreSQL major that made a cluster; None if there is no cluster.

    Raises:
        StoreError: There is something, but it is not a cluster.
    """
    try:
        text = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        if cluster.is_dir() and any(cluster.iterdir()):
            raise StoreError(
                f"{cluster} has files but is not a PostgreSQL cluster: PG_VERSION is missing.",
                next_step="Move it away; the next start makes a new one, `host restore` fills it.",
            ) from None
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{cluster / 'PG_VERSION'} cannot be read: {error}.",
            next_step="Give the folder back to the user that made it.",
        ) from error
    if not text.isdecimal():
        raise StoreError(
            f"{cluster / 'PG_VERSION'} says {text[:20]!r}, which is not a PostgreSQL major.",
            next_step="The cluster is damaged: move it away and `host restore` a backup.",
        )
    return int(text)


def create_cluster(place: Place, binaries: Binaries, *, password: str) -> None:
    """Make the cluster, whole or not at all; the caller holds the start lock.

    Args:
        place: Where, and as whom.
        binaries: The programs.
        password: The superuser's.
    """
    _make_home(place)
    partial = place.home / "data.new"
    shutil.rmtree(partial, ignore_errors=True)
    secret = place.home / "superuser"
    secret.unlink(missing_ok=True)
    secret.touch(mode=0o600, exist_ok=False)
    try:
        secret.write_text(password, encoding="ascii")
        place.give(secret)
        _run_initdb(place, binaries, partial=partial, secret=secret)
    except OSError as error:
        raise StoreError(
            f"The database folder {place.home} cannot be written: {error.strerror}.",
            next_step=_next_step(str(error)),
        ) from error
    finally:
        secret.unlink(missing_ok=True)
    data = place.home / "data"
    if data.is_dir():
        data.rmdir()
    partial.rename(data)
    _sync_later(place, binaries, data)


def _sync_later(place: Place, binaries: Binaries, data: Path) -> None:
    """Bring the new cluster's files to disk in a process that nobody waits for."""
    child = subprocess.Popen(  # noqa: S603  a program of the installed wheel
        [binaries.program("initdb"), "--sync-only", f"--pgdata={data}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=place.home,
        start_new_session=True,
        **place.run_as,
    )
    threading.Thread(target=child.wait, daemon=True, name="reap-sync").start()


def _make_home(place: Place) -> None:
    try:
        place.home.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not place.home.exists():
            place.home.mkdir(mode=0o700)
            place.give(place.home)
        if place.home.parent != place.data_folder:
            (place.home / OWNER_FILE).write_bytes(os.fsencode(place.data_folder))
    except OSError as error:
        raise StoreError(
            f"The folder {place.home} for the database cannot be made: {error.strerror}.",
            next_step=_next_step(str(error)),
        ) from error


def _run_initdb(place: Place, binaries: Binaries, *, partial: Path, secret: Path) -> None:
    locale = ["--locale=C"]
    if binaries.major >= 17:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    outcome = subprocess.run(  # noqa: S603  a program of the installed wheel
        [
            binaries.program("initdb"),
            f"--pgdata={partial}",
            f"--username={role_name('super')}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--data-checksums",
            "--no-instructions",
            # A busy disk takes seconds for this; it is done beside the first requests instead.
            "--no-sync",
            *locale,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        cwd=place.home,
        check=False,
        **place.run_as,
    )
    if outcome.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        said = (outcome.stderr.strip().splitlines() or [f"status {outcome.returncode}"])[-1]
        raise StoreError(
            f"The database in {place.home} could not be made: {said}",
            next_step=_next_step(outcome.stderr),
        )


def log_tail(log_file: Path, *, lines: int, most: int = 20_000) -> str:
    """Return the last lines of a log; empty if it has none."""
    try:
        with log_file.open("rb") as file:
            file.seek(max(0, log_file.stat().st_size - most))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])


def explain_log(log_file: Path, *, cluster: Path) -> StoreError:
    """Return the error that the end of the server's log amounts to."""
    said = log_tail(log_file, lines=12)
    telling = [line for line in said.splitlines() if "FATAL" in line or "PANIC" in line]
    last = (telling or said.splitlines() or ["it wrote nothing"])[-1]
    return StoreError(
        f"The embedded PostgreSQL did not start in {cluster}: {last}",
        next_step=f"{_next_step(said)} Its log is {log_file}.",
    )


def _next_step(said: str) -> str:
    for sign, step in _CAUSES:
        if sign in said:
            return step
    limits = "" if sys.platform == "win32" else ", its limits"
    return f"Check the folder's disk{limits} and owner, or set DATABASE_URL."
