"""Finds records by their words, ranked by BM25 with statistics of the caller's own records.

PostgreSQL stems and counts the words (`to_tsvector`); the counts are kept as rows (term, record),
because an ordinary index on equality is the only one that row-level security lets a search use: the
operators of text search indexes are not leakproof, so they are tried only on rows already let
through.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from host.memory.config import RankingConfig
from host.memory.record import COLUMNS, EVERYBODY, Filter, Record
from host.memory.table import where_of
from host.storage.store import Database

SCAN_BUDGET = 20_000
"""Postings read for one search, of the rarest words first; more only if a filter leaves too few."""
WIDE_BUDGET = 200_000
"""Postings read then, and all of the rarest word's."""
_FIRST_LOOK = 300
"""Best candidates that are filtered first; only if too few remain are all of them."""

_STATISTICS = """
select t.term, sum(t.found)::bigint as found
from unnest(to_tsvector(%(language)s::regconfig, %(query)s)) w
join host.memory_terms t on t.space = any(%(spaces)s) and t.term = w.lexeme
group by t.term
"""

_CORPUS = """
select coalesce(array_agg(space order by space), '{}') as spaces,
    coalesce(sum(records), 0)::bigint as records, coalesce(sum(words), 0)::bigint as words
from host.memory_corpora where space = any(%(spaces)s) and records > 0
"""

_TERM_SCORE = "t.weight / (1 + (%(flat)s + %(steep)s * p.length) / p.count)"
"""BM25's part of one word; `offset 0` below keeps it from being computed for each use of it."""

# Of a word that is read in part, the newest records are candidates; what it adds to a record's
# score is looked up afterwards, as for the words that are not read at all.
# Rounded, since the last digit of a sum depends on the order in which its parts are read: records
# that fit equally well would change places from one search to the next.
_SEARCH = """
with chosen as (
    select entry, sum(score) filter (where whole) as score
    from (
        select p.entry, {score} as score, t.most is null as whole
        from unnest(%(terms)s::text[], %(weights)s::float8[], %(most_of)s::bigint[])
            t (term, weight, most)
        cross join unnest(%(spaces)s::text[]) s (space)
        cross join lateral (
            select p.entry, p.count, p.length from host.memory_postings p
            where p.space = s.space and p.term = t.term order by p.entry desc limit t.most
        ) p
        offset 0
    ) read
    group by entry
    order by sum(score) desc, entry
    limit %(look)s
),
scored as (
    select l.entry, round((coalesce(l.score, 0) + coalesce((
        select sum({score})
        from unnest(%(more_terms)s::text[], %(more_weights)s::float8[]) t (term, weight)
        join host.memory_postings p
            on p.space = any(%(spaces)s) and p.term = t.term and p.entry = l.entry
    ), 0)) * 1e9) / 1e9 as score
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


@dataclass(frozen=True, slots=True)
class _Reading:
    """Which postings are read.

    Attributes:
        leading: Words whose postings are all read.
        partly: A word of whose postings the newest are read as well.
        part: How many of them.
        others: Words that only score what was found, among them `partly`.
    """

    leading: list[_Term]
    partly: _Term | None
    part: int
    others: list[_Term]

    @property
    def postings(self) -> int:
        """How many are read."""
        return sum(term.found for term in self.leading) + (self.part if self.partly else 0)

    def values(self) -> dict[str, Any]:
        """Return the parameters of a search."""
        read = [*self.leading, *([self.partly] if self.partly else [])]
        return {
            "terms": [term.word for term in read],
            "weights": [term.weight for term in read],
            "most_of": [None] * len(self.leading) + [self.part] * (self.partly is not None),
            "more_terms": [term.word for term in self.others],
            "more_weights": [term.weight for term in self.others],
        }


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
    if corpus is None or not corpus["spaces"]:
        return []
    rows = await (await database.execute(_STATISTICS, given)).fetchall()
    terms = _weigh(rows, int(corpus["records"]), k1=ranking.k1)
    if not terms:
        return []
    average = max(1.0, int(corpus["words"]) / max(1, int(corpus["records"])))
    where, values = where_of(wanted, user=user)
    values |= {
        "spaces": corpus["spaces"],
        "flat": ranking.k1 * (1 - ranking.b),
        "steep": ranking.k1 * ranking.b / average,
        "most": ranking.candidates,
    }
    statement = _SEARCH.format(score=_TERM_SCORE, columns=COLUMNS, where=where).encode()
    found: list[Scored] = []
    for reading, look in _steps(terms):
        rows = await (
            await database.execute(statement, values | reading.values() | {"look": look})
        ).fetchall()
        found = [Scored(Record.of_row(row), float(row["score"])) for row in rows]
        if len(found) >= ranking.candidates:
            break
    return found


def _weigh(rows: list[dict[str, Any]], records: int, *, k1: float) -> list[_Term]:
    """Return the words that occur, rarest first, with Lucene's form of the inverse frequency.

    A word's weight is what it adds at most, however often a record has it.
    """
    terms = [
        _Term(
            row["term"],
            int(row["found"]),
            (k1 + 1)
            * math.log(
                1 + (max(records, row["found"]) - row["found"] + 0.5) / (row["found"] + 0.5)
            ),
        )
        for row in rows
    ]
    return sorted(terms, key=lambda term: (term.found, term.word))


def _steps(terms: list[_Term]) -> Iterator[tuple[_Reading, int | None]]:
    """Yield what is read and how many candidates are filtered, ever more of both.

    Without a filter the first step nearly always finds enough; one that lets few records through
    has to see more.
    """
    narrow, wide = _plan(terms, SCAN_BUDGET, whole=False), _plan(terms, WIDE_BUDGET, whole=True)
    yield narrow, _FIRST_LOOK
    if narrow.postings > _FIRST_LOOK:
        yield narrow, None
    if wide.postings > narrow.postings:
        yield wide, None


def _plan(terms: list[_Term], budget: int, *, whole: bool) -> _Reading:
    """Return which words are read, rarest first, until the budget is spent.

    Args:
        terms: Rarest first.
        budget: Postings.
        whole: Whether the rarest word is read whatever it takes, and no other in part.
    """
    leading: list[_Term] = []
    left = budget
    for term in terms:
        if term.found > left and (leading or not whole):
            break
        leading.append(term)
        left -= term.found
    partly = terms[len(leading)] if left > 0 and not whole and len(leading) < len(terms) else None
    return _Reading(leading, partly, left, terms[len(leading) :])
