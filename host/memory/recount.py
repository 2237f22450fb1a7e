"""Counts the words of a user's records anew, should what searches rank by ever have drifted."""

from host.memory.access import Access
from host.memory.record import EVERYBODY

_LOCK = "select from host.memory_corpora where space = %(space)s for update"

_TERMS = """
with counted as (
    select term, count(*) as n from host.memory_postings where space = %(space)s group by term
),
wrong as (
    select term, coalesce(c.n, 0) as n
    from counted c
    full join (select * from host.memory_terms where space = %(space)s) t using (term)
    where c.n is distinct from t.found
),
removed as (
    delete from host.memory_terms t using wrong w
    where t.space = %(space)s and t.term = w.term and w.n = 0
),
mended as (
    insert into host.memory_terms (space, term, found)
    select %(space)s, term, n from wrong where n > 0
    on conflict (space, term) do update set found = excluded.found
)
select count(*) as n from wrong
"""

_CORPUS = """
insert into host.memory_corpora as known (space, records, words)
select %(space)s, count(distinct entry), coalesce(sum(count), 0)
from host.memory_postings where space = %(space)s
on conflict (space) do update set records = excluded.records, words = excluded.words
where (known.records, known.words) is distinct from (excluded.records, excluded.words)
"""


async def recount_words(access: Access) -> int:
    """Compare the counts of words with the records, and mend those that differ.

    Writers of the same user wait meanwhile, a few seconds for a million records.

    Returns:
        How many counts were wrong.
    """
    wrong = 0
    for space in (access.user, EVERYBODY):
        async with access.transaction() as database:
            values = {"space": space}
            await database.execute(_LOCK, values)
            row = await (await database.execute(_TERMS, values)).fetchone()
            wrong += int(row["n"]) if row else 0
            if space == access.user:
                wrong += (await database.execute(_CORPUS, values)).rowcount
    return wrong
