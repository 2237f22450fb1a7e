"""The local journal: append-only files in the data folder, one chain of digests for each writer.

A record is in the kernel's hands when `append` returns, which kill -9 cannot undo, and on disk when
`append_durable` returns, which a power cut cannot undo.
"""

import hashlib
import os
import socket
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from anyio import to_thread

from host import __version__
from host.audit.record import Record, encode_record, new_call_id, now
from host.audit.segment import held_bytes
from host.domain.errors import JournalError
from host.secrets.redaction import Redactor, dump_json
from host.storage.lock import FileLock

FORMAT = 1
"""Version of the files' format, which each segment begins with."""

GENESIS = b"0" * 64
"""What the first line of a writer's chain follows."""

SEGMENT_BYTES = 8_000_000
"""Size at which a new segment is begun."""

TOTAL_BYTES = 2_000_000_000
"""Size of all segments that are not in the store yet, at which calls fail."""

_RETIRED_LIMIT = 4
_NEXT_STEP = (
    "Free some space on its disk, or repair it; calls are refused until records can be kept."
)


def chain(previous: bytes, body: bytes) -> bytes:
    """Return the digest, in hexadecimal, of a line that follows another."""
    return hashlib.sha256(previous + body).hexdigest().encode()


def flush_file(descriptor: int) -> None:
    """Bring a file's data to disk."""
    if sys.platform == "linux":
        os.fdatasync(descriptor)
    elif sys.platform == "darwin":
        import fcntl  # noqa: PLC0415  absent on Windows

        # On macOS fsync leaves the data in the drive's cache.
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


class Journal:
    """One process's writer.

    `append` may be called from any thread, `append_durable` from tasks of one event loop.

    Args:
        folder: The folder of all journals; each writer has a folder of its own in it.
        redactor: Hides secrets.
        segment_bytes: Size at which a new segment is begun.
        total_bytes: Size of all writers' segments at which appending fails.

    Raises:
        JournalError: The folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        redactor: Redactor | None = None,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        total_bytes: int = TOTAL_BYTES,
    ) -> None:
        self.folder = folder
        self.redactor = redactor or Redactor()
        self.writer = new_call_id()
        self._segment_bytes = segment_bytes
        self._total_bytes = total_bytes
        self._mutex = threading.Lock()
        self._sequence = 0
        self._digest = GENESIS
        self._descriptor = -1
        self._size = 0
        self._retired: list[int] = []
        self._durable = 0
        self._failed = 0
        self._syncing: anyio.Event | None = None
        self._closed = False
        self._lock = FileLock(self.home / "lock")
        try:
            self.home.mkdir(mode=0o700, parents=True)
            self._lock.try_acquire("exclusive")
            self._begin_segment()
        except OSError as error:
            self._lock.release()
            raise self._error(error) from error

    @property
    def home(self) -> Path:
        """The folder of this writer's segments."""
        return self.folder / self.writer

    @property
    def sequence(self) -> int:
        """Number of the last line."""
        return self._sequence

    @property
    def head(self) -> str:
        """Digest of the last line, which stands for all before it."""
        return self._digest.decode()

    def append(self, *records: Record) -> None:
        """Write records; a finished call's is safe from kill -9 when this returns.

        Raises:
            JournalError: They could not be written, so the call must not go on.
        """
        bodies = [encode_record(record, self.redactor) for record in records]
        with self._mutex:
            self._write(bodies)

    async def append_durable(self, *records: Record) -> None:
        """Write records and return when they are on disk; those of other tasks share the flush.

        Raises:
            JournalError: They could not be written, so the call must not be made.
        """
        self.append(*records)
        ticket = self._sequence
        while self._durable < ticket:
            if self._failed >= ticket:
                raise JournalError(
                    f"The journal in {self.home} could not be flushed to disk.",
                    next_step=_NEXT_STEP,
                )
            if self._syncing is None:
                await self._sync()
            else:
                await self._syncing.wait()

    def close(self) -> None:
        """Flush, and end this writer."""
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            try:
                self._flush(self._take_descriptors())
            except OSError as error:
                raise self._error(error) from error
            finally:
                if self._descriptor >= 0:
                    os.close(self._descriptor)
                self._descriptor = -1
                self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write(self, bodies: list[bytes]) -> None:
        """Chain and write lines, all or none; the mutex is held."""
        if self._closed:
            raise JournalError("The journal is closed.")
        try:
            if self._descriptor < 0 or self._size >= self._segment_bytes:
                self._begin_segment()
            self._write_lines(bodies)
        except OSError as error:
            raise self._error(error) from error

    def _write_lines(self, bodies: list[bytes]) -> None:
        sequence, digest = self._sequence, self._digest
        parts: list[bytes] = []
        for body in bodies:
            sequence += 1
            line = b'{"seq":%d,%b' % (sequence, body[1:])
            digest = chain(digest, line)
            parts += (digest, b" ", line, b"\n")
        data = b"".join(parts)
        written = os.write(self._descriptor, data)
        if written != len(data):
            self._undo(written)
            raise OSError(28, "only a part of a record could be written, the disk may be full")
        self._size += written
        self._sequence, self._digest = sequence, digest

    def _undo(self, written: int) -> None:
        """Take back a part of a line; where that fails, the segment ends with a torn line."""
        if written <= 0:
            return
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            self._retire()

    def _begin_segment(self) -> None:
        used = held_bytes(self.folder)
        if used >= self._total_bytes:
            raise OSError(28, f"{used} bytes of records wait for the store, more than are allowed")
        self._retire()
        path = self.home / f"{self._sequence + 1:016d}.log"
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(path, flags, 0o600)
        self._size = os.fstat(self._descriptor).st_size
        self._write_lines([self._header()])
        _sync_folder(self.home)

    def _header(self) -> bytes:
        """Return the first line of a segment, which says where it belongs."""
        return dump_json(
            {
                "kind": "segment",
                "at": now(),
                "format": FORMAT,
                "writer": self.writer,
                "previous": self._digest.decode(),
                "pid": os.getpid(),
                "node": socket.gethostname(),
                "version": __version__,
            }
        )

    def _retire(self) -> None:
        """Put the current segment among those that are flushed and closed with the next flush."""
        if self._descriptor >= 0:
            self._retired.append(self._descriptor)
            self._descriptor = -1
        if len(self._retired) > _RETIRED_LIMIT:
            retired, self._retired = self._retired, []
            self._flush(retired)
            for descriptor in retired:
                os.close(descriptor)

    def _take_descriptors(self) -> list[int]:
        return [*self._retired, *([self._descriptor] if self._descriptor >= 0 else [])]

    @staticmethod
    def _flush(descriptors: list[int]) -> None:
        for descriptor in descriptors:
            flush_file(descriptor)

    async def _sync(self) -> None:
        """Flush everything that is written by now, for all who wait."""
        done = self._syncing = anyio.Event()
        with self._mutex:
            target = self._sequence
            retired, self._retired = self._retired, []
            current = os.dup(self._descriptor) if self._descriptor >= 0 else None
        try:
            await to_thread.run_sync(_flush_and_close, [*retired, *([current] if current else [])])
            self._durable = max(self._durable, target)
        except OSError as error:
            self._failed = target
            with self._mutex:
                # After a failed flush the kernel may call the next one a success: begin a new file.
                self._retire()
            raise self._error(error) from error
        finally:
            self._syncing = None
            done.set()

    def _error(self, error: OSError) -> JournalError:
        return JournalError(
            f"A record could not be written to the journal in {self.home}: {error.strerror}.",
            next_step=_NEXT_STEP,
        )


def _flush_and_close(descriptors: list[int]) -> None:
    """Flush files and close them all, whatever fails."""
    failure: OSError | None = None
    for descriptor in descriptors:
        try:
            flush_file(descriptor)
        except OSError as error:
            failure = error
        finally:
            os.close(descriptor)
    if failure is not None:
        raise failure


def _sync_folder(folder: Path) -> None:
    """Bring a new file's name to disk."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
