"""Signed heads: what the owner of the database can do to a chain, and how it shows."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from host.audit.checkpoint import MARKS_FILE, Checkpoints
from host.audit.journal import GENESIS, Journal, chain
from host.audit.loader import JournalLoader
from host.audit.portable import Span, export_chain, verify_export
from host.audit.record import Intent, Outcome, new_call_id
from host.audit.retention import drop_old_records
from host.audit.verify import Verification, verify_record
from host.config.settings import AuditConfig
from host.domain.errors import StoreError
from host.domain.principal import Principal
from host.storage.store import Database, Store, open_store
from tests.storage.fixtures import ADMIN

ANN = Principal("ann", "cursor")
KEEP = AuditConfig(keep_days=30)
Counts = dict[str, int]


class Record:
    """A store with a signed record in it."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.journals = folder / "journal"
        self.store = store
        self.marks = Checkpoints(folder)

    async def write(self, calls: int = 1) -> str:
        """Record calls in a journal of their own, and load it."""
        with Journal(self.journals) as journal:
            for _ in range(calls):
                record_call(journal)
        await self.load()
        return journal.writer

    async def load(self) -> None:
        await JournalLoader(self.journals, self.store, checkpoints=self.marks).load_once()

    async def drop(self, config: AuditConfig, *, at: datetime, dry_run: bool = False) -> Counts:
        """Drop what is old by then; returns lines by writer."""
        dropped = await drop_old_records(
            self.store, self.folder, config, checkpoints=self.marks, dry_run=dry_run, now=at
        )
        return {each.writer: each.lines for each in dropped}

    async def verify(self) -> Verification:
        return await verify_record(
            self.journals, self.store, principal=ADMIN, checkpoints=Checkpoints(self.folder)
        )

    async def kinds(self) -> list[tuple[str, int]]:
        return [(each.kind, each.sequence) for each in (await self.verify()).findings]

    async def as_owner(self, change: Callable[[Database], Awaitable[object]]) -> None:
        database = await self.store.connect("owner")
        try:
            await change(database)
        finally:
            await database.close()

    async def export(self, span: Span | None = None) -> list[str]:
        lines = export_chain(self.journals, self.store, self.marks, span or Span())
        return [line async for line in lines]


def record_call(journal: Journal) -> None:
    begun = Intent(
        call_id=new_call_id(), principal=ANN, face="cli", method="tools/call", name="files__read"
    )
    journal.append(begun, Outcome(call_id=begun.call_id, principal=ANN, outcome="ok"))


def with_record(folder: Path, body: Callable[[Record], Awaitable[None]]) -> None:
    async def run() -> None:
        store = await open_store(None, folder)
        try:
            await body(Record(folder, store))
        finally:
            await store.close()

    anyio.run(run)


async def rewrite(database: Database, writer: str, *, sequence: int) -> None:
    """Change a line and everything after it, so that every digest follows again."""
    cursor = await database.execute(
        "select sequence, line from host.audit_entries where writer = %s order by sequence",
        [writer],
    )
    digest = GENESIS
    for row in await cursor.fetchall():
        line = str(row["line"])
        if row["sequence"] == sequence:
            line = line.replace("files__read", "files__rest")
        digest = chain(digest, line.encode())
        await database.execute(
            "update host.audit_entries set digest = %s, line = %s,"
            " name = case when name is null then null else %s end"
            " where writer = %s and sequence = %s",
            [digest.decode(), line, json.loads(line).get("name"), writer, row["sequence"]],
        )
    await database.execute(
        "update host.audit_ends set digest = %s where writer = %s", [digest.decode(), writer]
    )


async def cut(database: Database, writer: str, *, after: int) -> None:
    await database.execute(
        "delete from host.audit_entries where writer = %s and sequence > %s", [writer, after]
    )
    await database.execute("delete from host.audit_ends where writer = %s", [writer])


def test_what_the_owner_of_the_database_does_shows_in_the_signed_heads(empty_store_folder: Path):
    async def body(record: Record) -> None:
        rewritten, shortened, gone = [await record.write(2) for _ in range(3)]
        found = await record.verify()
        assert (found.findings, found.signed, found.lines) == ([], 3, 15)

        await record.as_owner(lambda database: rewrite(database, rewritten, sequence=2))
        await record.as_owner(lambda database: cut(database, shortened, after=3))
        await record.as_owner(lambda database: cut(database, gone, after=0))
        findings = {each.writer: each for each in (await record.verify()).findings}
        assert [findings[each].kind for each in (rewritten, shortened, gone)] == [
            "rewritten",
            "cut",
            "cut",
        ]
        assert "a line from 1 to 5 was rewritten" in findings[rewritten].detail
        assert (findings[shortened].sequence, findings[gone].sequence) == (4, 1)
        unsigned = await verify_record(record.journals, record.store, principal=ADMIN)
        assert unsigned.findings == []  # the chains alone do not tell

    with_record(empty_store_folder, body)


async def set_name(database: Database, writer: str, name: str) -> None:
    await database.execute(
        "update host.audit_entries set name = %s where writer = %s and sequence = 2", [name, writer]
    )


def test_retention_leaves_a_record_that_verifies_and_shows_a_lost_anchor(empty_store_folder: Path):
    async def body(record: Record) -> None:
        old = await record.write(2)
        with Journal(record.journals) as journal:
            record_call(journal)
            then = datetime.now(UTC) + timedelta(days=30)
            record_call(journal)
        await record.load()
        assert await record.drop(AuditConfig(), at=then) == {}
        assert await record.drop(KEEP, at=then, dry_run=True) == {old: 5, journal.writer: 3}
        assert (await record.verify()).lines == 10

        assert await record.drop(KEEP, at=then) == {old: 5, journal.writer: 3}
        found = await record.verify()
        assert (found.findings, found.lines, found.dropped) == ([], 2, 8)
        assert await record.drop(KEEP, at=then) == {}
        await record.write()
        assert await record.kinds() == []
        assert verify_export(await record.export()).findings == []

        file = record.folder / MARKS_FILE
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if '"anchor"' not in line))
        assert set(await record.kinds()) == {("removed", 1), ("cut", 1)}

    with_record(empty_store_folder, body)


def test_retention_drops_nothing_that_was_tampered_with(empty_store_folder: Path):
    async def body(record: Record) -> None:
        writer = await record.write(2)
        later = datetime.now(UTC) + timedelta(days=31)
        await record.as_owner(lambda database: set_name(database, writer, "x"))
        with pytest.raises(StoreError, match="No record was dropped: line 2"):
            await record.drop(KEEP, at=later)
        await record.as_owner(lambda database: set_name(database, writer, "files__read"))
        assert await record.drop(KEEP, at=later) == {writer: 5}

    with_record(empty_store_folder, body)


def test_retention_by_size_keeps_the_newest(empty_store_folder: Path):
    async def body(record: Record) -> None:
        old = await record.write(900)
        new = await record.write(600)
        dropped = await record.drop(AuditConfig(keep_megabytes=1), at=datetime.now(UTC))
        assert set(dropped) == {old}
        found = await record.verify()
        assert found.findings == []
        assert found.dropped == dropped[old]
        assert new in found.heads

    with_record(empty_store_folder, body)


def test_an_export_verifies_without_store_and_shows_every_change(empty_store_folder: Path):
    async def body(record: Record) -> None:
        await record.write(3)
        await record.write()
        lines = await record.export()
        found = verify_export(lines, key=record.marks.signer.public)
        assert (found.findings, found.lines, found.signed) == ([], 10, 2)

        place = next(i for i, line in enumerate(lines) if "files__read" in line)
        edited = [*lines]
        edited[place] = edited[place].replace("files__read", "files__rest")
        number = json.loads(lines[place])["sequence"]
        kinds = [(each.kind, each.sequence) for each in verify_export(edited).findings]
        assert ("altered", number) in kinds
        missing = [line for i, line in enumerate(lines) if i != place]
        assert ("removed", number) in [
            (each.kind, each.sequence) for each in verify_export(missing).findings
        ]
        assert [each.kind for each in verify_export(lines[:-1]).findings] == ["cut"]
        stranger = "00" * 32
        assert {each.kind for each in verify_export(lines, key=stranger).findings} == {"forged"}

    with_record(empty_store_folder, body)


def test_a_torn_line_is_no_forgery_and_a_strange_one_is(tmp_path: Path):
    marks = Checkpoints(tmp_path)
    marks.note_head("w", 5, "aa")
    file = tmp_path / MARKS_FILE
    with file.open("a") as out:
        out.write('{"kind": "head", "wri')
    again = Checkpoints(tmp_path)
    again.note_head("w", 7, "bb")
    assert [mark.sequence for mark in again.read().heads["w"]] == [5, 7]
    assert again.read().forged == []

    fields: dict[str, Any] = json.loads(file.read_text().splitlines()[0])
    with file.open("a") as out:
        out.write(json.dumps({**fields, "digest": "cc"}) + "\n")
    assert Checkpoints(tmp_path).read().forged == [3]
    assert (tmp_path / "secrets" / "audit-key").stat().st_mode & 0o077 == 0


def test_heads_are_signed_once_and_the_file_stays_small(tmp_path: Path):
    marks = Checkpoints(tmp_path)
    for number in range(1, 60):
        marks.note_head("w", number, f"{number:064x}")
        marks.note_head("w", number, f"{number:064x}")
    assert len(marks.read().heads["w"]) == 59
    marks.compact()
    assert [mark.sequence for mark in marks.read().heads["w"]] == list(range(40, 60))
