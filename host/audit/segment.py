"""Reading journals: the lines of a writer's segments, whether the writer lives or was killed."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from host.audit.record import load_line
from host.storage.lock import FileLock

_DIGEST = 64


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a journal.

    Attributes:
        writer: Whose journal.
        digest: Of this line and all before it, in hexadecimal.
        text: The line's JSON, as it was written.
    """

    writer: str
    digest: str
    text: bytes

    @property
    def fields(self) -> dict[str, Any]:
        """What the line says."""
        return load_line(self.text)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some whole lines of a segment.

    Attributes:
        lines: In order.
        end: Offset after the last of them.
        rest: Bytes after that which are no whole line, so far.
    """

    lines: list[Line]
    end: int
    rest: int


def list_writers(folder: Path) -> list[Path]:
    """Return the folders of all writers that wrote something, oldest first."""
    return [home for home in _entries(folder) if list_segments(home)]


def list_segments(home: Path) -> list[Path]:
    """Return a writer's segments, oldest first; none of a folder that was removed meanwhile."""
    return [path for path in _entries(home) if path.name.endswith(".log")]


def held_bytes(folder: Path) -> int:
    """Return the size of all writers' segments, some of which may be removed meanwhile."""
    total = 0
    for home in _entries(folder):
        for path in list_segments(home):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
    return total


def _entries(folder: Path) -> list[Path]:
    """Return what is in a folder, in order.

    Not `glob`: it fails where a folder goes between being listed and being opened, as another
    process that has loaded all of it makes it go.
    """
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def writer_lives(home: Path) -> bool:
    """Return whether the process that writes to a folder still runs."""
    lock = FileLock(home / "lock")
    dead = lock.try_acquire("exclusive")
    lock.release()
    return not dead


def read_chunk(segment: Path, offset: int = 0, *, most: int = 4_000_000) -> Chunk:
    """Return the whole lines of a segment from an offset on.

    What follows the last whole line is counted and not returned: a crash leaves that, or the writer
    is about to finish it. Anything else that is no line is skipped, and leaves a gap in the chain.

    Args:
        segment: The file.
        offset: Where a line begins.
        most: Bytes to read at once; one line is returned even if it is longer.
    """
    with segment.open("rb") as file:
        file.seek(offset)
        data = file.read(most)
        if b"\n" not in data:
            data += file.read()
    writer = segment.parent.name
    lines: list[Line] = []
    position = good = 0
    for raw in data.splitlines(keepends=True):
        position += len(raw)
        if _is_whole(raw):
            lines.append(Line(writer, raw[:_DIGEST].decode("ascii"), raw[_DIGEST + 1 : -1]))
            good = position
    return Chunk(lines=lines, end=offset + good, rest=len(data) - good)


def _is_whole(raw: bytes) -> bool:
    """Return whether a line has a digest and is JSON; zeros from a power cut have neither."""
    if raw[_DIGEST : _DIGEST + 2] != b" {" or not raw.endswith(b"}\n"):
        return False
    try:
        load_line(raw[_DIGEST + 1 : -1])
    except orjson.JSONDecodeError:
        return False
    return True


def read_lines(folder: Path) -> Iterator[Line]:
    """Yield the lines of all journals, writer by writer; what vanishes meanwhile is skipped."""
    for home in list_writers(folder):
        for segment in list_segments(home):
            offset = 0
            while True:
                try:
                    chunk = read_chunk(segment, offset)
                except FileNotFoundError:
                    break
                yield from chunk.lines
                if not chunk.lines:
                    break
                offset = chunk.end
