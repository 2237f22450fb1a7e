"""Fixtures with a real embedded PostgreSQL, for every test that needs a store.

A root conftest imports them; `store_folder` starts one server for the whole session.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from host.domain.principal import Principal
from host.storage.connector import EmbeddedConnector
from host.storage.embedded import EmbeddedServer

ADMIN = Principal("local", "test", role="admin")
DEADLINE = 60.0
"""Seconds after which a test's wait has failed; nothing is asserted to be faster."""


def make_folder(name: str = "mah test '") -> Path:
    """Make a data folder, with a space and a quote, that the user root drops to can enter."""
    parent = "/tmp" if os.name == "posix" else None  # noqa: S108  short, and open to all users
    folder = Path(tempfile.mkdtemp(prefix=name, dir=parent))
    folder.chmod(0o711)
    return folder


def wait_for_end(server: EmbeddedServer) -> None:
    """Wait until the server of a folder has ended."""
    end = time.monotonic() + DEADLINE
    while server.alive():
        assert time.monotonic() < end, f"PostgreSQL in {server.data_folder} did not end"
        time.sleep(0.01)


def remove_folder(folder: Path) -> None:
    """Remove a data folder; its server ends without the flush to a busy disk that takes seconds."""
    server = EmbeddedServer(folder)
    if server.folder.is_dir() and server.alive():
        with contextlib.suppress(OSError, ValueError):
            process = int((server.cluster / "postmaster.pid").read_text().split()[0])
            os.kill(process, getattr(signal, "SIGQUIT", signal.SIGTERM))
        wait_for_end(server)
    end = time.monotonic() + DEADLINE
    while folder.exists():  # its watcher may be about to end, and put something there meanwhile
        assert time.monotonic() < end, f"{folder} cannot be removed"
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def data_folder() -> Iterator[Path]:
    """A new data folder; whatever server a test starts in it must end with the test."""
    folder = make_folder()
    yield folder
    remove_folder(folder)


@pytest.fixture(scope="session")
def store_folder() -> Iterator[Path]:
    """A data folder whose embedded server runs for the whole session, with all tables."""
    folder = make_folder()
    connector = EmbeddedConnector(folder, linger=0.0)
    connector.prepare(lambda _text: None, threading.Event())
    yield folder
    connector.release()
    remove_folder(folder)


@pytest.fixture
def empty_store_folder(store_folder: Path) -> Path:
    """The session's data folder with every table emptied."""
    server = EmbeddedServer(store_folder, linger=0.0)
    server.acquire()
    try:
        with psycopg.connect(**server.conninfo("super")) as database:
            names = database.execute(
                "select format('host.%I', relname) from pg_class where relkind = 'r'"
                " and relnamespace = 'host'::regnamespace"
                " and relname not in ('alembic_version', 'store_state')"
            ).fetchall()
            tables = ", ".join(str(row[0]) for row in names)
            database.execute(f"truncate {tables} cascade".encode())
    finally:
        server.release()
    for name in ("journal", "checkpoints"):  # the signed heads are of rows that are gone
        shutil.rmtree(store_folder / name, ignore_errors=True)
    return store_folder
