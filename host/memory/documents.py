"""Keeps the passages of a user's documents and finds them, by words and by meaning.

Passages are records like memories, but of a user of their own, so that a person's memory, its
statistics, listings and exports hold nothing of their files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from host.domain.principal import Principal
from host.memory.access import Access
from host.memory.config import MemoryConfig, RankingConfig
from host.memory.embedder import Embedder
from host.memory.embedding import Caught, Progress, catch_up
from host.memory.record import Draft, Filter, SearchResult
from host.memory.search import search
from host.memory.table import insert_drafts, unindex_entries
from host.storage.store import Database, Store

RANKING = RankingConfig(recency=0, importance=0)
"""When a file was indexed says nothing about how well it answers."""

_SAVE = """
insert into host.memory_documents
    (user_id, folder, path, digest, size, modified, title, problem, passages)
values (%(user)s, %(folder)s, %(path)s, %(digest)s, %(size)s, %(modified)s, %(title)s,
    %(problem)s, %(passages)s)
on conflict (user_id, folder, path) do update set
    digest = excluded.digest, size = excluded.size, modified = excluded.modified,
    title = excluded.title, problem = excluded.problem, passages = excluded.passages,
    indexed = now()
"""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document.

    Attributes:
        text: What it says.
        unit: What `first` and `last` count: `line`, `page` or `paragraph`.
    """

    text: str
    unit: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class DocumentState:
    """A file as it was when it was indexed.

    Attributes:
        path: From its folder on.
        digest: Of its content.
        size: In bytes.
        modified: When the file system says it changed, in nanoseconds.
        title: As the document names itself; empty if it does not.
        problem: Why it has no passages; empty if it was read.
        passages: How many there are.
        indexed: When; None before it was written.
    """

    path: str
    digest: str
    size: int
    modified: int
    title: str = ""
    problem: str = ""
    passages: int = 0
    indexed: datetime | None = None


class Documents:
    """The indexed documents of one user.

    Args:
        store: The database.
        user: Whose documents they are; row-level security holds to it.
        config: Embedder and language; the ranking is the documents' own.
        embedder: Makes vectors; None is the configured one.
    """

    def __init__(
        self, store: Store, user: str, config: MemoryConfig, *, embedder: Embedder | None = None
    ) -> None:
        # No credential names a user with a control character, so nobody else is this one.
        principal = Principal(f"documents\x1f{user}", "search")
        config = config.model_copy(update={"ranking": RANKING})
        self.access = Access.of(store, principal, config, embedder=embedder)

    async def files(self, folder: str) -> dict[str, DocumentState]:
        """Return what is indexed of a folder, by path."""
        async with self.access.transaction() as database:
            rows = await (
                await database.execute(
                    "select path, digest, size, modified, title, problem, passages, indexed"
                    " from host.memory_documents where user_id = %s and folder = %s order by path",
                    [self.access.user, folder],
                )
            ).fetchall()
        return {row["path"]: DocumentState(**row) for row in rows}

    async def replace(self, folder: str, state: DocumentState, passages: Sequence[Passage]) -> None:
        """Write a file's passages in place of those it had, all at once."""
        drafts = [
            Draft(
                passage.text.replace("\0", ""),
                "note",
                "agent",
                agent=folder,
                label=(state.title or state.path).replace("\0", "")[:200],
                source=state.path,
                data={"unit": passage.unit, "first": passage.first, "last": passage.last},
            )
            for passage in passages
        ]
        async with self.access.transaction() as database:
            await self._lock(database, folder, state.path)
            await self._drop(database, folder, [state.path])
            await self._save(database, folder, state, len(drafts))
            if drafts:
                await insert_drafts(
                    database, drafts, user=self.access.user, language=self.access.config.language
                )

    async def touch(self, folder: str, state: DocumentState) -> None:
        """Note that a file has another date and still the same content."""
        async with self.access.transaction() as database:
            await self._save(database, folder, state, state.passages)

    async def remove(self, folder: str, paths: Sequence[str]) -> None:
        """Take files out of the index."""
        async with self.access.transaction() as database:
            await self._drop(database, folder, paths)
            await database.execute(
                "delete from host.memory_documents where user_id = %s and folder = %s"
                " and path = any(%s)",
                [self.access.user, folder, list(paths)],
            )

    async def search(
        self, query: str, folders: Sequence[str], *, path: str = "", most: int = 10
    ) -> SearchResult:
        """Return the passages that fit a query best; a hit's record tells file and place.

        Args:
            query: Words or a question.
            folders: Of which folders.
            path: Of which file only, from its folder on.
            most: How many.
        """
        wanted = Filter(everything=True, scopes=("agent",), agents=tuple(folders), source=path)
        return await search(self.access, query, wanted, most=most, diversity=0.1)

    async def catch_up(self, progress: Progress | None = None) -> Caught:
        """Give a vector to every passage that has none of the embedder in use."""
        return await catch_up(self.access, progress)

    async def _lock(self, database: Database, folder: str, path: str) -> None:
        """Let two processes of one user write a file one after the other."""
        await database.execute(
            "select pg_advisory_xact_lock(hashtextextended(%s, 2))",
            [f"{self.access.user}\x1f{folder}\x1f{path}"],
        )

    async def _drop(self, database: Database, folder: str, paths: Sequence[str]) -> None:
        rows = await (
            await database.execute(
                "select entry from host.memory_records where user_id = %s and agent = %s"
                " and source = any(%s) and source <> ''",
                [self.access.user, folder, list(paths)],
            )
        ).fetchall()
        entries = [row["entry"] for row in rows]
        if entries:
            await unindex_entries(database, entries)
            await database.execute(
                "delete from host.memory_records where entry = any(%s)", [entries]
            )

    async def _save(
        self, database: Database, folder: str, state: DocumentState, passages: int
    ) -> None:
        values = {"user": self.access.user, "folder": folder, "passages": passages}
        for name in ("path", "digest", "size", "modified", "title", "problem"):
            values[name] = getattr(state, name)
        values["title"] = state.title.replace("\0", "")[:500]
        await database.execute(_SAVE, values)
