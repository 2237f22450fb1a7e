"""A note as people look at it: what was done to the host itself, from the journal or the store."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from host.audit.record import load_line
from host.domain.jsonrpc import as_object

NOTE_ID = re.compile(r"([0-9a-f]{8})\.(\d{1,18})")
"""A note's id: the random end of its writer's, and its number there."""


@dataclass(frozen=True, slots=True)
class RecordedNote:
    """One note of the record.

    Attributes:
        fields: What its line says.
        writer: Whose journal it is in.
    """

    fields: dict[str, Any]
    writer: str

    @property
    def id(self) -> str:
        """By which `host audit show` finds it."""
        return f"{self.writer[-8:]}.{self.fields['seq']}"

    @property
    def at(self) -> datetime:
        """When it was done."""
        return datetime.fromtimestamp(self.fields["at"] / 1_000_000, UTC)

    @property
    def name(self) -> str:
        """What was done, such as `grant.revoked`."""
        return str(self.fields["name"])

    @property
    def about(self) -> str:
        """What it was done to, in a few words."""
        detail = as_object(self.fields.get("detail")) or {}
        names = ("shown",) if "shown" in detail else ("id", "approval", "grant", "server", "name")
        words = (detail.get(name) for name in names)
        return " ".join(dict.fromkeys(word for word in words if isinstance(word, str) and word))

    def as_json(self) -> dict[str, Any]:
        """Return all that is known of it, as one object."""
        said = {name: value for name, value in self.fields.items() if name not in ("kind", "seq")}
        return {
            "id": self.id,
            **said,
            "at": self.at.isoformat(),
            "outcome": "note",
            "writer": self.writer,
        }


def notes_of(entries: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[RecordedNote]:
    """Yield the notes among the lines of some writers."""
    for writer, fields in entries:
        if fields["kind"] == "note":
            yield RecordedNote(fields, writer)


def note_of_row(row: dict[str, Any]) -> RecordedNote:
    """Return the note that a row of `host.audit_entries` is."""
    return RecordedNote(load_line(row["line"].encode()), str(row["writer"]))
