"""Looks, before a record is written, for one that says the same, and for similar ones."""

from dataclasses import dataclass

from host.memory.access import Access
from host.memory.embedder import Vector
from host.memory.embedding import current_embedder
from host.memory.lexical import search_words
from host.memory.likeness import likeness, says_same, text_digest
from host.memory.record import Draft, Filter, Hit, Record
from host.memory.table import fetch_records
from host.memory.vectors import search_vectors
from host.storage.store import Database

_LOOKED_AT = 10
_SIMILAR = 0.4
"""Share of words in common from which a record is worth mentioning."""

_EQUAL = """
where r.user_id = %(user)s and r.digest = %(digest)s and r.superseded is null
    and r.forgotten is null and r.scope = %(scope)s and r.agent = %(agent)s
    and r.session = %(session)s and r.tier = %(tier)s and r.kind = %(kind)s and r.label = %(label)s
order by r.entry limit 1
"""


@dataclass(frozen=True, slots=True)
class Match:
    """What there is already.

    Attributes:
        same: A record that says the same; None if there is none.
        similar: Other records close to it.
    """

    same: Record | None
    similar: list[Hit]


async def find_match(
    database: Database, access: Access, draft: Draft, *, vector: Vector | None, merge: bool
) -> Match:
    """Return what a draft may merge into, among the user's records of its scope, tier and kind.

    Two writers of equal texts come after each other, so that the second finds the first's.
    """
    digest = text_digest(draft.text)
    await database.execute(
        "select pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{access.user} {digest}"]
    )
    values = {**draft.fields(), "user": access.user, "digest": digest}
    equal = await fetch_records(database, _EQUAL, values)
    if equal and merge:
        return Match(equal[0], [])
    if not merge or draft.tier == "recall":
        return Match(None, [])
    hits = await _close_records(database, access, draft, vector)
    least = access.config.merge_similarity
    for hit in hits:
        cosine = hit.similarity
        if (
            least
            and _same_place(hit.record, draft, access.user)
            and says_same(hit.record.text, draft.text, least=least, cosine=cosine)
        ):
            return Match(hit.record, [other for other in hits if other is not hit][:3])
    return Match(None, [hit for hit in hits if hit.score >= _SIMILAR][:3])


async def _close_records(
    database: Database, access: Access, draft: Draft, vector: Vector | None
) -> list[Hit]:
    wanted = Filter(agent=draft.agent, session=draft.session, tiers=("archival",))
    ranking = access.config.ranking.model_copy(update={"candidates": _LOOKED_AT})
    found = await search_words(
        database,
        draft.text,
        wanted,
        user=access.user,
        language=access.config.language,
        ranking=ranking,
    )
    records = {scored.record.entry: scored.record for scored in found}
    cosines: dict[int, float] = {}
    embedder = await current_embedder(database, access) if vector else None
    if vector and embedder is not None:
        near = await search_vectors(
            database, vector, wanted, user=access.user, embedder=embedder, most=_LOOKED_AT
        )
        cosines = {scored.record.entry: scored.score for scored in near}
        records |= {scored.record.entry: scored.record for scored in near}
    hits = [
        Hit(record, likeness(record.text, draft.text), None, cosines.get(entry))
        for entry, record in records.items()
    ]
    return sorted(hits, key=lambda hit: (-hit.score, hit.record.entry))


def _same_place(record: Record, draft: Draft, user: str) -> bool:
    return record.user_id == user and all(
        getattr(record, name) == getattr(draft, name)
        for name in ("scope", "agent", "session", "tier", "kind", "label")
    )
