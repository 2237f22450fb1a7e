"""Reads files: whole, by lines, or as bytes."""

import os
from dataclasses import dataclass

from servers.files.rooted import READ, Place, check_regular, explain, opened_file
from servers.files.settings import Settings
from servers.files.text import Decoded, decode, digest_of
from servers.tool import RefusalError


@dataclass(frozen=True)
class Loaded:
    """A file's whole content and its status at that moment."""

    data: bytes
    digest: str
    status: os.stat_result


@dataclass(frozen=True)
class Slice:
    """A range of a text's lines."""

    text: str
    first: int
    """Number of its first line, from 1; 0 when the range is empty."""
    last: int
    total: int
    cut: bool
    """Whether lines of the range are left out because the answer would be too long."""


def load(place: Place, settings: Settings) -> Loaded:
    """Read a whole file.

    Raises:
        RefusalError: When it is no regular file or larger than `max_file_bytes`.
    """
    with opened_file(place) as (descriptor, status):
        return _load_opened(descriptor, status, place, settings)


def load_in(folder: int, place: Place, settings: Settings) -> Loaded:
    """Read a whole file out of its folder's descriptor, links not followed; for changing it.

    Raises:
        RefusalError: As `load`.
    """
    try:
        descriptor = os.open(place.name, READ | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        raise explain(error, place) from error
    try:
        status = os.fstat(descriptor)
        check_regular(place, status)
        return _load_opened(descriptor, status, place, settings)
    finally:
        os.close(descriptor)


def _load_opened(
    descriptor: int, status: os.stat_result, place: Place, settings: Settings
) -> Loaded:
    if status.st_size > settings.max_file_bytes:
        raise RefusalError(
            f"{str(place)!r} has {status.st_size} bytes; whole files end at "
            f"{settings.max_file_bytes}.",
            "Read a part with `read_media` (offset, length), or use `search`.",
        )
    # One byte more than allowed: a file that grows while it is read is noticed.
    data = read_range(descriptor, place, 0, settings.max_file_bytes + 1)
    if len(data) > settings.max_file_bytes:
        raise RefusalError(f"{str(place)!r} grows while it is read.", "Try again.")
    return Loaded(data, digest_of(data), status)


def load_part(
    place: Place, settings: Settings, *, offset: int, length: int | None
) -> tuple[bytes, os.stat_result]:
    """Read bytes of a file, from `offset` on, at most `length` and `max_read_bytes`."""
    with opened_file(place) as (descriptor, status):
        if offset > status.st_size:
            raise RefusalError(f"{str(place)!r} ends at byte {status.st_size}.")
        most = min(length or settings.max_read_bytes, settings.max_read_bytes)
        return read_range(descriptor, place, offset, most), status


def read_range(descriptor: int, place: Place, offset: int, length: int) -> bytes:
    """Read up to `length` bytes at `offset`."""
    chunks: list[bytes] = []
    try:
        while length > 0:
            chunk = os.pread(descriptor, min(length, 1 << 20), offset)
            if not chunk:
                break
            chunks.append(chunk)
            offset += len(chunk)
            length -= len(chunk)
    except OSError as error:
        raise explain(error, place) from error
    return b"".join(chunks)


def load_text(place: Place, encoding: str, settings: Settings) -> tuple[Decoded, Loaded]:
    """Read a whole file as text."""
    loaded = load(place, settings)
    return decode(loaded.data, encoding, str(place)), loaded


def slice_lines(text: str, first: int, last: int, most_bytes: int) -> Slice:
    """Take lines `first` to `last` of a text, ends included.

    Args:
        text: The whole text.
        first: From 1; negative counts from the end (-1 is the last line).
        last: As `first`; -1 for the end.
        most_bytes: UTF-8 bytes after which the range is cut, at a line's end where it can be.

    Raises:
        RefusalError: When a line number is 0, or the range starts behind the text's end or ends
            before it starts.
    """
    lines = _split(text)
    total = len(lines)
    if first == 0 or last == 0:
        raise RefusalError("Lines are counted from 1; -1 is the last line.")
    start = max(first - 1 if first > 0 else total + first, 0)
    end = min(last if last > 0 else total + last + 1, total)
    if first > max(total, 1):
        raise RefusalError(f"The text ends at line {total}.", "Ask for an earlier line.")
    if end < start + 1 <= total:
        raise RefusalError(
            f"The range of lines ends at line {max(end, 0)}, before it begins at line {start + 1}.",
            "first_line comes first; -20 with last_line left out gives the last 20 lines.",
        )
    kept, size = start, 0
    while kept < end and size + len(lines[kept].encode(errors="surrogatepass")) <= most_bytes:
        size += len(lines[kept].encode(errors="surrogatepass"))
        kept += 1
    chosen = "".join(lines[start:kept])
    if kept == start < end:
        # One line alone is too long: its beginning is better than nothing.
        chosen, kept = lines[start].encode()[:most_bytes].decode(errors="ignore"), start + 1
        return Slice(chosen, kept, kept, total, cut=True)
    return Slice(chosen, start + 1 if chosen else 0, kept, total, cut=kept < end)


def _split(text: str) -> list[str]:
    """Split at line feeds only; `splitlines` would also split at form feeds and U+2028."""
    lines = text.split("\n")
    ended = [f"{line}\n" for line in lines[:-1]]
    return [*ended, lines[-1]] if lines[-1] else ended
