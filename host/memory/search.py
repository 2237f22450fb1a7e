"""A search: by words and by vectors where there are any, fused and thinned out."""

from host.memory.access import Access
from host.memory.embedding import current_embedder
from host.memory.lexical import search_words
from host.memory.ranking import diversify, fuse
from host.memory.record import Filter, Hit, SearchResult
from host.memory.vectors import search_vectors

NO_EMBEDDER = "No embedder is configured: words were searched, not meaning."


async def search(
    access: Access, query: str, wanted: Filter, *, most: int, diversity: float
) -> SearchResult:
    """Return the records that fit a query best, each in its latest fitting version."""
    config = access.config
    embedded = await access.embed([query], "query")
    async with access.transaction() as database:
        lexical = await search_words(
            database,
            query,
            wanted,
            user=access.user,
            language=config.language,
            ranking=config.ranking,
        )
        number = await current_embedder(database, access) if embedded.vectors else None
        near = (
            await search_vectors(
                database,
                embedded.vectors[0],
                wanted,
                user=access.user,
                embedder=number,
                most=config.ranking.candidates,
            )
            if embedded.vectors and number is not None
            else []
        )
    hits = fuse(lexical, near, config.ranking)
    if not wanted.superseded:
        hits = _latest(hits)
    ways = ("lexical", "vector") if embedded.vectors else ("lexical",)
    notes = [embedded.note] if embedded.note else []
    if access.embedder is None:
        notes.append(NO_EMBEDDER)
    return SearchResult(diversify(hits, most=most, diversity=diversity), ways, notes)


def _latest(hits: list[Hit]) -> list[Hit]:
    """Keep one version of each record; at a past moment two may have been valid."""
    newest: dict[tuple[str, str], int] = {}
    for hit in hits:
        key = (hit.record.user_id, hit.record.id)
        newest[key] = max(newest.get(key, 0), hit.record.version)
    return [h for h in hits if newest[h.record.user_id, h.record.id] == h.record.version]
