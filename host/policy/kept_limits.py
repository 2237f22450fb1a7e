"""Counters that outlive the process: what a day's limit has used up is still used after kill -9."""

import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast, get_args

import orjson
from typing_extensions import override

from host.policy.limit import CounterKey, Measure, MemoryCounters, Span

log = logging.getLogger(__name__)

LIMITS_FILE = "limits.jsonl"
"""Its name in the data folder."""
LARGEST = 1 << 20
"""Bytes beyond which the file is written anew, without what counts no more."""
SESSION_LIFE = 86_400
"""Seconds for which a session that does nothing is remembered."""


class KeptCounters(MemoryCounters):
    """Counters with a file, of which a line is in the kernel's hands before the call is made.

    Args:
        file: Where they are kept; made with mode 0600 when something is first counted.
        clock: Seconds since 1970.
    """

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self._now = clock
        self._file = file
        self._handle: int | None = None
        self._size = 0
        self._touched: dict[str, float] = {}
        """Sessions → when something was last counted for them."""
        self._load()

    @override
    def add(self, key: CounterKey, amount: float = 1) -> None:
        """Count something that is being done now; one that cannot be kept counts all the same."""
        super().add(key, amount)
        moment = self._now()
        if key.span == "session":
            self._touched[key.whose] = moment
        try:
            self._append(_line(key, self.part(key), amount, moment))
        except OSError as error:
            log.warning("%s: what limits have used up is not kept: %s", self._file, error)

    def close(self) -> None:
        """Close the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _append(self, line: bytes) -> None:
        if self._handle is None:
            self._handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self._size = os.fstat(self._handle).st_size
        os.write(self._handle, line)
        self._size += len(line)
        if self._size > LARGEST:
            self._rewrite()

    def _rewrite(self) -> None:
        """Write what counts still, in place of all that was ever counted."""
        oldest = self._now() - SESSION_LIFE
        for session in [one for one, moment in self._touched.items() if moment < oldest]:
            self.end_session(session)
            del self._touched[session]
        self.close()
        fresh = self._file.with_suffix(".new")
        lines = [
            _line(key, part, amount, self._touched.get(key.whose, self._now()))
            for key, part, amount in self.entries()
        ]
        with open(fresh, "wb", opener=_private) as out:
            out.writelines(lines)
        fresh.replace(self._file)

    def _load(self) -> None:
        try:
            content = self._file.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            log.warning("%s: what limits have used up cannot be read: %s", self._file, error)
            return
        self.restore(self._read(content.splitlines()))
        if len(content) > LARGEST:
            self._rewrite()

    def _read(self, lines: Iterable[bytes]) -> Iterable[tuple[CounterKey, int, float]]:
        """Yield what lines say; one that a crash tore is left out."""
        oldest = self._now() - SESSION_LIFE
        for line in lines:
            try:
                said = cast("list[Any]", orjson.loads(line))
                rule, measure, span, whose, part, amount, moment = said
                key = CounterKey(str(rule), measure, span, str(whose))
                known = measure in get_args(Measure) and span in get_args(Span)
                used = int(part), float(amount), float(moment)
            except (ValueError, TypeError):
                continue
            if known and span == "session" and used[2] >= oldest:
                self._touched[key.whose] = used[2]
            if known and (span != "session" or used[2] >= oldest):
                yield key, used[0], used[1]


def _line(key: CounterKey, part: int, amount: float, moment: float) -> bytes:
    said = [key.rule, key.measure, key.span, key.whose, part, amount, int(moment)]
    return orjson.dumps(said) + b"\n"


def _private(file: str, flags: int) -> int:
    return os.open(file, flags, 0o600)
