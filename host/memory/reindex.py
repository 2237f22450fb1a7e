"""Renews the words by which a user's records are found, for the language that is set now."""

from host.memory.access import Access
from host.memory.embedding import Progress
from host.memory.table import index_entries, unindex_entries

BATCH = 500
"""Records that are renewed in one transaction."""

_BATCH = """
select entry from host.memory_records
where user_id = %s and forgotten is null and entry > %s order by entry limit %s
"""


async def renew_words(access: Access, progress: Progress | None = None) -> int:
    """Index all records of a user anew, in steps that searches may come between.

    Returns:
        How many versions of records there were.
    """
    async with access.transaction() as database:
        row = await (
            await database.execute(
                "select count(*) as n from host.memory_records"
                " where user_id = %s and forgotten is null",
                [access.user],
            )
        ).fetchone()
    total, done, last = int(row["n"]) if row else 0, 0, 0
    while True:
        async with access.transaction() as database:
            rows = await (await database.execute(_BATCH, [access.user, last, BATCH])).fetchall()
            entries = [int(found["entry"]) for found in rows]
            if not entries:
                return done
            await unindex_entries(database, entries)
            await database.execute(
                "update host.memory_records set language = %s where entry = any(%s)",
                [access.config.language, entries],
            )
            await index_entries(database, entries)
        last = entries[-1]
        done += len(entries)
        if progress is not None:
            await progress(done, total)
