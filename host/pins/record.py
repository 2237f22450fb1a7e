"""What is remembered of a server's definitions, as it is kept in a private file."""

from typing import Any, Literal

from pydantic import Field

from host.config.document import StrictModel
from host.domain.jsonrpc import Json

PinKind = Literal["tool", "prompt", "instructions", "source"]
"""What is pinned; `source` is the command or address behind a server's definitions."""

Standing = Literal["accepted", "new", "changed", "rejected"]
"""How a definition stands; all but `accepted` are held back."""


class Version(StrictModel):
    """One wording of a definition."""

    digest: str
    """Of the definition."""
    body: str
    """Digest of all but its names."""
    definition: Json = Field(default_factory=dict[str, Any])
    """As the server gave it; the text of the source for a source."""
    origin: str
    """Digest of where it came from."""
    seen: str
    """When it was first seen, ISO 8601."""


class Pin(StrictModel):
    """One tool, prompt, text of instructions or source, over its life."""

    kind: PinKind
    """What it is."""
    name: str
    """What its server calls it."""
    shown: str
    """The name it is offered under, and by which people name it."""
    accepted: Version | None = None
    """The wording that may be used; None until there is one."""
    accepted_at: str | None = None
    """When that was accepted, ISO 8601."""
    accepted_by: str | None = None
    """By whom, or `first sight`."""
    offered: Version | None = None
    """Another wording, that waits; None if there is none."""
    reason: str | None = None
    """Why it waits, in a sentence."""
    rejected: tuple[str, ...] = ()
    """Digests of wordings that somebody said no to, latest last."""
    gone: str | None = None
    """Since when the server does not list it; None while it does."""

    @property
    def standing(self) -> Standing:
        """How it stands."""
        if self.offered is None:
            return "accepted"
        if self.offered.digest in self.rejected:
            return "rejected"
        return "new" if self.accepted is None else "changed"


class ServerPins(StrictModel):
    """All pins of one server."""

    server: str
    """Its name."""
    pins: dict[str, Pin] = Field(default_factory=dict)
    """By kind and name, as `pin_key` joins them."""
    damaged: bool = False
    """Whether what was pinned before was lost, so that nothing is taken at first sight."""


def pin_key(kind: PinKind, name: str) -> str:
    """Return the key of a pin."""
    return f"{kind}:{name}"
