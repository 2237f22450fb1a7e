"""Checks the record: each line follows the one before it, and columns say what lines say."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anyio import to_thread

from host.audit.checkpoint import Checkpoints, Marks
from host.audit.journal import GENESIS, chain
from host.audit.loader import COLUMNS, LOADER_LOCK, row_of
from host.audit.segment import Line, read_lines
from host.domain.principal import Principal
from host.storage.lock import FileLock
from host.storage.store import Database, Store

_QUERY = "select {} from host.audit_entries where writer = %s order by sequence"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it was written.

    Attributes:
        kind: `altered`, `removed`, `reordered`, `cut`, `rewritten` (all digests follow from each
            other, but they are not those that were signed) or `forged` (a mark nobody signed).
        writer: Whose journal.
        sequence: Which line.
        call_id: Which call, if that can be told.
        detail: What was found.
    """

    kind: str
    writer: str
    sequence: int
    call_id: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check found.

    Attributes:
        lines: How many lines were checked.
        writers: Of how many writers.
        findings: What is wrong; empty if nothing is.
        heads: The last line's digest of each writer.
        signed: Of how many writers a signed head was found.
        dropped: How many lines retention took away, by the signed anchors.
        key: The public key of this machine; None if no marks were looked at.
    """

    lines: int
    writers: int
    findings: list[Finding]
    heads: dict[str, str | None]
    signed: int = 0
    dropped: int = 0
    key: str | None = None


class ChainCheck:
    """Follows one writer's chain.

    Args:
        writer: Whose it is.
        marks: What was signed of chains.
    """

    def __init__(self, writer: str, marks: Marks | None = None) -> None:
        self.writer = writer
        known = marks or Marks()
        self._anchor = known.anchors.get(writer)
        self._heads = {mark.sequence: mark for mark in known.heads.get(writer, ())}
        self._sure = 0
        self.sequence = 0
        self.digest: str | None = GENESIS.decode()
        """Of the last line; None where it says nothing about the next one."""
        self.findings: list[Finding] = []

    def follow(self, line: Line, *, sequence: int, row: dict[str, Any] | None = None) -> None:
        """Check the next line.

        Args:
            line: The line.
            sequence: Its place.
            row: The row it came from, if it came from the store.
        """
        fields = line.fields
        call_id = fields.get("call_id")
        if self.sequence == 0 and sequence > 1:
            self.skip_dropped()
        if sequence > self.sequence + 1:
            gone = f"{self.sequence + 1} to {sequence - 1}" if sequence - self.sequence > 2 else ""
            self._find(
                "removed",
                self.sequence + 1,
                None,
                f"lines {gone} are missing" if gone else "the line is missing",
            )
            expected = None
        else:
            expected = self.digest and chain(self.digest.encode(), line.text).decode()
        if fields.get("seq") != sequence:
            self._find(
                "reordered", sequence, call_id, f"it was written as line {fields.get('seq')}"
            )
        elif expected is not None and expected != line.digest:
            self._find("altered", sequence, call_id, "its digest does not follow from its content")
        if row is not None:
            self._compare(line, row, call_id)
        self._compare_signed(line, sequence, call_id)
        in_place = fields.get("seq") == sequence
        self.sequence, self.digest = sequence, line.digest if in_place else None

    def skip_dropped(self) -> int:
        """Begin after what retention dropped; returns how many lines that were."""
        if self._anchor is not None and self.sequence < self._anchor.sequence:
            self.sequence, self.digest = self._anchor.sequence, self._anchor.digest
            self._sure = self._anchor.sequence
            return self._anchor.sequence
        return 0

    def end(self) -> None:
        """Check that the chain is as long as it was when it was signed."""
        last = max(self._heads.values(), key=lambda mark: mark.sequence, default=None)
        if last is not None and last.sequence > self.sequence:
            gone = f"{self.sequence + 1} to {last.sequence}"
            detail = f"its last lines, {gone}, are missing; they were there at {_time(last.at)}"
            self._find("cut", self.sequence + 1, None, detail)

    def _compare_signed(self, line: Line, sequence: int, call_id: str | None) -> None:
        mark = self._heads.get(sequence)
        if mark is None:
            return
        if mark.digest == line.digest:
            self._sure = sequence
            return
        detail = (
            f"a line from {self._sure + 1} to {sequence} was rewritten with all that follow: its "
            f"digest is not the one signed at {_time(mark.at)}"
        )
        self._find("rewritten", sequence, call_id, detail)

    def _compare(self, line: Line, row: dict[str, Any], call_id: str | None) -> None:
        right = row_of(line)
        for name in COLUMNS:
            said = str(row[name]) if name in ("writer", "call_id") and row[name] else row[name]
            if name not in ("digest", "line", "sequence") and said != right[name]:
                detail = f"its column {name} says {said!r}, its line {right[name]!r}"
                self._find("altered", row["sequence"], call_id, detail)

    def _find(self, kind: str, sequence: int, call_id: str | None, detail: str) -> None:
        self.findings.append(Finding(kind, self.writer, sequence, call_id, detail))


def _time(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1_000_000, UTC).isoformat(timespec="seconds")


async def verify_record(
    folder: Path,
    store: Store | None,
    *,
    principal: Principal,
    checkpoints: Checkpoints | None = None,
) -> Verification:
    """Check every chain, through the store and on into the journals.

    Args:
        folder: The folder of the journals.
        store: The store; None checks the journals alone, and no signed heads.
        principal: An admin; others do not see every line.
        checkpoints: What was signed; None looks at the chains alone.
    """
    # While this lock is held nobody moves lines from the journals to the store.
    lock = FileLock(folder / LOADER_LOCK)
    await to_thread.run_sync(_lock, lock)
    try:
        return await _verify(folder, store, principal, checkpoints)
    finally:
        lock.release()


def _lock(lock: FileLock) -> None:
    if lock.path.parent.is_dir():
        lock.acquire("exclusive")


async def _verify(
    folder: Path, store: Store | None, principal: Principal, checkpoints: Checkpoints | None
) -> Verification:
    marks = Marks() if checkpoints is None or store is None else checkpoints.read()
    checks = {
        writer: ChainCheck(writer, marks) for writer in sorted({*marks.heads, *marks.anchors})
    }
    count = 0
    if store is not None:
        async with store.transaction(principal) as database:
            cursor = await database.execute("select distinct writer from host.audit_entries")
            for found in await cursor.fetchall():
                writer = str(found["writer"])
                check = checks.setdefault(writer, ChainCheck(writer, marks))
                count += await _check_stored(database, check)
            await _check_ends(database, checks)
    lines = await to_thread.run_sync(lambda: list(read_lines(folder)))
    count += check_lines(lines, checks)
    for check in checks.values():
        check.skip_dropped()
        check.end()
    return Verification(
        lines=count,
        writers=len(checks),
        findings=[
            *(_forged(number) for number in marks.forged),
            *(finding for check in checks.values() for finding in check.findings),
        ],
        heads={writer: check.digest for writer, check in checks.items()},
        signed=len(marks.heads),
        dropped=sum(mark.sequence for mark in marks.anchors.values()),
        key=None if checkpoints is None else checkpoints.signer.public,
    )


def _forged(number: int) -> Finding:
    detail = f"line {number} of the signed heads was not signed by this machine's key"
    return Finding("forged", "the checkpoints", number, None, detail)


async def _check_stored(database: Database, check: ChainCheck) -> int:
    """Follow one writer's rows, in batches."""
    count = 0
    async with database.cursor(name="verify") as cursor:
        cursor.itersize = 500
        await cursor.execute(_QUERY.format(", ".join(COLUMNS)), [check.writer])  # pyright: ignore[reportArgumentType]
        async for row in cursor:
            line = Line(check.writer, row["digest"], row["line"].encode())
            check.follow(line, sequence=row["sequence"], row=row)
            count += 1
    return count


async def _check_ends(database: Database, checks: dict[str, ChainCheck]) -> None:
    """Compare each chain's last line with what its journal ended with."""
    cursor = await database.execute("select * from host.audit_ends")
    for row in await cursor.fetchall():
        writer = str(row["writer"])
        check = checks.setdefault(writer, ChainCheck(writer))
        if check.sequence == 0:
            check.skip_dropped()
        if check.sequence < row["sequence"]:
            detail = f"its last lines, {check.sequence + 1} to {row['sequence']}, are missing"
            check.findings.append(Finding("cut", writer, check.sequence + 1, None, detail))


def check_lines(lines: Iterable[Line], checks: dict[str, ChainCheck]) -> int:
    """Follow the journals' lines from where the store's end; returns how many were new.

    A journal whose first lines are in the store and in no file any more goes on in the middle: its
    first line must follow the store's last.
    """
    count = 0
    for line in lines:
        check = checks.setdefault(line.writer, ChainCheck(line.writer))
        sequence = int(line.fields["seq"])
        if sequence > check.sequence or check.sequence == 0:
            check.follow(line, sequence=sequence)
            count += 1
    return count
