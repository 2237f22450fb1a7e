"""Look-alikes: texts that a person or a careless program takes for one another, made equal."""

import unicodedata

_LATIN = dict(
    zip(
        # Cyrillic, Greek and Armenian letters beside the Latin ones that they look like.
        "авсԁеһіјкӏмноргԛѕтухԝѵɡαβεζηικμνοπρτυχսոօհցյ",
        "abcdehijklmhopgqstyxwvgabezhikmnonptyxunohgj",
        strict=True,
    )
)
"""Small letters, since capitals are made small first: a Greek capital looks like a Latin one."""
_INVISIBLE = {"Cf", "Cc", "Mn", "Zs", "Zl", "Zp"}


def fold(text: str) -> str:
    """Return a text without what is easily overlooked: case, width, spaces, marks, foreign twins.

    Two texts with the same fold are look-alikes. It is used to find look-alikes only, never to
    decide that two names are the same.
    """
    if text.isascii():
        return "".join(text.split()).casefold() if text.isprintable() else _strip(text).casefold()
    plain = _strip(unicodedata.normalize("NFKD", text)).casefold()
    return "".join(_LATIN.get(char, char) for char in plain)


def plain(text: str) -> str:
    """Return a text in compatibility form without invisible characters; spaces stay."""
    if text.isascii():
        return text
    normal = unicodedata.normalize("NFKC", text)
    return "".join(char for char in normal if unicodedata.category(char) != "Cf")


def _strip(text: str) -> str:
    return "".join(char for char in text if unicodedata.category(char) not in _INVISIBLE)
