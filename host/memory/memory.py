"""One user's memory: the whole of what the server, the command line and agents ask of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from host.domain.errors import MemoryRecordError
from host.domain.principal import Principal
from host.memory import embedding, versions
from host.memory.access import Access
from host.memory.config import MemoryConfig
from host.memory.core import CoreMemory, check_sizes
from host.memory.embedder import Embedder
from host.memory.graph import Graph
from host.memory.likeness import text_digest
from host.memory.link import Link, add_link, links_of, remove_link
from host.memory.merge import Match, find_match
from host.memory.record import Change, Draft, Filter, Hit, Record, SearchResult
from host.memory.search import search
from host.memory.stats import Stats, read_stats
from host.memory.table import fetch_records, insert_drafts, where_of
from host.memory.versions import Forgotten
from host.storage.store import Database, Store

BULK = 500
"""Records that are written at a time."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What became of a record that was to be written.

    Attributes:
        outcome: `new`; `known`, if it said nothing new; `merged`, if it replaced one that said the
            same in nearly the same words.
        similar: Records that are close to it, to be updated or linked perhaps.
        notes: What the reader should know, such as that it has no vector yet.
    """

    record: Record
    outcome: str
    similar: list[Hit] = field(default_factory=list[Hit])
    notes: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of a listing.

    Attributes:
        records: Newest first.
        next_cursor: Where the next page begins; None after the last.
    """

    records: list[Record]
    next_cursor: int | None


class Memory:
    """The memory of one user.

    Args:
        store: The database.
        principal: Whose memory it is; row-level security holds to it.
        config: How it is set.
        embedder: Makes vectors; None is the configured one.
    """

    def __init__(
        self,
        store: Store,
        principal: Principal,
        config: MemoryConfig | None = None,
        *,
        embedder: Embedder | None = None,
    ) -> None:
        self.access = Access.of(store, principal, config or MemoryConfig(), embedder=embedder)
        self.core = CoreMemory(self.access)
        self.graph = Graph(self.access)

    async def remember(self, draft: Draft, *, merge: bool = True) -> Remembered:
        """Write a record, unless one of the same place and kind says the same already.

        Args:
            draft: The record.
            merge: Whether it may merge into one in nearly the same words.

        Raises:
            MemoryRecordError: It is empty, too long, or its scope lacks an agent or a session.
        """
        self._check(draft)
        embedded = await self.access.embed([draft.text], "record")
        vector = embedded.vectors[0] if embedded.vectors else None
        notes = [f"{embedded.note} It is found by its words until then."] if embedded.note else []
        async with self.access.transaction() as database:
            match = await find_match(database, self.access, draft, vector=vector, merge=merge)
            if match.same is not None and _adds_nothing(match.same, draft):
                return Remembered(match.same, "known", [], notes)
            record, outcome = await self._write(database, draft, match)
            if embedded.vectors:
                await embedding.store_vectors(
                    database, self.access, [record.entry], embedded.vectors
                )
        return Remembered(record, outcome, match.similar, notes)

    async def _write(self, database: Database, draft: Draft, match: Match) -> tuple[Record, str]:
        if match.same is not None:
            change = Change(
                text=draft.text,
                tags=tuple(dict.fromkeys((*match.same.tags, *draft.tags))),
                importance=max(match.same.importance, draft.importance),
                source=draft.source or None,
            )
            record, _ = await versions.supersede(database, self.access, match.same, change)
            return record, "merged"
        written = await insert_drafts(
            database, [draft], user=self.access.user, language=self.access.config.language
        )
        found = await fetch_records(database, "where r.entry = %(entry)s", {"entry": written[0][0]})
        return found[0], "new"

    async def remember_many(self, drafts: Sequence[Draft]) -> list[str]:
        """Write many records without looking for similar ones; vectors follow with `catch_up`.

        Returns:
            Their ids, in the order given.
        """
        for draft in drafts:
            self._check(draft)
        ids: list[str] = []
        for start in range(0, len(drafts), BULK):
            async with self.access.transaction() as database:
                written = await insert_drafts(
                    database,
                    drafts[start : start + BULK],
                    user=self.access.user,
                    language=self.access.config.language,
                )
            ids += [record_id for _, record_id in written]
        return ids

    async def update(self, record_id: str, change: Change) -> Remembered:
        """Write a record's next version; the old one stays in its history."""
        if change.text is not None:
            self._check(Draft(change.text))
        _check_validity(change.valid_from, change.valid_until)
        if not change.given():
            raise MemoryRecordError(
                f"The update of memory {record_id!r} changes nothing.",
                next_step="Give a new text, kind, tags, importance, source or validity.",
            )
        async with self.access.transaction() as database:
            old = await versions.get_own(database, self.access, record_id)
        if old.tier == "core" or old.kind == "entity":
            raise MemoryRecordError(
                f"Memory {record_id!r} is {'a core block' if old.tier == 'core' else 'an entity'}.",
                next_step="Change it with `core_write`, or with the tools for observations.",
            )
        embedded = await self.access.embed([change.text or old.text], "record")
        async with self.access.transaction() as database:
            # Again, and locked: somebody may have changed it meanwhile.
            await database.execute(
                "select from host.memory_records where user_id = %s and id = %s for update",
                [self.access.user, record_id],
            )
            old = await versions.get_own(database, self.access, record_id)
            record, entry = await versions.supersede(database, self.access, old, change)
            if embedded.vectors:
                await embedding.store_vectors(database, self.access, [entry], embedded.vectors)
        return Remembered(record, "updated", [], [embedded.note] if embedded.note else [])

    async def forget(self, ids: Sequence[str]) -> Forgotten:
        """Take records out of sight; `restore` brings them back."""
        async with self.access.transaction() as database:
            return await versions.forget(database, self.access, ids)

    async def restore(self, ids: Sequence[str]) -> Forgotten:
        """Bring forgotten records back."""
        async with self.access.transaction() as database:
            done = await versions.restore(database, self.access, ids)
            if any(record.tier == "core" for record in done.records):
                await check_sizes(database, self.access)
            return done

    async def purge(self, ids: Sequence[str]) -> int:
        """Remove forgotten records and their history for good."""
        async with self.access.transaction() as database:
            return await versions.purge(database, self.access, ids)

    async def purge_expired(self) -> int:
        """Remove what was forgotten longer ago than the configuration keeps it."""
        days = self.access.config.forgotten_days
        if days == 0:
            return 0
        async with self.access.transaction() as database:
            moment = datetime.now(UTC) - timedelta(days=days)
            return await versions.purge_before(database, self.access, moment)

    async def get(self, record_id: str) -> Record:
        """Return a record's latest version."""
        async with self.access.transaction() as database:
            return await versions.get_record(database, record_id)

    async def history(self, record_id: str) -> list[Record]:
        """Return all versions of a record, newest first."""
        async with self.access.transaction() as database:
            latest = await versions.get_record(database, record_id)
            return await fetch_records(
                database,
                "where r.user_id = %(user)s and r.id = %(id)s order by r.version desc",
                {"user": latest.user_id, "id": record_id},
            )

    async def page(
        self, wanted: Filter | None = None, *, most: int = 50, cursor: int | None = None
    ) -> Page:
        """Return a page of records, newest first."""
        where, values = where_of(wanted or Filter(), user=self.access.user)
        values |= {"cursor": cursor, "most": most + 1}
        async with self.access.transaction() as database:
            found = await fetch_records(
                database,
                f"where {where} and (%(cursor)s::bigint is null or r.entry < %(cursor)s)"
                " order by r.entry desc limit %(most)s",
                values,
            )
        more = len(found) > most
        return Page(found[:most], found[most - 1].entry if more else None)

    async def search(
        self,
        query: str,
        wanted: Filter | None = None,
        *,
        most: int = 10,
        diversity: float = 0.0,
    ) -> SearchResult:
        """Return the records that fit a query best.

        Args:
            query: Words or a question.
            wanted: Among which records.
            most: How many.
            diversity: From 0, the best, to 1, as different as can be.
        """
        return await search(self.access, query, wanted or Filter(), most=most, diversity=diversity)

    async def link(self, origin: str, target: str, kind: str) -> Link:
        """Link a record to another one, if it is not yet."""
        async with self.access.transaction() as database:
            await versions.get_record(database, origin)
            await versions.get_record(database, target)
            return await add_link(database, self.access, Link(origin, target, kind))

    async def unlink(self, origin: str, target: str, kind: str) -> bool:
        """Remove a link; return whether there was one."""
        async with self.access.transaction() as database:
            return await remove_link(database, self.access, Link(origin, target, kind))

    async def links(self, ids: Sequence[str]) -> list[Link]:
        """Return the links from and to some records."""
        async with self.access.transaction() as database:
            return await links_of(database, self.access, ids)

    async def stats(self) -> Stats:
        """Return how much there is, and how it can be searched."""
        return await read_stats(self.access)

    async def catch_up(self, progress: embedding.Progress | None = None) -> embedding.Caught:
        """Give a vector to every record that has none of the embedder in use."""
        return await embedding.catch_up(self.access, progress)

    def _check(self, draft: Draft) -> None:
        if not draft.text.strip():
            raise MemoryRecordError("The text is empty.", next_step="Say what to remember.")
        most = self.access.config.max_text_chars
        if len(draft.text) > most:
            raise MemoryRecordError(
                f"The text has {len(draft.text)} characters; {most} is the most.",
                next_step="Split it into several memories, or raise `max_text_chars`.",
            )
        if "\0" in draft.text:
            raise MemoryRecordError("The text has a NUL character.", next_step="Leave it out.")
        if draft.tier == "core":
            raise MemoryRecordError(
                "A core block has a name and a size.", next_step="Write it with `core_write`."
            )
        _check_validity(draft.valid_from, draft.valid_until)
        for scope in ("agent", "session"):
            if draft.scope == scope and not getattr(draft, scope):
                raise MemoryRecordError(
                    f"The scope {scope!r} needs to know which {scope}.",
                    next_step=f"Give `{scope}`, or use the scope 'user'.",
                )


def _check_validity(since: datetime | None, until: datetime | None) -> None:
    """Refuse a time that ends before it begins.

    Raises:
        MemoryRecordError: Both are given, and it does.
    """
    if since is not None and until is not None and _aware(until) < _aware(since):
        raise MemoryRecordError(
            f"valid_until ({until.isoformat()}) is before valid_from ({since.isoformat()}).",
            next_step="Exchange them, or leave one out.",
        )


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _adds_nothing(known: Record, draft: Draft) -> bool:
    return (
        text_digest(known.text) == text_digest(draft.text)
        and set(draft.tags) <= set(known.tags)
        and draft.importance <= known.importance
    )
