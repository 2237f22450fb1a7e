"""Made-up records and a deterministic embedder: for speed and size, never for quality."""

import hashlib
import random
from collections.abc import Sequence

from host.memory.embedder import Purpose, Vector

WORDS = 30_000
"""Size of the vocabulary."""
SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]


class HashEmbedder:
    """Adds a fixed sparse direction for each word: deterministic, and without any meaning."""

    name = "deterministic-hash"

    def __init__(self, size: int = 384) -> None:
        self._size = size

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[Vector]:
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> Vector:
        total = [0.0] * self._size
        for word in text.lower().split():
            digest = hashlib.blake2b(word.encode(), digest_size=24).digest()
            for place in range(0, 24, 2):
                number = digest[place] << 8 | digest[place + 1]
                total[(number >> 1) % self._size] += 1.0 if number & 1 else -1.0
        length = sum(number * number for number in total) ** 0.5 or 1.0
        return [number / length for number in total]


class Writer:
    """Writes texts whose words are as unevenly frequent as those of a language (Zipf).

    All writers have the same words, so that one finds what another wrote.
    """

    def __init__(self, seed: int = 1) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - a repeatable text
        parts = random.Random(0).choices  # noqa: S311 - the same words for all writers
        self._words = ["".join(parts(SYLLABLES, k=3)) + str(n) for n in range(WORDS)]
        total = 0.0
        self._weights: list[float] = []
        for rank in range(1, WORDS + 1):
            total += 1 / rank
            self._weights.append(total)

    def text(self, words: int) -> str:
        """Return a text of so many words."""
        return " ".join(self._chance.choices(self._words, cum_weights=self._weights, k=words))

    def record(self) -> str:
        """Return a text of 8 to 40 words."""
        return self.text(self._chance.randint(8, 40))

    def query(self) -> str:
        """Return a query of 2 to 6 words."""
        return self.text(self._chance.randint(2, 6))
