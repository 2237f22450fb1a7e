"""The record as a file that verifies elsewhere: lines, where their chains begin, and signatures."""

import hashlib
import json
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from anyio import to_thread

from host.audit.checkpoint import Checkpoints, Marks, sort_marks
from host.audit.journal import GENESIS
from host.audit.record import now
from host.audit.segment import Line, read_lines
from host.audit.signing import Mark, is_genuine, parse_mark
from host.audit.trail import LOCAL_ADMIN
from host.audit.verify import ChainCheck, Finding, Verification
from host.domain.jsonrpc import Json, as_object
from host.storage.store import Database, Store

_EDGES = """
select writer, min(sequence) as first, max(sequence) as last from host.audit_entries
where at >= coalesce(%(since)s::timestamptz, '-infinity')
    and at < coalesce(%(until)s::timestamptz, 'infinity')
group by writer order by writer
"""
_LINES = """
select sequence, digest, line from host.audit_entries
where writer = %s and sequence between %s and %s order by sequence
"""


@dataclass(frozen=True, slots=True)
class Span:
    """Which part of the record is wanted: made at `since` or later, and before `until`."""

    since: datetime | None = None
    until: datetime | None = None

    def covers(self, line: Line) -> bool:
        """Whether a line belongs to it."""
        at = line.fields["at"] / 1_000_000
        after = self.since is None or at >= self.since.timestamp()
        return after and (self.until is None or at < self.until.timestamp())


async def export_chain(
    folder: Path, store: Store, checkpoints: Checkpoints, span: Span
) -> AsyncGenerator[str]:
    """Yield the lines of a file that `verify_export` can check without store or data folder.

    Args:
        folder: The folder of the journals.
        store: The store.
        checkpoints: What signs it.
        span: Which part; of each chain an unbroken piece is taken.
    """
    digest, count = hashlib.sha256(), 0
    async for fields in _parts(folder, store, checkpoints, span):
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n"
        digest.update(text.encode())
        count += 1
        yield text
    end = Mark("export", "export", count, digest.hexdigest(), at=now())
    signed = checkpoints.signer.sign(end)
    yield json.dumps({"type": "mark", **signed.as_json()}) + "\n"


async def _parts(
    folder: Path, store: Store, checkpoints: Checkpoints, span: Span
) -> AsyncGenerator[Json]:
    yield {"type": "key", "public": checkpoints.signer.public, "format": 1}
    marks = await to_thread.run_sync(checkpoints.read)
    waiting = await to_thread.run_sync(lambda: list(read_lines(folder)))
    reached: dict[str, int] = {}
    async with store.transaction(LOCAL_ADMIN) as database:
        edges = await database.execute(_EDGES, {"since": span.since, "until": span.until})
        for row in await edges.fetchall():
            writer, first = str(row["writer"]), int(row["first"])
            reached[writer] = int(row["last"])
            before = await _digest_before(database, marks, writer, first)
            yield _start(writer, first, before)
            lines = await database.execute(_LINES, [writer, first, reached[writer]])
            async for line in lines:
                yield _line(Line(writer, line["digest"], line["line"].encode()), line["sequence"])
    previous: Line | None = None
    for line in waiting:
        sequence = int(line.fields["seq"])
        if span.covers(line) and sequence > reached.get(line.writer, 0):
            if line.writer not in reached:
                same = previous is not None and previous.writer == line.writer
                yield _start(line.writer, sequence, previous.digest if same and previous else None)
            reached[line.writer] = sequence
            yield _line(line, sequence)
        previous = line
    for writer, last in reached.items():
        for mark in marks.heads.get(writer, ()):
            if mark.sequence <= last:
                yield {"type": "mark", **mark.as_json()}


async def _digest_before(database: Database, marks: Marks, writer: str, first: int) -> str | None:
    """Return the digest that a chain's first line in the export follows."""
    rows = await database.execute(_LINES, [writer, first - 1, first - 1])
    row = await rows.fetchone()
    if row is not None:
        return str(row["digest"])
    anchor = marks.anchors.get(writer)
    return anchor.digest if anchor is not None and anchor.sequence == first - 1 else None


def _start(writer: str, first: int, before: str | None) -> Json:
    after = GENESIS.decode() if first == 1 else before
    return {"type": "start", "writer": writer, "sequence": first - 1, "digest": after}


def _line(line: Line, sequence: int) -> Json:
    return {
        "type": "line",
        "writer": line.writer,
        "sequence": sequence,
        "digest": line.digest,
        "line": line.text.decode(),
    }


def verify_export(lines: Iterable[str], *, key: str | None = None) -> Verification:
    """Check an export: its signature, each chain in it, and the heads that were signed earlier.

    Args:
        lines: The file's lines.
        key: The public key that signed it, from the machine it was written on; None believes the
            key that the file names.
    """
    digest, count, entries = hashlib.sha256(), 0, list[Json]()
    sealed: Mark | None = None
    for text in lines:
        fields = _fields(text)
        mark = parse_mark(fields)
        if mark is not None and mark.kind == "export":
            sealed = mark
            continue
        digest.update(text.encode())
        count += 1
        entries.append(fields)
    public = key or next((str(e.get("public")) for e in entries if e.get("type") == "key"), "")
    marks = sort_marks((parse_mark(e) for e in entries if e.get("type") == "mark"), public)
    checks = _follow(entries, marks)
    found = list(_check_seal(sealed, public, count=count, digest=digest.hexdigest()))
    found += [_unsigned(number, "a mark") for number in marks.forged]
    return Verification(
        lines=sum(1 for entry in entries if entry.get("type") == "line"),
        writers=len(checks),
        findings=[*found, *(each for check in checks.values() for each in check.findings)],
        heads={writer: check.digest for writer, check in checks.items()},
        signed=len(marks.heads),
        key=public,
    )


def _fields(text: str) -> Json:
    try:
        return as_object(json.loads(text)) or {}
    except ValueError:
        return {}


def _follow(entries: Iterable[Json], marks: Marks) -> dict[str, ChainCheck]:
    """Follow every chain of an export."""
    checks: dict[str, ChainCheck] = {}
    for entry in entries:
        writer = str(entry.get("writer"))
        if entry.get("type") == "start":
            check = checks[writer] = ChainCheck(writer, Marks(marks.heads))
            check.sequence, check.digest = int(entry["sequence"]), entry["digest"]
        elif entry.get("type") == "line":
            check = checks.setdefault(writer, ChainCheck(writer, Marks(marks.heads)))
            line = Line(writer, str(entry.get("digest")), str(entry.get("line")).encode())
            check.follow(line, sequence=int(entry["sequence"]))
    return checks


def _check_seal(mark: Mark | None, public: str, *, count: int, digest: str) -> Iterator[Finding]:
    if mark is None:
        yield Finding("cut", "the export", count, None, "its last line, the signature, is missing")
    elif not is_genuine(mark, public):
        yield _unsigned(mark.sequence, "the export")
    elif (mark.sequence, mark.digest) != (count, digest):
        detail = f"the file is not the one that was signed, which had {mark.sequence} lines"
        yield Finding("altered", "the export", count, None, detail)


def _unsigned(number: int, what: str) -> Finding:
    return Finding("forged", "the export", number, None, f"{what} was not signed by this key")
