"""What becomes of a pin when its definition is seen once more; pure but for the clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from host import __version__
from host.domain.jsonrpc import Json
from host.pins.digest import digest_body
from host.pins.event import Happening, PinEvent
from host.pins.first_sight import Neighbour, find_renamed, find_shadowed, reason_to_wait
from host.pins.origin import Origin
from host.pins.record import Pin, PinKind, ServerPins, Version
from host.pins.verdict import Trust

FIRST_SIGHT = "first sight"
"""Who accepted what nobody had to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one server lists of one kind, complete.

    Attributes:
        definitions: As the server gives them, by its names.
        shown: The names they are offered under.
        trust: What the server's configuration takes without asking.
    """

    server: str
    kind: PinKind
    origin: Origin
    definitions: Mapping[str, Json]
    shown: Mapping[str, str]
    trust: Trust = "auto"


@dataclass(slots=True)
class Review:
    """One batch while it is judged.

    Attributes:
        known: What was known of the server before.
        moment: Now, ISO 8601.
        suspects: Pins whose definition vanished or is held back.
        neighbours: Tools of other servers, where names have to be compared.
        events: What happened so far.
    """

    batch: Batch
    known: ServerPins
    moment: str
    suspects: list[Pin]
    neighbours: list[Neighbour]
    events: list[PinEvent] = field(default_factory=list[PinEvent])


def settle(review: Review, pin: Pin | None, *, name: str, digest: str) -> Pin:
    """Return a pin after its definition was seen once more."""
    batch, moment = review.batch, review.moment
    shown = batch.shown.get(name, name)
    if pin is None:
        pin = Pin(kind=batch.kind, name=name, shown=shown)
    elif pin.gone is not None or pin.shown != shown:
        if pin.gone is not None:
            review.events.append(pin_event("returned", batch.server, pin))
        pin = pin.model_copy(update={"gone": None, "shown": shown})
    if pin.accepted is not None and pin.accepted.digest == digest:
        return _settle_known(review, pin)
    if pin.offered is not None and pin.offered.digest == digest and digest in pin.rejected:
        return pin
    version = _version(batch, name, digest, moment)
    if pin.accepted is None:
        return _settle_new(review, pin, version)
    upgraded = batch.origin.bundled and pin.accepted.origin != batch.origin.digest
    if batch.trust == "follow" or upgraded:
        by = f"host {__version__}" if upgraded else "trust: follow"
        review.events.append(pin_event("changed", batch.server, pin, before=pin, digest=digest))
        after = take(pin, version, by)
        review.events.append(pin_event("accepted", batch.server, after, before=pin, by=by))
        return after
    if pin.offered is not None and pin.offered.digest == digest:
        return pin
    review.events.append(pin_event("changed", batch.server, pin, before=pin, digest=digest))
    return pin.model_copy(update={"offered": version, "reason": None})


def _settle_known(review: Review, pin: Pin) -> Pin:
    """Return a pin whose definition is as it was accepted."""
    batch = review.batch
    if pin.offered is not None:
        review.events.append(pin_event("restored", batch.server, pin))
        pin = pin.model_copy(update={"offered": None, "reason": None})
    if pin.accepted is not None and pin.accepted.origin != batch.origin.digest:
        same = pin.accepted.model_copy(update={"origin": batch.origin.digest})
        pin = pin.model_copy(update={"accepted": same})
    return pin


def _settle_new(review: Review, pin: Pin, version: Version) -> Pin:
    """Return a pin that was never accepted: taken, or waiting."""
    batch, others = review.batch, [each for each in review.suspects if each.name != pin.name]
    shadowed = find_shadowed(pin.name, pin.shown, review.neighbours)
    reason = reason_to_wait(
        version.definition,
        batch.trust,
        damaged=review.known.damaged,
        suspicions=(shadowed, find_renamed(version, others)),
    )
    if pin.rejected and batch.trust != "follow":
        reason = "another wording of it was rejected"
    if reason is None:
        after = take(pin, version, FIRST_SIGHT)
        review.events.append(pin_event("first_seen", batch.server, after, digest=version.digest))
        return after
    if pin.offered is not None and pin.offered.digest == version.digest:
        return pin if pin.reason == reason else pin.model_copy(update={"reason": reason})
    after = pin.model_copy(update={"offered": version, "reason": reason})
    review.events.append(pin_event("held", batch.server, after, digest=version.digest))
    return after


def settle_source(
    pin: Pin | None, version: Version, server: str, *, trust: Trust, bundled: bool
) -> tuple[Pin, Happening | None]:
    """Return a source's pin after it was seen once more, and what happened."""
    if pin is not None and pin.offered is not None and pin.offered.digest == version.digest:
        return pin, None
    if pin is None or (pin.accepted is None and not pin.rejected):
        new = Pin(kind="source", name=server, shown=f"{server}/source")
        return take(new, version, FIRST_SIGHT), "first_seen"
    if pin.accepted is not None and pin.accepted.digest == version.digest:
        return pin.model_copy(update={"offered": None, "reason": None}), None
    if trust == "follow" or bundled:
        return take(pin, version, f"host {__version__}" if bundled else "configuration"), "moved"
    if pin.offered is not None and pin.offered.digest == version.digest:
        return pin, None
    return pin.model_copy(update={"offered": version, "reason": None}), "changed"


def _version(batch: Batch, name: str, digest: str, moment: str) -> Version:
    definition = batch.definitions[name]
    return Version(
        digest=digest,
        body=digest_body(definition),
        definition=definition,
        origin=batch.origin.digest,
        seen=moment,
    )


def take(pin: Pin, version: Version, by: str) -> Pin:
    """Return a pin with a wording accepted."""
    return pin.model_copy(
        update={
            "accepted": version,
            "accepted_at": timestamp(),
            "accepted_by": by,
            "offered": None,
            "reason": None,
            "rejected": tuple(each for each in pin.rejected if each != version.digest),
        }
    )


def pin_event(
    what: Happening,
    server: str,
    pin: Pin,
    *,
    before: Pin | None = None,
    by: str | None = None,
    digest: str | None = None,
) -> PinEvent:
    """Return what is told of something that happened to a pin.

    Args:
        what: What happened.
        server: Whose pin it is.
        pin: The pin afterwards.
        before: The pin as it was, where it was another.
        by: Who did it.
        digest: Of the wording that it is about, where that is not the accepted one.
    """
    current = pin.accepted.digest if pin.accepted is not None else None
    earlier = before.accepted.digest if before is not None and before.accepted else None
    return PinEvent(
        what=what,
        server=server,
        kind=pin.kind,
        name=pin.name,
        shown=pin.shown,
        digest=digest or current,
        before=earlier,
        reason=pin.reason,
        by=by,
    )


def timestamp() -> str:
    """Return the time, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
