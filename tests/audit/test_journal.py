import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest

from host.audit import journal as module
from host.audit.journal import Journal
from host.audit.record import Intent, Note, Outcome, new_call_id
from host.audit.segment import (
    list_segments,
    list_writers,
    read_chunk,
    read_lines,
    writer_lives,
)
from host.audit.verify import ChainCheck, check_lines
from host.domain.errors import JournalError
from host.domain.principal import Principal
from host.secrets.redaction import Redactor

ROOT = Path(__file__).parents[2]
ANN = Principal("ann", "cursor")


def intent(**more: Any) -> Intent:
    return Intent(
        call_id=new_call_id(), principal=ANN, face="stdio", method="tools/call", name="a__b", **more
    )


def call(journal: Journal, **more: Any) -> str:
    begun = intent(**more)
    journal.append(begun)
    journal.append(Outcome(call_id=begun.call_id, principal=ANN, outcome="ok", result={"n": 1}))
    return begun.call_id


def call_many(journal: Journal) -> None:
    for _ in range(100):
        call(journal)


def findings(folder: Path):
    checks: dict[str, ChainCheck] = {}
    check_lines(read_lines(folder), checks)
    return [(each.kind, each.sequence) for check in checks.values() for each in check.findings]


def test_a_record_says_who_called_what_with_what_and_how_it_ended(tmp_path: Path):
    with Journal(tmp_path, Redactor(secrets=["hush-hush"])) as journal:
        name = call(
            journal,
            arguments={"path": "/x", "password": "p", "note": "say hush-hush"},
            upstream="a",
            decision="allow",
            rule="reads",
            labels=("private",),
            trace_id="1" * 32,
        )
        journal.append(Note(principal=ANN, name="policy.changed", detail={"file": "x"}))
    begun, ended, note = [line.fields for line in read_lines(tmp_path)][1:]
    assert begun | {"at": 0} == {
        "seq": 2,
        "kind": "intent",
        "call_id": name,
        "at": 0,
        "user": "ann",
        "client": "cursor",
        "face": "stdio",
        "method": "tools/call",
        "upstream": "a",
        "decision": "allow",
        "rule": "reads",
        "labels": ["private"],
        "trace_id": "1" * 32,
        "name": "a__b",
        "arguments": {"path": "/x", "password": "[redacted]", "note": "say [redacted]"},
    }
    assert (ended["call_id"], ended["outcome"], ended["result"]) == (name, "ok", {"n": 1})
    assert (note["kind"], note["name"]) == ("note", "policy.changed")


def test_the_chain_goes_on_over_segments_and_shows_what_was_done_to_it(tmp_path: Path):
    with Journal(tmp_path, segment_bytes=2000) as journal:
        for _ in range(20):
            call(journal)
        segments = list_segments(journal.home)
    assert len(segments) > 3
    assert findings(tmp_path) == []
    lines = segments[1].read_bytes().splitlines(keepends=True)
    first = int(segments[1].stem)
    segments[1].write_bytes(b"".join(lines[:2] + lines[3:]))
    assert findings(tmp_path) == [("removed", first + 2)]
    segments[1].write_bytes(b"".join([*lines[:2], lines[2].replace(b"ann", b"bob"), *lines[3:]]))
    assert findings(tmp_path) == [("altered", first + 2)]
    segments[1].unlink()
    assert findings(tmp_path) == [("removed", first)]


def test_a_torn_tail_is_left_out_and_what_is_before_it_stays(tmp_path: Path):
    with Journal(tmp_path) as journal:
        call(journal)
        segment = list_segments(journal.home)[0]
    whole = segment.read_bytes()
    for torn in (whole[:-1], whole[:-40], whole + b"\0" * 100, whole + whole[:30]):
        segment.write_bytes(torn)
        chunk = read_chunk(segment)
        assert [line.fields["seq"] for line in chunk.lines] in ([1, 2], [1, 2, 3])
        assert chunk.end + chunk.rest == len(torn)
    assert findings(tmp_path) == []


WRITER = """
import sys
from pathlib import Path
from typing import Any
from host.audit.journal import Journal
from host.audit.record import Intent, Outcome, new_call_id
from host.domain.principal import Principal
ann = Principal("ann", "cursor")
journal = Journal(Path(sys.argv[1]), segment_bytes=20_000)
while True:
    name = new_call_id()
    journal.append(Intent(call_id=name, principal=ann, face="http", method="tools/call", name="t"))
    journal.append(Outcome(call_id=name, principal=ann, outcome="ok", result={"text": "x" * 300}))
    sys.stdout.write(name + chr(10))
    sys.stdout.flush()
"""


def test_kill_9_under_load_loses_no_finished_call(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        finished = [writer.stdout.readline().strip() for _ in range(500)]
        writer.send_signal(signal.SIGKILL)
        finished += [line.strip() for line in writer.stdout if line.endswith("\n")]
    recorded = {
        line.fields["call_id"] for line in read_lines(tmp_path) if line.fields["kind"] == "outcome"
    }
    assert len(finished) >= 500
    assert set(finished) <= recorded
    assert findings(tmp_path) == []
    assert not writer_lives(next(home for home in tmp_path.iterdir()))


def test_durable_records_of_many_tasks_share_flushes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    flushed: list[int] = []
    real = module.flush_file

    def count(descriptor: int) -> None:
        flushed.append(descriptor)
        real(descriptor)

    monkeypatch.setattr(module, "flush_file", count)

    async def run() -> None:
        with Journal(tmp_path) as journal:
            async with anyio.create_task_group() as tasks:
                for _ in range(50):
                    tasks.start_soon(journal.append_durable, intent(changes=True))

    anyio.run(run)
    assert 1 <= len(flushed) <= 5
    assert sum(line.fields["kind"] == "intent" for line in read_lines(tmp_path)) == 50


def test_a_flush_that_fails_fails_every_call_that_waited_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real = module.flush_file

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    failed: list[JournalError] = []

    async def one(journal: Journal) -> None:
        try:
            await journal.append_durable(intent())
        except JournalError as error:
            failed.append(error)

    async def run() -> None:
        with Journal(tmp_path) as journal:
            monkeypatch.setattr(module, "flush_file", fail)
            async with anyio.create_task_group() as tasks:
                for _ in range(8):
                    tasks.start_soon(one, journal)
            monkeypatch.setattr(module, "flush_file", real)
            await journal.append_durable(intent())

    anyio.run(run)
    assert len(failed) == 8
    assert findings(tmp_path) == []


def test_a_full_disk_refuses_the_call_and_the_journal_goes_on_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with Journal(tmp_path) as journal:
        call(journal)
        real = os.write

        def write_some(descriptor: int, data: bytes) -> int:
            return real(descriptor, data[:30])

        monkeypatch.setattr(module.os, "write", write_some)
        with pytest.raises(JournalError, match=r"could not be written.*Free some space"):
            journal.append(intent())
        monkeypatch.setattr(module.os, "write", real)
        call(journal)
    assert findings(tmp_path) == []
    assert sum(line.fields["kind"] == "outcome" for line in read_lines(tmp_path)) == 2


def test_a_journal_that_nobody_loads_is_bounded(tmp_path: Path):
    with (
        Journal(tmp_path, segment_bytes=1000, total_bytes=5000) as journal,
        pytest.raises(JournalError, match="wait for the store"),
    ):
        call_many(journal)
    assert sum(path.stat().st_size for path in tmp_path.glob("*/*.log")) < 7000


def test_a_journal_begins_beside_others_that_are_being_removed(tmp_path: Path):
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            homes = [tmp_path / f"gone-{number}" for number in range(20)]
            for home in homes:
                home.mkdir()
                (home / "1.log").touch()
            for home in homes:
                (home / "1.log").unlink()
                home.rmdir()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(200):
            with Journal(tmp_path) as journal:
                call(journal)
    finally:
        over.set()
        thread.join()
    assert sum(home.name.startswith("gone") for home in list_writers(tmp_path)) == 0
    assert len(list_writers(tmp_path)) == 200


def test_a_folder_that_cannot_be_written_is_a_journal_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="could not be written"):
        Journal(tmp_path / "file" / "journal")


def test_threads_that_write_at_once_keep_one_chain(tmp_path: Path):
    with Journal(tmp_path) as journal:
        threads = [
            threading.Thread(target=lambda: [call(journal) for _ in range(50)]) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert findings(tmp_path) == []
    assert json.dumps([line.fields["seq"] for line in read_lines(tmp_path)]) == json.dumps(
        list(range(1, 602))
    )
