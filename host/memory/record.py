"""A memory record, what is asked of one, and what a caller may look among."""

import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

Scope = Literal["user", "agent", "session", "shared"]
"""Who finds it: all of the user's agents, one agent, one session, or every user of the store."""
Kind = Literal["fact", "event", "preference", "note", "reflection", "entity"]
"""What it is; an `entity` is a node of the graph, with observations."""
Tier = Literal["core", "recall", "archival"]
"""Where it lives: always in context, past turns, or searched when needed."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
KINDS: tuple[Kind, ...] = get_args(Kind)
TIERS: tuple[Tier, ...] = get_args(Tier)

EVERYBODY = "*"
"""The space of shared records; no user may have this name."""

_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_ID_LETTERS = 12

COLUMNS = (
    "r.entry, r.id, r.version, r.user_id, r.scope, r.agent, r.session, r.tier, r.kind, r.label,"
    " r.text, r.data, r.importance, r.source, r.tags, r.created, r.recorded, r.superseded,"
    " r.valid_from, r.valid_until, r.forgotten"
)
"""The columns of a `Record`, of the table under the name `r`."""


@dataclass(frozen=True, slots=True)
class Record:
    """One version of a record.

    Attributes:
        entry: Number of the version's row.
        id: What callers call the record; the same for all its versions.
        version: Counts from 1.
        user_id: Whose it is.
        label: Name of a core block or an entity; empty for others.
        data: An entity's name, type and observations.
        importance: From 0 to 1.
        source: Where it is known from.
        created: When the first version was written.
        recorded: When this version was written.
        superseded: When a newer version replaced it; None for the latest.
        valid_from: Since when it is true.
        valid_until: Until when it was true; None means still.
        forgotten: When it was forgotten; None if it was not.
    """

    entry: int
    id: str
    version: int
    user_id: str
    scope: Scope
    agent: str
    session: str
    tier: Tier
    kind: Kind
    label: str
    text: str
    data: dict[str, Any] | None
    importance: float
    source: str
    tags: list[str]
    created: datetime
    recorded: datetime
    superseded: datetime | None
    valid_from: datetime
    valid_until: datetime | None
    forgotten: datetime | None

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> "Record":
        """Return the record of a row with `COLUMNS`, and maybe others."""
        return cls(**{name: row[name] for name in cls.__slots__})

    @property
    def space(self) -> str:
        """The part of the index that it is in: its user's, or everybody's."""
        return EVERYBODY if self.scope == "shared" else self.user_id


@dataclass(frozen=True, slots=True)
class Draft:
    """A record to be written.

    Attributes:
        id: Given only by an import; None makes a new one.
        created: Given only by an import, as are `recorded`, `version` and what follows.
        valid_from: None is now.
    """

    text: str
    kind: Kind = "fact"
    scope: Scope = "user"
    agent: str = ""
    session: str = ""
    tier: Tier = "archival"
    label: str = ""
    data: dict[str, Any] | None = None
    importance: float = 0.5
    source: str = ""
    tags: tuple[str, ...] = ()
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    id: str | None = None
    version: int = 1
    created: datetime | None = None
    recorded: datetime | None = None
    superseded: datetime | None = None
    forgotten: datetime | None = None

    def fields(self) -> dict[str, Any]:
        """Return everything, for a statement's parameters."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Change:
    """What an update replaces; None leaves a field as it was."""

    text: str | None = None
    kind: Kind | None = None
    tags: tuple[str, ...] | None = None
    importance: float | None = None
    source: str | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    data: dict[str, Any] | None = None

    def given(self) -> dict[str, Any]:
        """Return the fields that are replaced."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Filter:
    """Among which records a caller looks.

    Attributes:
        agent: Whose agent-scoped records are included; empty includes none.
        session: Whose session-scoped records are included; empty includes none.
        everything: All agents' and sessions' records, whatever `agent` and `session` say.
        agents: Only records of these agents.
        scopes: Only these; empty is all that the three above let through.
        tags: Only records that have all of these.
        since: Only records written at or after this.
        until: Only records written before this.
        at: What was valid then, instead of now.
        superseded: Also versions that were replaced.
        forgotten: Only what was forgotten, instead of what was not.
    """

    agent: str = ""
    session: str = ""
    everything: bool = False
    agents: tuple[str, ...] = ()
    scopes: tuple[Scope, ...] = ()
    kinds: tuple[Kind, ...] = ()
    tiers: tuple[Tier, ...] = ()
    tags: tuple[str, ...] = ()
    source: str = ""
    min_importance: float = 0.0
    since: datetime | None = None
    until: datetime | None = None
    at: datetime | None = None
    superseded: bool = False
    forgotten: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that was found.

    Attributes:
        score: What it was ranked by.
        lexical: Its BM25 score; None if no word matched.
        similarity: Cosine of its vector and the query's; None without vectors.
    """

    record: Record
    score: float
    lexical: float | None = None
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What a search found.

    Attributes:
        hits: Best first.
        ways: How it was searched: `lexical`, `vector`.
        notes: What the reader should know about it, such as that there are no vectors.
    """

    hits: list[Hit]
    ways: tuple[str, ...]
    notes: list[str] = field(default_factory=list[str])


def new_id() -> str:
    """Return an identifier that a model can repeat: 12 letters, 59 bits of chance."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LETTERS))
