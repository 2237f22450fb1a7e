"""Searches file contents and finds names, in walk order, bounded in time, page by page."""

import re
import stat
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from servers.files.beneath import Parts
from servers.files.crew import Crew, Crews, HungError
from servers.files.globs import Globs, parse_globs
from servers.files.paging import Cursor
from servers.files.rooted import Place, check_regular, require
from servers.files.settings import Settings
from servers.files.walking import path_key, walk
from servers.tool import RefusalError

_BATCH_FILES = 400

Batch = list[list[Any]]
"""What one process searches at a time: folder's names, file names, line to continue behind."""


@dataclass(frozen=True)
class Wanted:
    """What to look for in file contents."""

    pattern: str
    regex: bool = False
    ignore_case: bool = False
    whole_word: bool = False
    globs: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    context: int = 0
    limit: int = 100
    include_ignored: bool = False

    def check(self) -> None:
        """Refuse a pattern that cannot match or be compiled.

        Raises:
            RefusalError: What is wrong with it.
        """
        if not self.pattern:
            raise RefusalError("The pattern is empty.", "Use `find` to list files by name.")
        if "\n" in self.pattern:
            raise RefusalError("The pattern holds a line end.", "Lines are matched one by one.")
        if self.regex:
            try:
                re.compile(self.pattern)
            except (re.error, RecursionError, OverflowError) as error:
                raise RefusalError(
                    f"{self.pattern!r} is not a regular expression: {error}.",
                    "Leave regex out to look for the text as it stands.",
                ) from error


@dataclass
class Hits:
    """One page of matches."""

    hits: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    tally: dict[str, int] = field(default_factory=dict[str, int])
    cursor: Cursor | None = None
    """Where to go on; None when everything was searched."""
    timed_out: bool = False

    def add(self, answer: dict[str, Any], limit: int) -> bool:
        """Take in a process's answer; returns whether the page is full."""
        for reason, count in answer["tally"].items():
            self.tally[reason] = self.tally.get(reason, 0) + count
        self.hits.extend(answer["hits"])
        if len(self.hits) <= limit:
            return False
        del self.hits[limit:]
        last = self.hits[-1]
        self.cursor = Cursor(tuple(last["parts"]), line=last["line"])
        return True


def search(
    place: Place, wanted: Wanted, cursor: Cursor | None, crews: Crews, settings: Settings
) -> Hits:
    """Search a file, or a folder and all below it.

    Raises:
        RefusalError: When the pattern or the place is no good, or other searches hold all crews.
    """
    wanted.check()
    deadline = time.monotonic() + settings.search_seconds
    batches = _plan(place, wanted, cursor, settings)
    found = Hits()
    try:
        with crews.borrowed(deadline) as crew:
            _run(crew, batches, found, _Job(place, wanted, settings, deadline))
    except HungError:
        found.timed_out = True
    return found


@dataclass(frozen=True)
class _Job:
    place: Place
    wanted: Wanted
    settings: Settings
    deadline: float

    def query(self) -> dict[str, Any]:
        root = self.place.root
        limits = {"max_file_bytes": self.settings.max_file_bytes, "hard_links": root.hard_links}
        return {**asdict(self.wanted), **limits}

    def batch(self, batch: Batch) -> dict[str, Any]:
        root = self.place.root
        top = root.descriptor if root.top is None else root.top
        whole = [[[*root.prefix, *parts], names, line] for parts, names, line in batch]
        seconds = max(0.1, self.deadline - time.monotonic() + 1)
        return {"batch": whole, "root": top, "seconds": seconds}


def _run(crew: Crew, batches: Iterator[Batch], found: Hits, job: _Job) -> None:
    """Keep every process busy with one batch, take the answers in walk order."""
    for worker in range(crew.size):
        crew.send(worker, {"query": job.query()})
    busy: deque[tuple[int, Cursor]] = deque()
    idle = list(range(crew.size))
    full = False
    while True:
        while idle and not full and (batch := next(batches, None)) is not None:
            worker = idle.pop()
            crew.send(worker, job.batch(batch))
            busy.append((worker, _end_of(batch)))
        if not busy:
            return
        worker, end = busy.popleft()
        answer = crew.receive(worker, job.deadline)
        idle.append(worker)
        if full:
            continue
        _cut_prefix(answer, len(job.place.root.prefix))
        full = found.add(answer, job.wanted.limit)
        if not full:
            found.cursor = end if time.monotonic() > job.deadline else None
            full = found.timed_out = found.cursor is not None


def _end_of(batch: Batch) -> Cursor:
    parts, names, _ = batch[-1]
    return Cursor((*parts, names[-1]))


def _cut_prefix(answer: dict[str, Any], size: int) -> None:
    for hit in answer["hits"]:
        hit["parts"] = hit["parts"][size:]


def _plan(
    place: Place, wanted: Wanted, cursor: Cursor | None, settings: Settings
) -> Iterator[Batch]:
    """Batch the files to search, the cursor's own file first."""
    status = require(place)
    if not stat.S_ISDIR(status.st_mode) and not stat.S_ISLNK(status.st_mode):
        check_regular(place, status)
        line = cursor.line if cursor else 0
        yield [[place.parent.parts, [place.name], line]]
        return
    include, exclude = parse_globs(wanted.globs), parse_globs(wanted.exclude)
    if cursor and cursor.line and len(cursor.parts) > 0:
        yield [[cursor.parts[:-1], [cursor.parts[-1]], cursor.line]]
    yield from _batches(place, (include, exclude), wanted, cursor, settings)


def _batches(
    place: Place,
    globs: tuple[Globs, Globs],
    wanted: Wanted,
    cursor: Cursor | None,
    settings: Settings,
) -> Iterator[Batch]:
    include, exclude = globs
    gitignore = settings.gitignore and not wanted.include_ignored
    depth = len(place.parts)
    batch: Batch = []
    count = 0
    for listing in walk(place, gitignore=gitignore, after=cursor.key if cursor else ()):
        inside = listing.parts[depth:]
        names = listing.files
        if wanted.globs:
            names = [n for n in names if include.match((*inside, n))]
        if wanted.exclude:
            names = [n for n in names if not _excluded(exclude, (*inside, n))]
        for start in range(0, len(names), _BATCH_FILES):
            piece = names[start : start + _BATCH_FILES]
            batch.append([listing.parts, piece, 0])
            count += len(piece)
            if count >= _BATCH_FILES:
                yield batch
                batch, count = [], 0
    if batch:
        yield batch


def _excluded(exclude: Globs, parts: Parts) -> bool:
    """Whether a path, or one of the folders it is in, is excluded."""
    return any(exclude.match(parts[:size]) for size in range(1, len(parts) + 1))


@dataclass(frozen=True)
class Found:
    """One file or folder whose name matches."""

    parts: Parts
    is_folder: bool


@dataclass(frozen=True)
class FindRequest:
    """Which names to find."""

    globs: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    files: bool = True
    folders: bool = True
    include_ignored: bool = False
    limit: int = 100


def find(
    place: Place, request: FindRequest, cursor: Cursor | None, settings: Settings
) -> tuple[list[Found], Cursor | None]:
    """Find files and folders by glob; returns a page and where to go on."""
    include, exclude = parse_globs(request.globs), parse_globs(request.exclude)
    depth = len(place.parts)
    after = cursor.key if cursor else ()
    found: list[Found] = []
    gitignore = settings.gitignore and not request.include_ignored
    for listing in walk(place, gitignore=gitignore, after=after):
        here = [Found(listing.parts, is_folder=True)] if len(listing.parts) > depth else []
        for item in [*here, *_names(listing.parts, [*listing.files, *listing.others])]:
            if not (request.folders if item.is_folder else request.files):
                continue
            if path_key(item.parts, is_folder=item.is_folder) <= after:
                continue
            inside = item.parts[depth:]
            if not include.match(inside) or (request.exclude and _excluded(exclude, inside)):
                continue
            if len(found) == request.limit:
                return found, Cursor(found[-1].parts, found[-1].is_folder)
            found.append(item)
    return found, None


def _names(folder: Parts, names: list[str]) -> list[Found]:
    return [Found((*folder, name), is_folder=False) for name in sorted(names)]
