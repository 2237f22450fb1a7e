"""Joins what words and vectors found into one order, and avoids telling the same twice."""

from collections.abc import Sequence
from datetime import UTC, datetime

from host.memory.config import RankingConfig
from host.memory.lexical import Scored
from host.memory.likeness import words_of
from host.memory.record import Hit, Record

_DAY = 86_400.0


def fuse(
    lexical: Sequence[Scored],
    vector: Sequence[Scored],
    ranking: RankingConfig,
    *,
    now: datetime | None = None,
) -> list[Hit]:
    """Return all hits of both ways, best first.

    The relevance from 0 to 1 is joined with recency and importance by their weights.

    Args:
        lexical: What words found, best first.
        vector: What vectors found, best first.
        ranking: The weights.
        now: From when recency is counted; None is this moment.
    """
    words = {scored.record.entry: scored.score for scored in lexical}
    near = {scored.record.entry: scored.score for scored in vector}
    records = {scored.record.entry: scored.record for scored in (*lexical, *vector)}
    relevance = _relevance(lexical, vector, ranking)
    moment = now or datetime.now(UTC)
    hits = [
        Hit(
            record,
            relevance[entry]
            + ranking.recency * _recency(record, moment, ranking.half_life_days)
            + ranking.importance * record.importance,
            words.get(entry),
            near.get(entry),
        )
        for entry, record in records.items()
    ]
    return sorted(hits, key=lambda hit: (-hit.score, hit.record.entry))


def _relevance(
    lexical: Sequence[Scored], vector: Sequence[Scored], ranking: RankingConfig
) -> dict[int, float]:
    ways = [
        (scored, weight, theirs)
        for scored, weight, theirs in (
            (lexical, ranking.lexical, _share_of_best),
            (vector, ranking.vector, _scaled_cosine),
        )
        if scored and weight
    ]
    total = sum(weight for _, weight, _ in ways)
    found: dict[int, float] = {}
    for scored, weight, scale in ways:
        for rank, one in enumerate(scored, 1):
            if ranking.fusion == "reciprocal":
                part = (ranking.reciprocal_k + 1) / (ranking.reciprocal_k + rank)
            else:
                part = scale(one.score, scored)
            entry = one.record.entry
            found[entry] = found.get(entry, 0.0) + part * weight / total
    for scored in (*lexical, *vector):
        found.setdefault(scored.record.entry, 0.0)
    return found


def _share_of_best(score: float, scored: Sequence[Scored]) -> float:
    return score / scored[0].score if scored[0].score > 0 else 0.0


def _scaled_cosine(score: float, scored: Sequence[Scored]) -> float:
    """Scale between the best and the worst of those found: models crowd their cosines together."""
    best, worst = scored[0].score, scored[-1].score
    return (score - worst) / (best - worst) if best > worst else 1.0


def _recency(record: Record, now: datetime, half_life: float) -> float:
    age = max(0.0, (now - record.recorded).total_seconds() / _DAY)
    return 0.5 ** (age / half_life)


def diversify(hits: Sequence[Hit], *, most: int, diversity: float) -> list[Hit]:
    """Return the best hits, each chosen also for being unlike those before it (MMR).

    Args:
        hits: Best first.
        most: How many to return.
        diversity: From 0, the order given, to 1, unlikeness alone.
    """
    if diversity <= 0 or len(hits) <= 1:
        return list(hits[:most])
    rest = [(hit, frozenset(words_of(hit.record.text))) for hit in hits[: most * 5]]
    nearest = [0.0] * len(rest)
    chosen: list[Hit] = []
    while rest and len(chosen) < most:
        best = max(
            range(len(rest)),
            key=lambda i: (1 - diversity) * rest[i][0].score - diversity * nearest[i],
        )
        hit, words = rest.pop(best)
        nearest.pop(best)
        chosen.append(hit)
        nearest = [
            max(before, _overlap(words, other))
            for before, (_, other) in zip(nearest, rest, strict=True)
        ]
    return chosen


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    union = len(one | other)
    return len(one & other) / union if union else 1.0
