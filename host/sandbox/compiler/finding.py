"""What `check` says of one rejected construct; made by the policy, shown by the command line."""

from dataclasses import dataclass

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Finding:
    """One construct that a plugin may not contain."""

    line: int
    """Line in the source, counted from 1; 0 where the whole source is meant."""
    column: int
    """Column in the line, counted from 1."""
    construct: str
    """What was found, as written or nearly so."""
    why: str
    """The reason it is not allowed."""
    instead: str
    """What to write instead."""

    @override
    def __str__(self) -> str:
        return f"{self.line}:{self.column}: `{self.construct}`: {self.why} {self.instead}"
