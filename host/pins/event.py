"""What happens to pins, told to whoever keeps records or holds grants."""

from dataclasses import dataclass
from typing import Literal

from host.pins.record import PinKind

Happening = Literal[
    "first_seen", "held", "changed", "accepted", "rejected", "gone", "returned", "restored", "moved"
]
"""`held`: new and not taken; `restored`: as accepted again; `moved`: its source is another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinEvent:
    """Something that happened to one pin.

    Attributes:
        what: What happened.
        server: Whose definition.
        kind: What sort.
        name: What its server calls it.
        shown: The name it is offered under.
        digest: Of the wording that this is about; None where it is about none.
        before: Of the wording that was accepted; None if there was none.
        reason: Why it waits.
        by: Who did it; None where the server did.
    """

    what: Happening
    server: str
    kind: PinKind
    name: str
    shown: str
    digest: str | None = None
    before: str | None = None
    reason: str | None = None
    by: str | None = None

    def as_json(self) -> dict[str, str]:
        """Return what is recorded of it."""
        named = {name: getattr(self, name) for name in self.__slots__ if name != "what"}
        return {name: value for name, value in named.items() if value is not None}
