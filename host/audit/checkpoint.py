"""The signed marks of chains, kept in a file outside the database."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from host.audit.journal import flush_file
from host.audit.record import now
from host.audit.signing import Mark, MarkKind, MarkSigner, is_genuine, parse_mark
from host.config.files import lock_file, write_private
from host.domain.errors import ConfigError
from host.domain.jsonrpc import as_object

KEY_FILE = Path("secrets") / "audit-key"
"""Where the key is, below the data folder."""

MARKS_FILE = Path("checkpoints") / "audit.jsonl"
"""Where the marks are, below the data folder."""

_KEPT_HEADS = 20
"""Heads of one writer that are kept: the more there are, the nearer a rewritten line is named."""


_LONGEST = 1_000
"""Bytes that no line is longer than."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What is known of chains from outside the database.

    Attributes:
        heads: By writer, oldest first.
        anchors: The latest of each writer, whose earlier lines were dropped.
        forged: Lines of the file that this machine's key did not sign.
    """

    heads: dict[str, list[Mark]] = field(default_factory=dict[str, list[Mark]])
    anchors: dict[str, Mark] = field(default_factory=dict[str, Mark])
    forged: list[int] = field(default_factory=list[int])


def sort_marks(marks: Iterable[Mark | None], public: str) -> Marks:
    """Return marks by what they say; those that are not genuine are told and not used."""
    sorted_marks = Marks()
    for number, mark in enumerate(marks, 1):
        if mark is None or not is_genuine(mark, public):
            sorted_marks.forged.append(number)
        elif mark.kind == "head":
            sorted_marks.heads.setdefault(mark.writer, []).append(mark)
        elif mark.kind == "anchor":
            before = sorted_marks.anchors.get(mark.writer)
            if before is None or mark.sequence > before.sequence:
                sorted_marks.anchors[mark.writer] = mark
    for heads in sorted_marks.heads.values():
        heads.sort(key=lambda mark: mark.sequence)
    return sorted_marks


class Checkpoints:
    """The marks of one data folder; any number of processes may add to them.

    Args:
        folder: The data folder.
    """

    def __init__(self, folder: Path) -> None:
        self.signer = MarkSigner.load(folder / KEY_FILE)
        self._file = folder / MARKS_FILE
        self._latest: dict[str, int] | None = None

    def read(self) -> Marks:
        """Return all marks.

        Raises:
            ConfigError: The file cannot be read.
        """
        try:
            lines = self._file.read_text(encoding="utf-8").splitlines(keepends=True)
        except FileNotFoundError:
            return Marks()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The signed heads cannot be read: {error}.", file=self._file) from (
                error
            )
        if lines and not lines[-1].endswith("\n"):
            lines.pop()  # a crash tore it; what it said is signed again with the next load
        return sort_marks((_parse(line) for line in lines), self.signer.public)

    def note_head(self, writer: str, sequence: int, digest: str) -> None:
        """Sign how long a chain is by now, on disk when this returns; nothing if that is known."""
        if self._latest is None:
            self._latest = {name: heads[-1].sequence for name, heads in self.read().heads.items()}
        if sequence > self._latest.get(writer, 0):
            self.add("head", [(writer, sequence, digest)])
            self._latest[writer] = sequence

    def add(self, kind: MarkKind, points: Sequence[tuple[str, int, str]]) -> None:
        """Sign points of chains (writer, sequence, digest), on disk when this returns.

        Raises:
            ConfigError: They cannot be written.
        """
        marks = [self.signer.sign(Mark(kind, *point, at=now())) for point in points]
        data = "".join(json.dumps(mark.as_json()) + "\n" for mark in marks).encode()
        with lock_file(self._file):
            try:
                self._append(data)
            except OSError as error:
                raise ConfigError(f"{self._file} cannot be written: {error.strerror}.") from error

    def compact(self) -> None:
        """Leave out what later marks say too; called now and then."""
        with lock_file(self._file):
            known = self.read()
            if known.forged:
                return  # what somebody tampered with is left for a person to look at
            kept = [mark for heads in known.heads.values() for mark in heads[-_KEPT_HEADS:]]
            marks = [*known.anchors.values(), *kept]
            if marks:
                lines = [json.dumps(mark.as_json()) + "\n" for mark in marks]
                write_private(self._file, "".join(lines))

    def _append(self, data: bytes) -> None:
        with self._file.open("ab+") as file:
            self._file.chmod(0o600)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LONGEST))
            tail = file.read()
            if tail and not tail.endswith(b"\n"):  # torn by a crash
                file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)
            file.write(data)
            file.flush()
            flush_file(file.fileno())


def _parse(line: str) -> Mark | None:
    try:
        return parse_mark(as_object(json.loads(line)) or {})
    except ValueError:
        return None
