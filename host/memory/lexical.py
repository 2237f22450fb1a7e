"""Finds records by their words, ranked by BM25 with statistics of the caller's own records.

PostgreSQL stems and counts the words (`to_tsvector`); the counts are kept as rows (term, record),
because an ordinary index on equality is the only one that row-level security lets a search use: the
operators of text search indexes are not leakproof, so they are tried only on rows already let
through.
"""

import math
from dataclasses import dataclass
from typing import Any

from host.memory.config import RankingConfig
from host.memory.record import COLUMNS, EVERYBODY, Filter, Record
from host.memory.table import where_of
from host.storage.store import Database

SCAN_BUDGET = 200_000
"""Postings read for one search; the most frequent words beyond it only score what others found."""
_FIRST_LOOK = 2000
"""Best candidates that are filtered first; only if too few remain are all of them."""

_STATISTICS = """
select lexeme, (
    select count(*) from host.memory_postings p where p.space = any(%(spaces)s) and p.term = lexeme
) as found
from unnest(to_tsvector(%(language)s::regconfig, %(query)s))
"""

_CORPUS = """
select coalesce(sum(records), 0)::bigint as records, coalesce(sum(words), 0)::bigint as words
from host.memory_corpora where space = any(%(spaces)s)
"""

_TERM_SCORE = (
    "t.weight * p.count * (%(k1)s + 1)"
    " / (p.count + %(k1)s * (1 - %(b)s + %(b)s * p.length / %(average)s))"
)

# Rounded, since the last digit of a sum depends on the order in which its parts are read: records
# that fit equally well would change places from one search to the next.
_SEARCH = """
with chosen as (
    select p.entry, round(sum({score}) * 1e9) / 1e9 as score
    from unnest(%(terms)s::text[], %(weights)s::float8[]) t (term, weight)
    join host.memory_postings p on p.space = any(%(spaces)s) and p.term = t.term
    group by p.entry
    order by score desc, p.entry
    limit %(look)s
),
scored as (
    select l.entry, l.score + coalesce((
        select round(sum({score}) * 1e9) / 1e9
        from unnest(%(more_terms)s::text[], %(more_weights)s::float8[]) t (term, weight)
        join host.memory_postings p
            on p.space = any(%(spaces)s) and p.term = t.term and p.entry = l.entry
    ), 0) as score
    from chosen l
)
select {columns}, s.score from scored s join host.memory_records r using (entry)
where {where}
order by s.score desc, r.entry
limit %(most)s
"""


@dataclass(frozen=True, slots=True)
class Scored:
    """A record with what one way of searching gave it."""

    record: Record
    score: float


@dataclass(frozen=True, slots=True)
class _Term:
    word: str
    found: int
    weight: float


async def search_words(
    database: Database,
    query: str,
    wanted: Filter,
    *,
    user: str,
    language: str,
    ranking: RankingConfig,
) -> list[Scored]:
    """Return the records with words of the query, best first."""
    given = {"spaces": [user, EVERYBODY], "language": language, "query": query}
    corpus = await (await database.execute(_CORPUS, given)).fetchone()
    rows = await (await database.execute(_STATISTICS, given)).fetchall()
    terms = _weigh(rows, int(corpus["records"]) if corpus else 0)
    if corpus is None or not terms:
        return []
    average = max(1.0, int(corpus["words"]) / max(1, int(corpus["records"])))
    leading, others = _split(terms)
    where, values = where_of(wanted, user=user)
    values |= {
        "terms": [term.word for term in leading],
        "weights": [term.weight for term in leading],
        "more_terms": [term.word for term in others],
        "more_weights": [term.weight for term in others],
        "k1": ranking.k1,
        "b": ranking.b,
        "average": average,
        "most": ranking.candidates,
        "look": _FIRST_LOOK,
    }
    statement = _SEARCH.format(score=_TERM_SCORE, columns=COLUMNS, where=where).encode()
    found = await _run(database, statement, values)
    if len(found) < ranking.candidates and sum(term.found for term in leading) > _FIRST_LOOK:
        found = await _run(database, statement, values | {"look": None})
    return found


async def _run(database: Database, statement: bytes, values: dict[str, Any]) -> list[Scored]:
    rows = await (await database.execute(statement, values)).fetchall()
    return [Scored(Record.of_row(row), float(row["score"])) for row in rows]


def _weigh(rows: list[dict[str, Any]], records: int) -> list[_Term]:
    """Return the words that occur, rarest first, with Lucene's form of the inverse frequency."""
    terms = [
        _Term(
            row["lexeme"],
            int(row["found"]),
            math.log(1 + (max(records, row["found"]) - row["found"] + 0.5) / (row["found"] + 0.5)),
        )
        for row in rows
        if row["found"]
    ]
    return sorted(terms, key=lambda term: (term.found, term.word))


def _split(terms: list[_Term]) -> tuple[list[_Term], list[_Term]]:
    """Return the words that choose candidates, and those too frequent for it."""
    leading: list[_Term] = []
    scanned = 0
    for term in terms:
        if leading and scanned + term.found > SCAN_BUDGET:
            break
        leading.append(term)
        scanned += term.found
    return leading, terms[len(leading) :]
