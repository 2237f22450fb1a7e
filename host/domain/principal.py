"""Who acts: the identity that policy, records and row-level security go by."""

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["admin", "approver", "user", "viewer"]
"""`admin` may do everything, `approver` call and answer, `user` call, `viewer` read."""


LOCAL_USER = "local"
"""The user of a daemon's own terminal and clients."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who acts, taken from a credential and never from an argument.

    Attributes:
        user: Stable id of the person or service, such as `local` or an OAuth subject.
        client: Name of the credential, such as `cursor`; tells one client of a user from another.
        role: What the credential is good for.
        attended: Whether a person sits at this client, so that an elicitation counts.
        scopes: Further rights that the credential carries.
    """

    user: str
    client: str
    role: Role = "user"
    attended: bool = False
    scopes: frozenset[str] = field(default_factory=frozenset[str])

    @property
    def id(self) -> str:
        """Key under which grants, taint and private data of this principal are kept."""
        return f"{self.user}/{self.client}"
