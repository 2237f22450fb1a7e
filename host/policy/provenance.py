"""Where the values of arguments came from, as rules ask about it; a session's memory answers."""

from collections.abc import Collection, Sequence
from typing import Literal, Protocol

Origin = Literal[
    "user", "trusted", "private", "untrusted", "listed", "referred", "unknown", "composed"
]
"""Where a value was seen: in what the user said, in results that are neither private nor a
stranger's, in private ones, in strangers'. `listed`: a name in a directory of the server that is
called, which nothing that strangers wrote speaks of. `referred`: in what the user's own records
say of what the user named. `unknown`: such a value is not made up, yet was seen nowhere, or may
have been forgotten. `composed`: nobody wrote it before, as with a model's prose."""

ValueKind = Literal["address", "account", "path", "identifier", "date", "number", "name", "text"]
"""Kinds of values. The first four are never made up."""


class TracedValue(Protocol):
    """A decisive part of an argument and where it was seen."""

    @property
    def kind(self) -> str:
        """What it is."""
        ...

    @property
    def text(self) -> str:
        """As it stands in the argument."""
        ...

    @property
    def origins(self) -> frozenset[Origin]:
        """Where it was seen; several where it was seen several times."""
        ...


class Provenance(Protocol):
    """What a session heard and read."""

    def trace(
        self,
        value: object,
        name: str = "",
        *,
        server: str | None = None,
        texts: Collection[str] = (),
    ) -> Sequence[TracedValue]:
        """Return the decisive parts of an argument and where each was seen.

        Args:
            value: The argument; of an object or a list, everything inside.
            name: What the argument is called.
            server: Who is called.
            texts: Names of arguments that people read, beside those that everybody calls so.
        """
        ...

    def asks_for(self, action: str) -> bool:
        """Return whether the user spoke of an action: every word of a tool's name."""
        ...
