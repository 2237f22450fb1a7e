"""Tells whether two texts say the same, so that a new record may merge into an old one."""

import hashlib
import re

_WORD = re.compile(r"\w+(?:[.,:'\u2019-]\w+)*")
_EMPTY = frozenset(
    """a an and are as at be been being by for from in into is it its of on or so that the their
    then there these this those to was were which with""".split()  # noqa: SIM905 - one word a line reads worse
)
"""Words that say nothing by themselves; negations and pronouns are not among them."""
_TELLING = frozenset(
    """no not never none nor neither without cannot i you he she we they me him her us them my your
    his our mine yours""".split()  # noqa: SIM905 - as above
)
"""Words that turn a statement into another one."""


_RELATING = frozenset(
    """above after at before behind below between by during for from in into of off on onto out over
    since through to under until up down upon with within""".split()  # noqa: SIM905 - as above
)
"""Words that say how others stand to each other; two texts with different ones differ."""


def words_of(text: str) -> list[str]:
    """Return a text's words in lower case."""
    return [word.lower() for word in _WORD.findall(text)]


def text_digest(text: str) -> str:
    """Return a digest that texts share which differ in case, spaces and punctuation only."""
    return hashlib.sha256(" ".join(words_of(text)).encode()).hexdigest()


def likeness(one: str, other: str) -> float:
    """Return the share of words that two texts have in common, from 0 to 1."""
    first, second = _content(one), _content(other)
    if not first or not second:
        return 1.0 if first == second else 0.0
    return len(first & second) / len(first | second)


def says_same(one: str, other: str, *, least: float, cosine: float | None = None) -> bool:
    """Whether one text can stand for the other.

    Texts that differ in a number, a name or a negation never do, however close their vectors are:
    "at 5 pm" and "at 6 pm" are two facts. Nor do texts with the same words in another order, but
    for a part that stands at the other end: "Ann owes Bob" is not "Bob owes Ann".

    Args:
        one: A text.
        other: Another.
        least: Share of words in common that is enough.
        cosine: Similarity of their vectors, which is enough from halfway between `least` and 1.
    """
    if not (_decisive(one) <= set(words_of(other)) and _decisive(other) <= set(words_of(one))):
        return False
    if not _same_order(one, other):
        return False
    alike = likeness(one, other)
    if cosine is not None and cosine >= (1 + least) / 2:
        return alike >= least / 2
    return alike >= least


def _content(text: str) -> frozenset[str]:
    return frozenset(word for word in words_of(text) if word not in _EMPTY)


def _same_order(one: str, other: str) -> bool:
    """Whether the words of two texts that relate others are alike, and all stand in one order."""
    first, second = words_of(one), words_of(other)
    own, others = _RELATING.intersection(first), _RELATING.intersection(second)
    if own - others and others - own:  # "in the box", "on the box"
        return False
    both = (set(first) & set(second)) - (_EMPTY - _RELATING)
    first, second = ([word for word in words if word in both] for words in (first, second))
    turns = (first[at:] + first[:at] for at in range(max(len(first), 1)))
    return any(turn == second for turn in turns)


def _decisive(text: str) -> frozenset[str]:
    """Return the words without which the text says something else."""
    found: set[str] = set()
    for word in _WORD.findall(text):
        lower = word.lower()
        is_name = word[0].isupper() and lower not in _EMPTY
        if is_name or lower in _TELLING or "n't" in lower or any(c.isdigit() for c in word):
            found.add(lower)
    return frozenset(found)
