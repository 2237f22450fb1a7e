"""Whether a definition that was never seen before is taken, or waits for somebody."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from host.domain.jsonrpc import Json
from host.pins.check import check_definition, worst
from host.pins.lookalike import skeleton, words_of
from host.pins.record import Pin, ServerPins, Version
from host.pins.verdict import Trust


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A tool of another server, whose name might be imitated."""

    server: str
    name: str
    shown: str


def neighbours_of(server: str, others: Iterable[ServerPins]) -> Iterator[Neighbour]:
    """Yield the tools of all other servers."""
    for pins in others:
        # Those of one name are of different projects, and never seen together.
        if pins.server.partition(".")[0] != server.partition(".")[0]:
            for pin in pins.pins.values():
                if pin.kind == "tool" and pin.gone is None:
                    yield Neighbour(pins.server, pin.name, pin.shown)


def find_shadowed(name: str, shown: str, neighbours: Iterable[Neighbour]) -> str | None:
    """Return how a tool's name could be taken for another server's; None if it could not.

    That two servers both have a `search` is common and tells nothing: each has its own prefix.
    """
    own, own_shown = skeleton(name), skeleton(shown)
    for other in neighbours:
        whose = f"{other.shown!r} of server {other.server!r}"
        if shown == other.shown:
            return f"it has the name of {whose}"
        spelled = words_of(shown) == words_of(other.shown)
        if own_shown == skeleton(other.shown) and (not spelled or "__" in name):
            return f"its name looks like {whose}"
        if own == skeleton(other.name) and words_of(name) != words_of(other.name):
            return f"its name looks like {whose}"
    return None


def find_renamed(version: Version, others: Iterable[Pin]) -> str | None:
    """Return which definition this is under a new name; None if it is none of them.

    Args:
        version: What is new.
        others: Pins of the same server that vanished, wait, or were rejected.
    """
    if not version.definition.get("description"):
        return None  # too little to tell one from another
    for pin in others:
        if version.body in {each.body for each in (pin.accepted, pin.offered) if each is not None}:
            state = "rejected" if pin.standing == "rejected" else "not accepted yet"
            held = f" that was {state}" if pin.offered is not None else ""
            return f"it is {pin.shown!r}{held} under another name"
    return None


def reason_to_wait(
    definition: Json, trust: Trust, *, damaged: bool, suspicions: Iterable[str | None]
) -> str | None:
    """Return why something new is not taken at first sight; None if it is.

    Args:
        definition: As its server gives it.
        trust: What its server's configuration says.
        damaged: Whether earlier pins of this server were lost.
        suspicions: What its name and its neighbours tell, None for nothing.
    """
    if trust == "follow":
        return None
    if damaged:
        return "what was known of this server was damaged on disk"
    if trust == "review":
        return "this server's definitions are reviewed before they are used"
    for suspicion in suspicions:
        if suspicion is not None:
            return suspicion
    found = check_definition(definition)
    return _lower(found[0].detail) if worst(found) == "danger" else None


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def find_same_names(server: str, pin: Pin, pins: Iterable[tuple[str, Pin]]) -> list[str]:
    """Return the tools of other servers that are called the same: worth knowing, and common."""
    mine = words_of(pin.name)
    return [
        other.shown
        for whose, other in pins
        if whose != server and other.kind == pin.kind == "tool" and words_of(other.name) == mine
    ]
