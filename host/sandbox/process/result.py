"""What a finished call hands back."""

from dataclasses import dataclass

from host.sandbox.broker import JSON


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a call brought back.

    Attributes:
        value: What the function returned.
        output: What it printed, cut at the limit.
    """

    value: JSON
    output: str
