import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import psycopg
import pytest

from host.audit.journal import Journal
from host.audit.loader import JournalLoader
from host.audit.record import Intent, Outcome, new_call_id
from host.audit.segment import list_segments, list_writers
from host.audit.verify import Finding, verify_record
from host.domain.errors import StoreError
from host.domain.principal import Principal
from host.storage.embedded import EmbeddedServer
from host.storage.store import Store, open_store
from tests.storage.fixtures import ADMIN

ROOT = Path(__file__).parents[2]
ANN = Principal("ann", "cursor")


def with_store(folder: Path, body: Callable[[Store, Path], Awaitable[None]]) -> None:
    async def run() -> None:
        store = await open_store(None, folder)
        try:
            await body(store, folder / "journal")
        finally:
            await store.close()

    anyio.run(run)


def call(journal: Journal, name: str = "a__b", *, ended: bool = True) -> str:
    begun = Intent(call_id=new_call_id(), principal=ANN, face="cli", method="tools/call", name=name)
    journal.append(begun)
    if ended:
        journal.append(Outcome(call_id=begun.call_id, principal=ANN, outcome="ok"))
    return begun.call_id


async def outcomes(store: Store) -> dict[str, str]:
    async with store.transaction(ADMIN) as database:
        cursor = await database.execute("select call_id, outcome from host.audit_calls order by at")
        return {str(row["call_id"]): row["outcome"] for row in await cursor.fetchall()}


async def outcomes_after_a_loss(store: Store) -> dict[str, str]:
    """Ask again as long as the server dies under the question itself; the caller has a deadline."""
    while True:
        try:
            return await outcomes(store)
        except StoreError:
            await anyio.sleep(0.05)


def test_lines_are_loaded_once_and_finished_segments_go(empty_store_folder: Path):
    async def body(store: Store, folder: Path) -> None:
        loader = JournalLoader(folder, store)
        with Journal(folder, segment_bytes=1500) as journal:
            made = [call(journal) for _ in range(20)]
            assert await loader.load_once() == journal.sequence
            assert await loader.load_once() == 0
            assert len(list_segments(journal.home)) == 1
            made.append(call(journal))
            assert await loader.load_once() >= 2
        assert list_writers(folder) != []
        await loader.load_once()
        assert list_writers(folder) == []
        assert await outcomes(store) == dict.fromkeys(made, "ok")
        found = await verify_record(folder, store, principal=ADMIN)
        assert found.findings == []

    with_store(empty_store_folder, body)


def test_a_call_without_outcome_runs_while_its_writer_lives_and_is_unknown_afterwards(
    empty_store_folder: Path,
):
    async def body(store: Store, folder: Path) -> None:
        loader = JournalLoader(folder, store)
        with Journal(folder) as journal:
            name = call(journal, ended=False)
            await loader.load_once()
            assert await outcomes(store) == {name: "running"}
        await loader.load_once()
        assert await outcomes(store) == {name: "unknown"}

    with_store(empty_store_folder, body)


def test_what_postgres_text_cannot_hold_does_not_stop_the_loader(empty_store_folder: Path):
    async def body(store: Store, folder: Path) -> None:
        with Journal(folder) as journal:
            odd = call(journal, "a\0b\ud800 'quoted' \\N")
            fine = call(journal)
        await JournalLoader(folder, store).load_once()
        assert await outcomes(store) == {odd: "ok", fine: "ok"}

    with_store(empty_store_folder, body)


def test_a_torn_tail_of_a_killed_writer_is_counted_and_the_rest_is_loaded(empty_store_folder: Path):
    async def body(store: Store, folder: Path) -> None:
        with Journal(folder) as journal:
            name = call(journal)
            segment = list_segments(journal.home)[0]
        segment.write_bytes(segment.read_bytes() + b"0" * 64 + b' {"seq":4,"ki')
        await JournalLoader(folder, store).load_once()
        assert await outcomes(store) == {name: "ok"}
        async with store.transaction() as database:
            cursor = await database.execute("select sequence, torn_bytes from host.audit_ends")
            assert await cursor.fetchall() == [{"sequence": 3, "torn_bytes": 77}]

    with_store(empty_store_folder, body)


LOADER = """
import sys
from pathlib import Path
import anyio
from host.audit import loader
from host.storage.store import open_store
real = loader._write_position
def tell(home, position):
    print("committed", flush=True)
    sys.stdin.readline()
    real(home, position)
loader._write_position = tell
async def run():
    store = await open_store(None, Path(sys.argv[1]))
    await loader.JournalLoader(Path(sys.argv[1]) / "journal", store).load_once()
anyio.run(run)
"""


def test_a_loader_killed_between_commit_and_note_loads_nothing_twice(empty_store_folder: Path):
    folder = empty_store_folder / "journal"
    with Journal(folder) as journal:
        made = [call(journal) for _ in range(50)]
    with subprocess.Popen(
        [sys.executable, "-c", LOADER, str(empty_store_folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == "committed\n"
        killed.send_signal(signal.SIGKILL)

    async def body(store: Store, folder: Path) -> None:
        await JournalLoader(folder, store).load_once()
        assert await outcomes(store) == dict.fromkeys(made, "ok")
        found = await verify_record(folder, store, principal=ADMIN)
        assert (found.lines, found.findings) == (101, [])

    with_store(empty_store_folder, body)


def test_two_loaders_do_not_meet(empty_store_folder: Path):
    async def body(store: Store, folder: Path) -> None:
        with Journal(folder) as journal:
            for _ in range(30):
                call(journal)
        counts: list[int] = []

        async def load() -> None:
            counts.append(await JournalLoader(folder, store).load_once())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(load)
            tasks.start_soon(load)
        assert sorted(counts) == [0, 61]

    with_store(empty_store_folder, body)


def test_the_running_loader_waits_for_a_store_that_was_killed(empty_store_folder: Path):
    async def body(store: Store, folder: Path) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(JournalLoader(folder, store, interval=0.01).run)
            with Journal(folder) as journal:
                first = call(journal)
                while first not in await outcomes(store):  # noqa: ASYNC110  a database changes
                    await anyio.sleep(0.01)
                cluster = EmbeddedServer(empty_store_folder).cluster
                process = int((cluster / "postmaster.pid").read_text().split()[0])
                os.kill(process, signal.SIGKILL)
                second = call(journal)
                with anyio.fail_after(60):
                    while second not in await outcomes_after_a_loss(store):  # noqa: ASYNC110  too
                        await anyio.sleep(0.01)
                assert list(await outcomes_after_a_loss(store)) == [first, second]
            tasks.cancel_scope.cancel()

    with_store(empty_store_folder, body)


TAMPERING = {
    "a column": ("update host.audit_entries set name = 'x' where sequence = 4", [("altered", 4)]),
    "a line": (
        "update host.audit_entries set line = replace(line, 'a__b', 'c__d'), name = 'c__d'"
        " where sequence = 6",
        [("altered", 6)],
    ),
    "a row removed": ("delete from host.audit_entries where sequence = 5", [("removed", 5)]),
    "the last rows": ("delete from host.audit_entries where sequence > 18", [("cut", 19)]),
    "two rows exchanged": (
        "update host.audit_entries set sequence = -sequence where sequence in (8, 9);"
        "update host.audit_entries set sequence = 17 + sequence where sequence in (-8, -9)",
        [("reordered", 8), ("reordered", 9)],
    ),
}


@pytest.mark.parametrize(("change", "expected"), TAMPERING.values(), ids=TAMPERING)
def test_verify_names_what_was_tampered_with(
    empty_store_folder: Path, change: str, expected: list[tuple[str, int]]
):
    async def body(store: Store, folder: Path) -> None:
        with Journal(folder) as journal:
            for _ in range(10):
                call(journal)
            writer = journal.writer
        await JournalLoader(folder, store).load_once()
        assert (await verify_record(folder, store, principal=ADMIN)).findings == []
        server = EmbeddedServer(empty_store_folder)
        server.acquire()
        with psycopg.connect(**server.conninfo("super")) as database:
            for statement in change.split(";"):
                database.execute(statement.encode())
        server.release()
        found: list[Finding] = (await verify_record(folder, store, principal=ADMIN)).findings
        assert [(each.kind, each.sequence) for each in found] == expected
        assert {each.writer for each in found} == {writer}

    with_store(empty_store_folder, body)
