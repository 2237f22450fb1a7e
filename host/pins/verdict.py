"""What the host does with a definition: offers it, or holds it back and says why."""

from dataclasses import dataclass
from typing import Literal

from host.domain.jsonrpc import Json

Trust = Literal["auto", "review", "follow"]
"""What is taken without asking: what is new and clean; nothing; everything."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one definition.

    Attributes:
        digest: By which approvals and grants know it: of wording and source.
        listed: The definition that is shown to clients; None hides it.
        held: Why it cannot be used, and what to do, in sentences; None if it can.
    """

    digest: str
    listed: Json | None
    held: str | None = None
