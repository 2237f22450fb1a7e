"""Which confinement layers hold here, and whether they are enough; used by the doctor."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from host.domain.errors import ConfinementError
from host.sandbox.config import Confinement
from host.sandbox.process.layer import ACTIVE, REQUIRED, STOPS

_LINUX = [name for name in STOPS if name not in ("seatbelt", "cgroup")]
"""What `full` asks for; cgroups are the machine's to hand out."""
_EITHER = {"user_namespace", "dropped_uid"}
"""One of the two suffices: root drops its uid, an ordinary user takes a namespace."""


@dataclass(frozen=True, slots=True)
class LayerState:
    """One confinement layer as found.

    Attributes:
        name: Such as `seccomp`.
        active: Whether it holds.
        stops: What it keeps a plugin from.
        detail: Why it does not hold; empty when it does.
    """

    name: str
    active: bool
    stops: str
    detail: str


@dataclass(frozen=True, slots=True)
class ConfinementReport:
    """All layers, strongest first, and what is missing for the required confinement.

    Attributes:
        layers: Every layer this system could have.
        missing: Required layers that do not hold; plugins refuse to start while there is one.
        verified: Whether this system's confinement is covered by the escape tests.
    """

    layers: tuple[LayerState, ...]
    missing: tuple[str, ...]
    verified: bool

    @classmethod
    def of(cls, layers: Mapping[str, str], confinement: Confinement) -> Self:
        """Reads a worker's own report."""
        states = tuple(
            LayerState(
                name, layers.get(name) == ACTIVE, stops, layers.get(name, "not on this system")
            )
            for name, stops in STOPS.items()
        )
        return cls(states, missing_layers(layers, confinement), sys.platform == "linux")


def missing_layers(layers: Mapping[str, str], confinement: Confinement) -> tuple[str, ...]:
    """Lists the layers that are required and do not hold."""
    if confinement == "reduced":
        return ()
    wanted = REQUIRED if confinement == "standard" else _LINUX
    missing = [name for name in wanted if layers.get(name) != ACTIVE]
    if any(layers.get(name) == ACTIVE for name in _EITHER):
        missing = [name for name in missing if name not in _EITHER]
    return tuple(missing)


def require(layers: Mapping[str, str], confinement: Confinement) -> None:
    """Checks a worker's report before any plugin code reaches it.

    Raises:
        ConfinementError: A required layer does not hold; the message says what that would allow.
    """
    missing = missing_layers(layers, confinement)
    if not missing:
        return
    reasons = "; ".join(
        f"{name} ({layers.get(name) or 'not on this system'}), which stops {STOPS[name]}"
        for name in missing
    )
    msg = f"Plugins cannot be confined here. Missing: {reasons}."
    lower = "reduced" if confinement == "standard" else "standard"
    next_step = (
        f"See `host doctor`. To run plugins without it, at your own risk, "
        f"set `sandbox.confinement: {lower}`."
    )
    raise ConfinementError(msg, next_step=next_step)
