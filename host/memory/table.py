"""Writes and reads rows of records, together with the words they are found by."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from host.memory.likeness import text_digest
from host.memory.record import COLUMNS, EVERYBODY, Draft, Filter, Record, new_id
from host.storage.store import Database

_INSERT = """
insert into host.memory_records (
    id, version, user_id, scope, space, agent, session, tier, kind, label, text, data, digest,
    language, importance, source, tags, created, recorded, superseded, valid_from, valid_until,
    forgotten
)
select
    id, version, %(user)s, scope, case when scope = 'shared' then '*' else %(user)s end, agent,
    session, tier, kind, label, text, data, digest, %(language)s, importance, source,
    coalesce(tags, '{}'), coalesce(created, now()), coalesce(recorded, now()), superseded,
    coalesce(valid_from, now()), valid_until, forgotten
from jsonb_to_recordset(%(rows)s::jsonb) as given (
    place integer, id text, version integer, scope text, agent text, session text, tier text,
    kind text, label text, text text, data jsonb, digest text, importance real, source text,
    tags text[], created timestamptz, recorded timestamptz, superseded timestamptz,
    valid_from timestamptz, valid_until timestamptz, forgotten timestamptz
)
order by place
returning entry, id, version
"""

_INDEX = """
with words as (
    select r.entry, r.space, w.lexeme, cardinality(w.positions) as count,
        sum(cardinality(w.positions)) over (partition by r.entry) as length
    from host.memory_records r,
        unnest(to_tsvector(r.language::regconfig, concat_ws(' ', r.label, r.text,
            array_to_string(r.tags, ' ')))) w
    where r.entry = any(%(entries)s) and r.forgotten is null
),
added as (
    insert into host.memory_postings (space, term, entry, count, length)
    select space, lexeme, entry, count, length from words
    on conflict do nothing
    returning space, term, entry, count
),
counted as (
    insert into host.memory_terms as known (space, term, found)
    select space, term, count(*) from added group by space, term order by space, term
    on conflict (space, term) do update set found = known.found + excluded.found
)
insert into host.memory_corpora (space, records, words)
select space, count(distinct entry), sum(count) from added group by space order by space
on conflict (space) do update set
    records = host.memory_corpora.records + excluded.records,
    words = host.memory_corpora.words + excluded.words
"""

_LOCK = """
select from host.memory_corpora where space in (
    select space from host.memory_records where entry = any(%(entries)s)
) order by space for update
"""

_UNINDEX = """
with gone as (
    delete from host.memory_postings where entry = any(%(entries)s)
    returning space, term, entry, count
),
fewer as (select space, term, count(*) as n from gone group by space, term),
counted as (
    update host.memory_terms t set found = t.found - fewer.n
    from fewer where t.space = fewer.space and t.term = fewer.term and t.found > fewer.n
),
removed as (
    delete from host.memory_terms t
    using fewer where t.space = fewer.space and t.term = fewer.term and t.found <= fewer.n
),
lost as (
    select space, count(distinct entry) as records, sum(count) as words from gone group by space
)
update host.memory_corpora c set records = c.records - lost.records, words = c.words - lost.words
from lost where c.space = lost.space
"""


async def insert_drafts(
    database: Database, drafts: Sequence[Draft], *, user: str, language: str
) -> list[tuple[int, str]]:
    """Write records and index their words.

    Returns:
        Each record's row and id, in the order given.
    """
    rows = [
        {
            **draft.fields(),
            "place": place,
            "id": draft.id or new_id(),
            "digest": text_digest(draft.text),
        }
        for place, draft in enumerate(drafts)
    ]
    values = {"rows": json.dumps(rows, default=_plain), "user": user, "language": language}
    found = await (await database.execute(_INSERT, values)).fetchall()
    entry_of = {(row["id"], row["version"]): int(row["entry"]) for row in found}
    written = [(entry_of[row["id"], row["version"]], str(row["id"])) for row in rows]
    await index_entries(database, [entry for entry, _ in written])
    return written


async def index_entries(database: Database, entries: Sequence[int]) -> None:
    """Make records findable by their words, unless they are already or are forgotten."""
    await database.execute(_INDEX, {"entries": list(entries)})


async def unindex_entries(database: Database, entries: Sequence[int]) -> None:
    """Take records out of what searches look at."""
    # Locked by a statement of its own, so that the next one sees what others counted until then.
    await database.execute(_LOCK, {"entries": list(entries)})
    await database.execute(_UNINDEX, {"entries": list(entries)})


def where_of(wanted: Filter, *, user: str) -> tuple[str, dict[str, Any]]:
    """Return the condition on the records `r` that a filter is, and its parameters.

    The condition on the space repeats what row-level security demands, in a form that has an index.
    """
    terms = ["r.space = any(%(spaces)s)"]
    values: dict[str, Any] = {"spaces": [user, EVERYBODY]}
    if wanted.forgotten:  # what is forgotten is its author's to see, and shared no longer
        terms.append("r.user_id = %(author)s")
        values["author"] = user
    if not wanted.everything:
        terms.append(
            "(r.scope in ('user', 'shared') or r.scope = 'agent' and r.agent = %(agent)s"
            " or r.scope = 'session' and r.session = %(session)s)"
        )
        values |= {"agent": wanted.agent, "session": wanted.session}
    for column, given in (
        ("agent", wanted.agents),
        ("scope", wanted.scopes),
        ("kind", wanted.kinds),
        ("tier", wanted.tiers),
    ):
        if given:
            terms.append(f"r.{column} = any(%({column}s)s)")
            values[f"{column}s"] = list(given)
    _add_values(wanted, terms, values)
    _add_times(wanted, terms, values)
    return " and ".join(terms), values


def _add_values(wanted: Filter, terms: list[str], values: dict[str, Any]) -> None:
    if wanted.tags:
        terms.append("r.tags @> %(tags)s::text[]")
        values["tags"] = list(wanted.tags)
    if wanted.source:
        terms.append("r.source = %(source)s")
        values["source"] = wanted.source
    if wanted.min_importance > 0:
        terms.append("r.importance >= %(importance)s")
        values["importance"] = wanted.min_importance


def _add_times(wanted: Filter, terms: list[str], values: dict[str, Any]) -> None:
    terms.append(f"r.forgotten is {'not ' if wanted.forgotten else ''}null")
    if wanted.at is not None:
        terms.append(
            "r.valid_from <= %(at)s"
            " and %(at)s < coalesce(r.valid_until, r.superseded, 'infinity'::timestamptz)"
        )
        values["at"] = wanted.at
    elif not wanted.superseded:
        terms.append("r.superseded is null")
        if not wanted.forgotten:
            terms.append("(r.valid_until is null or r.valid_until > now())")
    if wanted.since is not None:
        terms.append("r.recorded >= %(since)s")
        values["since"] = wanted.since
    if wanted.until is not None:
        terms.append("r.recorded < %(until)s")
        values["until"] = wanted.until


async def fetch_records(
    database: Database, tail: str, values: dict[str, Any] | None = None
) -> list[Record]:
    """Return the records of a statement's part after `from host.memory_records r`."""
    statement = f"select {COLUMNS} from host.memory_records r {tail}"  # noqa: S608 - no values
    rows = await (await database.execute(statement.encode(), values)).fetchall()
    return [Record.of_row(row) for row in rows]


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    raise TypeError(type(value).__name__)
