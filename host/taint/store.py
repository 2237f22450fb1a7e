"""Which labels each principal has met: an append-only file that any process can read at once."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson

from host.domain.errors import TaintError
from host.storage.lock import FileLock

TAINT_FILE = "taint.jsonl"
"""Its name in the data folder."""

LARGEST = 1 << 18
"""Bytes of the file beyond which it is written anew when it is opened, without what was cleared."""

_NEXT_STEP = "Nothing runs until it can be; `host taint clear --all` begins a new one."


@dataclass(frozen=True, slots=True)
class Met:
    """A label that was met.

    Attributes:
        who: The principal or run.
        label: The label.
        source: The tool or resource that brought it first.
        at: When, in microseconds since 1970, UTC.
    """

    who: str
    label: str
    source: str
    at: int


class TaintStore:
    """The file of met labels.

    A line is in the kernel's hands before the call that brings the label is made, so kill -9 loses
    none, and on disk, since there are only a few lines for each principal. It is a file and not a
    table because a decision cannot wait for a database that is still starting.

    Args:
        file: Where it is; made with mode 0600 when something is first written.
        clock: Nanoseconds since 1970.
        durable: Whether a power cut must not lose a line; kill -9 never does.

    Raises:
        TaintError: It cannot be read, so nothing may be decided.
    """

    def __init__(
        self, file: Path, clock: Callable[[], int] = time.time_ns, *, durable: bool = True
    ) -> None:
        self._durable = durable
        self.file = file
        self._path = str(file)
        self._clock = clock
        self._met: dict[str, dict[str, Met]] = {}
        self._seen: tuple[int, int] = (0, 0)
        self._read_to = 0
        if self._refresh() > LARGEST:
            self._rewrite()

    def labels(self, who: str) -> frozenset[str]:
        """Return the labels that somebody has met.

        Raises:
            TaintError: The file cannot be read.
        """
        self._refresh()
        return frozenset(self._met.get(who, ()))

    def listed(self) -> list[Met]:
        """Return everything that was met and not cleared, oldest first.

        Raises:
            TaintError: The file cannot be read.
        """
        self._refresh()
        found = [met for labels in self._met.values() for met in labels.values()]
        return sorted(found, key=lambda met: (met.at, met.who, met.label))

    def principals(self) -> list[str]:
        """Return everybody who has met anything.

        Raises:
            TaintError: The file cannot be read.
        """
        self._refresh()
        return sorted(self._met)

    def add(self, who: str, labels: Iterable[str], *, source: str) -> None:
        """Keep that somebody met labels; nothing is written for those known already.

        Raises:
            TaintError: It cannot be written, so the call must not be made.
        """
        wanted = frozenset(labels)
        new = wanted - self.labels(who) if wanted else wanted
        if new:
            at = self._clock() // 1000
            self._append({"at": at, "who": who, "met": sorted(new), "source": source})

    def clear(self, who: str, *, by: str) -> frozenset[str]:
        """Forget what somebody has met, because a person says so, or because a run is over.

        Args:
            who: The principal or run.
            by: Who says so.

        Returns:
            The labels that were forgotten.

        Raises:
            TaintError: It cannot be written.
        """
        known = self.labels(who)
        if known:
            self._append({"at": self._clock() // 1000, "who": who, "cleared": by})
        return known

    def _lock(self) -> FileLock:
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileLock(self.file.with_suffix(".lock"))

    def _append(self, line: dict[str, Any]) -> None:
        try:
            with self._lock():
                descriptor = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
                try:
                    self._cut_torn_line(descriptor)
                    os.write(descriptor, orjson.dumps(line) + b"\n")
                    if self._durable:
                        os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        except OSError as error:
            raise self._error("written", error) from error
        self._refresh()

    def _cut_torn_line(self, descriptor: int) -> None:
        """Remove a line whose writer died before its end: its call was never made."""
        content = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        end = content.rfind(b"\n") + 1
        if end != len(content):
            os.ftruncate(descriptor, end)

    def _refresh(self) -> int:
        """Take over what was written since the last look, by any process; return the size."""
        try:
            stamp = os.stat(self._path)  # noqa: PTH116 - asked before every call, twice as fast
        except FileNotFoundError:
            self._met.clear()
            self._seen, self._read_to = (0, 0), 0
            return 0
        except OSError as error:
            raise self._error("read", error) from error
        seen = (stamp.st_ino, stamp.st_size)
        if seen != self._seen:
            if stamp.st_ino != self._seen[0] or stamp.st_size < self._read_to:
                self._met.clear()
                self._read_to = 0
            self._take(self._tail())
            self._seen = seen
        return stamp.st_size

    def _tail(self) -> bytes:
        try:
            with self.file.open("rb") as file:
                file.seek(self._read_to)
                content = file.read()
        except OSError as error:
            raise self._error("read", error) from error
        return content[: content.rfind(b"\n") + 1]

    def _take(self, content: bytes) -> None:
        for line in content.splitlines():
            self._take_line(line)
        self._read_to += len(content)

    def _take_line(self, line: bytes) -> None:
        try:
            fields = cast("dict[str, Any]", orjson.loads(line))
            who = str(fields["who"])
            if "cleared" in fields:
                self._met.pop(who, None)
                return
            known = self._met.setdefault(who, {})
            for label in cast("list[str]", fields["met"]):
                known.setdefault(label, Met(who, label, str(fields["source"]), int(fields["at"])))
        except (ValueError, KeyError, TypeError) as error:
            raise TaintError(
                f"{self.file} holds a line that is not one: {line[:80]!r}.", next_step=_NEXT_STEP
            ) from error

    def _rewrite(self) -> None:
        """Write the file anew without what was cleared."""
        fresh = self.file.with_suffix(".new")
        try:
            with self._lock():
                self._refresh()
                lines = [
                    orjson.dumps(
                        {"at": met.at, "who": met.who, "met": [met.label], "source": met.source}
                    )
                    for labels in self._met.values()
                    for met in labels.values()
                ]
                descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(b"".join(line + b"\n" for line in lines))
                    file.flush()
                    os.fsync(file.fileno())
                fresh.replace(self.file)
        except OSError as error:
            raise self._error("written", error) from error
        self._refresh()

    def _error(self, what: str, error: OSError) -> TaintError:
        return TaintError(
            f"{self.file}, which keeps what sessions have met, cannot be {what}: {error.strerror}.",
            next_step=_NEXT_STEP,
        )


def start_over(file: Path) -> dict[str, list[str]]:
    """Begin with an empty file, whatever is in the old one, which is kept beside it.

    Returns:
        What each principal had met, as far as that can be read.

    Raises:
        TaintError: It cannot be put aside.
    """
    known: dict[str, list[str]] = {}
    with contextlib.suppress(TaintError):
        for met in TaintStore(file).listed():
            known.setdefault(met.who, []).append(met.label)
    try:
        if file.exists():
            with FileLock(file.with_suffix(".lock")):
                file.replace(file.with_suffix(".old"))
    except OSError as error:
        raise TaintError(
            f"{file} cannot be put aside: {error.strerror}.", next_step="Remove it by hand."
        ) from error
    return known
