"""Core memory: a few named blocks that are always in an agent's context, edited in place."""

from dataclasses import dataclass

from host.domain.errors import MemoryRecordError, NotFoundError
from host.memory import versions
from host.memory.access import Access
from host.memory.record import Change, Draft, Record, Scope
from host.memory.table import fetch_records, insert_drafts
from host.storage.store import Database

_BLOCKS = """
where r.user_id = %(user)s and r.tier = 'core' and r.superseded is null and r.forgotten is null
    and (r.scope = 'user' or r.scope = 'agent' and r.agent = %(agent)s)
order by r.scope desc, r.label
"""
_SIZES = """
select r.label, r.scope, r.agent, length(r.text) as size from host.memory_records r
where r.user_id = %(user)s and r.tier = 'core' and r.superseded is null and r.forgotten is null
"""
_LONGEST_LABEL = 100


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a block.

    Attributes:
        text: The new text, or what is put in `old`'s place or at the end.
        old: What is replaced; it must occur exactly once. None replaces everything.
        append: Whether the text is added on a line of its own.
    """

    text: str
    old: str | None = None
    append: bool = False


class CoreMemory:
    """The core blocks of a user, and of each of their agents."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def read(self, agent: str = "") -> list[Record]:
        """Return the user's blocks and those of one agent."""
        async with self._access.transaction() as database:
            return await self._blocks(database, agent)

    async def write(self, label: str, edit: Edit, *, agent: str = "") -> Record | None:
        """Write, extend or edit a block; an empty result removes it (it can be restored).

        Args:
            label: The block's name.
            edit: The change.
            agent: Whose block it is; empty is the user's own, which all their agents see.

        Returns:
            The block; None if it was removed.

        Raises:
            MemoryRecordError: It would be too long, its name does not fit, or `old` does not occur
                exactly once.
        """
        check_label(label)
        scope: Scope = "agent" if agent else "user"
        async with self._access.transaction() as database:
            await database.execute(
                "select pg_advisory_xact_lock(hashtextextended(%s, 1))", [self._access.user]
            )
            blocks = await self._blocks(database, agent)
            old = next((b for b in blocks if b.label == label and b.scope == scope), None)
            text = _edited(label, old.text if old else None, edit)
            if old is not None and old.text == text:
                return old
            if not text:
                if old is not None:
                    await versions.forget(database, self._access, [old.id])
                return None
            written = await self._put(database, label, text, old, agent)
            if old is None or len(text) > len(old.text):
                await check_sizes(database, self._access)
            return written

    async def _put(
        self, database: Database, label: str, text: str, old: Record | None, agent: str
    ) -> Record:
        if old is not None:
            return (await versions.supersede(database, self._access, old, Change(text)))[0]
        scope: Scope = "agent" if agent else "user"
        draft = Draft(text, "note", scope, agent, tier="core", label=label, importance=1.0)
        return await self._insert(database, draft)

    async def _insert(self, database: Database, draft: Draft) -> Record:
        access = self._access
        written = await insert_drafts(
            database, [draft], user=access.user, language=access.config.language
        )
        entry = {"entry": written[0][0]}
        return (await fetch_records(database, "where r.entry = %(entry)s", entry))[0]

    async def _blocks(self, database: Database, agent: str) -> list[Record]:
        return await fetch_records(database, _BLOCKS, {"user": self._access.user, "agent": agent})


def check_label(label: str) -> None:
    """Refuse a block's name that cannot stand between angle brackets around the block.

    Raises:
        MemoryRecordError: It has brackets, line ends or nothing in it.
    """
    plain = label.isprintable() and label == label.strip() and not set(label) & set("<>")
    if not plain or not 0 < len(label) <= _LONGEST_LABEL:
        raise MemoryRecordError(
            f"{label[:120]!r} cannot be the name of a core block.",
            next_step="Use up to 100 characters on one line, without < and >.",
        )


async def check_sizes(database: Database, access: Access) -> None:
    """Refuse what was written in this transaction if core memory is now longer than it may be.

    Raises:
        MemoryRecordError: Which block, or that all of them together are too long.
    """
    config = access.config
    rows = await (await database.execute(_SIZES, {"user": access.user})).fetchall()
    for row in rows:
        if row["size"] > config.core_block_chars:
            raise MemoryRecordError(
                f"The core block {row['label']!r} would have {row['size']} characters;"
                f" {config.core_block_chars} is the most.",
                next_step="Shorten it, and `remember` the details.",
            )
    everybody = sum(row["size"] for row in rows if row["scope"] == "user")
    for agent in {"", *(row["agent"] for row in rows if row["scope"] == "agent")}:
        own = sum(r["size"] for r in rows if r["scope"] == "agent" and r["agent"] == agent)
        if everybody + own > config.core_chars:
            whose = f" of agent {agent!r}" if agent else ""
            raise MemoryRecordError(
                f"All core blocks{whose} together would have {everybody + own} characters;"
                f" {config.core_chars} is the most.",
                next_step="Shorten or remove a block, and `remember` the details.",
            )


def _edited(label: str, before: str | None, edit: Edit) -> str:
    if edit.append:
        return f"{before}\n{edit.text}" if before else edit.text
    if edit.old is None:
        return edit.text
    if before is None:
        raise NotFoundError("core block", label, next_step="Write it without `old` first.")
    times = before.count(edit.old) if edit.old else 0
    if times != 1:
        raise MemoryRecordError(
            f"The text to be replaced occurs {times} times in the core block {label!r}.",
            next_step="Give a piece of it that occurs exactly once; `core_read` shows it.",
        )
    return before.replace(edit.old, edit.text)
