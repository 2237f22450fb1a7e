"""Keeps the index of the document folders up to date, and searches it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
from anyio import to_thread
from fastmcp.server.dependencies import get_context

from host.config.environment import child_place
from host.domain.errors import EmbedderError, HostError, StoreError
from host.memory.config import MemoryConfig
from host.memory.documents import Documents, DocumentState
from host.storage.store import Store, open_store
from servers.search.folders import Folder, Found
from servers.search.settings import Settings
from servers.store import await_store
from servers.tool import RefusalError

log = logging.getLogger(__name__)
T = TypeVar("T")
Progress = Callable[[int, int], Awaitable[None]]

_AT_ONCE = 2
"""Documents that are parsed at the same time, each in a process of its own."""
_REMOVED_AT_ONCE = 500


@dataclass
class Tally:
    """What one look at the folders came to."""

    files: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    problems: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True)
class _Work:
    folder: Folder
    found: Found
    known: DocumentState | None


class Library:
    """The indexed folders of the user whose server this is.

    Args:
        folders: What is indexed.
        settings: Limits, embedder and language.
    """

    def __init__(self, folders: list[Folder], settings: Settings) -> None:
        self.folders = folders
        self._settings = settings
        self._store: Store | None = None
        self._documents: Documents | None = None
        self._look: asyncio.Task[Tally] | None = None
        self._looked = float("-inf")
        self._vectors: asyncio.Task[None] | None = None
        self._reports: list[Progress] = []
        self.progress: tuple[int, int] | None = None
        """How many of how many files are looked at; None when nobody looks."""
        self.trouble = ""
        """Why vectors cannot be made at the moment."""

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Serve until the end of the block; nothing is opened before the first call."""
        place = child_place()
        self._store = await open_store(place.url, place.data)
        config = MemoryConfig(
            embedder=self._settings.embedder,
            embed_seconds=self._settings.embed_seconds,
            language=self._settings.language,
        )
        self._documents = Documents(self._store, place.user, config)
        try:
            yield
        finally:
            for task in (self._look, self._vectors):
                if task is not None:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, HostError):
                        await task
            await self._store.close()

    async def run(self, work: Callable[[Documents], Awaitable[T]]) -> T:
        """Do something with the index, waiting for the store as long as that is bearable.

        Raises:
            RefusalError: What went wrong, and what to do next.
        """
        if self._documents is None or self._store is None:
            raise RefusalError("The search server has ended.")
        try:
            await await_store(self._store, get_context())
            return await work(self._documents)
        except HostError as error:
            raise RefusalError(error.message, error.next_step or "") from error

    async def refresh(self, documents: Documents, *, wait: float | None) -> Tally | None:
        """Look at the folders unless that was done just now.

        Args:
            documents: The index.
            wait: Seconds to wait for a look that is due; None looks in any case, and to the end.

        Returns:
            What the look came to; None if none was due or it still goes on.
        """
        look = self._look
        if look is not None and not look.done() and wait is None:
            await asyncio.wait([look])  # it may have passed a file that changed since
        if look is None or look.done():
            age = time.monotonic() - self._looked
            if wait is not None and age < self._settings.document_refresh_seconds:
                return None
            # A task of its own: a caller that leaves, or waits no longer, does not end the look.
            look = asyncio.create_task(self._look_at_all(documents), name="index documents")
            look.add_done_callback(_note_failure)
            self._look = look
        with anyio.move_on_after(wait):
            return await asyncio.shield(look)
        return None

    @contextlib.contextmanager
    def reporting(self, report: Progress) -> Generator[None]:
        """Tell somebody of the progress for the length of a block."""
        self._reports.append(report)
        try:
            yield
        finally:
            self._reports.remove(report)

    async def _look_at_all(self, documents: Documents) -> Tally:
        tally = Tally()
        try:
            for folder in self.folders:
                await self._look_at(documents, folder, tally)
            self._looked = time.monotonic()
            if self._vectors is None or self._vectors.done():
                self._vectors = asyncio.create_task(self._make_vectors(documents), name="vectors")
            return tally
        finally:
            self.progress = None

    async def _look_at(self, documents: Documents, folder: Folder, tally: Tally) -> None:
        known = await documents.files(folder.key)
        found = await to_thread.run_sync(lambda: list(folder.find()))
        gone = sorted(known.keys() - {file.path for file in found})
        for first in range(0, len(gone), _REMOVED_AT_ONCE):
            await documents.remove(folder.key, gone[first : first + _REMOVED_AT_ONCE])
        tally.files += len(found)
        tally.removed += len(gone)
        works = [_Work(folder, file, known.get(file.path)) for file in found]
        due = [work for work in works if not _is_same(work)]
        tally.unchanged += len(works) - len(due)
        for work in works:
            if work.known is not None and work.known.problem and _is_same(work):
                tally.problems[work.found.path] = work.known.problem
        limit = anyio.CapacityLimiter(_AT_ONCE)
        total, done = len(due), 0

        async def handle(work: _Work) -> None:
            nonlocal done
            try:
                await self._handle(documents, work, tally)
            finally:
                limit.release_on_behalf_of(work)
            done += 1
            self.progress = (done, total)
            for report in list(self._reports):
                await report(done, total)

        async with anyio.create_task_group() as tasks:
            for work in due:
                await limit.acquire_on_behalf_of(work)
                tasks.start_soon(handle, work)

    async def _handle(self, documents: Documents, work: _Work, tally: Tally) -> None:
        """Index one file that is new or has another size or date."""
        found, known = work.found, work.known
        content = await work.folder.read(found.path, known.digest if known else "")
        if content is None and known is not None:
            tally.unchanged += 1
            state = DocumentState(
                found.path, known.digest, found.size, found.modified,
                known.title, known.problem, known.passages,
            )  # fmt: skip
            await documents.touch(work.folder.key, state)
            return
        if content is None:
            return
        if content.problem:
            tally.problems[found.path] = content.problem
        state = DocumentState(
            found.path, content.digest, found.size, found.modified, content.title, content.problem
        )
        await documents.replace(work.folder.key, state, content.passages)
        if known is None:
            tally.added += 1
        else:
            tally.changed += 1

    async def _make_vectors(self, documents: Documents) -> None:
        try:
            await documents.catch_up()
            self.trouble = ""
        except EmbedderError as error:
            self.trouble = str(error)
            log.warning("Vectors of documents wait: %s", error)
        except StoreError as error:
            log.warning("Vectors of documents are not made: %s", error)


def _note_failure(look: asyncio.Task[Tally]) -> None:
    if not look.cancelled() and (error := look.exception()) is not None:
        log.warning("The look at the folders of documents failed: %s", error)


def _is_same(work: _Work) -> bool:
    known, found = work.known, work.found
    return known is not None and (known.size, known.modified) == (found.size, found.modified)
