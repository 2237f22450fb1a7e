"""What a check says about a definition."""

from dataclasses import dataclass
from typing import Literal

Severity = Literal["note", "warning", "danger"]
"""`danger` holds a definition back at first sight; the others are shown when it is looked at."""

FindingKind = Literal["hidden_text", "look_alike", "addresses_model", "asks_for", "odd_default"]
"""What was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something in a definition that a person should look at.

    Attributes:
        kind: What sort of thing it is.
        severity: How bad it may be.
        where: JSON pointer into the definition; empty for the name.
        detail: What was found, in words of the host alone.
        quote: The server's own words, safe to print; kept apart, since a model may read `detail`.
    """

    kind: FindingKind
    severity: Severity
    where: str
    detail: str
    quote: str | None = None


def visible(text: str, *, most: int = 120) -> str:
    """Return a part of a server's text with everything that does not show made visible."""
    shown = "".join(
        letter if letter.isprintable() else f"\\u{{{ord(letter):x}}}" for letter in text[:most]
    )
    return f"{shown}…" if len(text) > most else shown
