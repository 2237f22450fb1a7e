"""The book of pins: judges what servers say of themselves, and takes people's answers."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from host import __version__
from host.domain.errors import ConfigError, NotFoundError
from host.domain.jsonrpc import Json
from host.pins.digest import digest_body, digest_definition, digest_pin
from host.pins.event import Happening, PinEvent
from host.pins.first_sight import (
    Neighbour,
    find_renamed,
    find_shadowed,
    neighbours_of,
    reason_to_wait,
)
from host.pins.origin import Origin
from host.pins.record import Pin, PinKind, ServerPins, Version, pin_key
from host.pins.shelf import Shelf
from host.pins.verdict import Trust, Verdict

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


@dataclass(frozen=True, slots=True)
class Choice:
    """One wording that somebody says yes or no to, as it was shown to them."""

    server: str
    key: str
    digest: str


@dataclass(slots=True)
class _Review:
    """One batch while it is judged."""

    batch: Batch
    known: ServerPins
    moment: str
    suspects: list[Pin]
    neighbours: list[Neighbour]
    events: list[PinEvent] = field(default_factory=list[PinEvent])


class PinBook:
    """All pins of one data folder; the daemon is the only one that has it.

    Args:
        folder: Where they are kept; None keeps them in memory.
        configured: The names of the servers that there are now; it may change.
    """

    def __init__(self, folder: Path | None = None, configured: Iterable[str] = ()) -> None:
        self._shelf = Shelf(folder)
        self._configured = configured
        self.generation = 0
        """Raised by every answer of a person: what was judged before has to be judged again."""
        self.listeners: list[Callable[[list[PinEvent]], None]] = []
        """Told what happened, before it is in force; an error of theirs prevents it."""

    @property
    def unsaved(self) -> bool:
        """Whether `save` has something to do."""
        return self._shelf.unsaved

    def save(self) -> None:
        """Bring what was seen to disk; called from any thread.

        Raises:
            ConfigError: A file cannot be written.
        """
        self._shelf.save()

    def review(self, batch: Batch) -> dict[str, Verdict]:
        """Return what becomes of everything that a server lists, by its names."""
        known = self._shelf.get(batch.server)
        review = self._begin(batch, known)
        pins = dict(known.pins)
        verdicts: dict[str, Verdict] = {}
        for name, definition in batch.definitions.items():
            key = pin_key(batch.kind, name)
            digest = digest_definition(definition)
            pins[key] = _settle(review, pins.get(key), name=name, digest=digest)
            verdicts[name] = _judge(pins[key], batch, digest)
        for key, pin in known.pins.items():
            if pin.kind == batch.kind and pin.name not in batch.definitions and pin.gone is None:
                pins[key] = pin.model_copy(update={"gone": review.moment})
                review.events.append(_event("gone", batch.server, pin))
        self._keep(known, pins, review.events)
        return verdicts

    def hold_source(self, server: str, origin: Origin, trust: Trust) -> str | None:
        """Return why a server may not even be started, and what to do; None if it may.

        A changed command or address is recorded; where the server is under review, it waits.
        """
        known = self._shelf.get(server)
        pin = known.pins.get(pin_key("source", server))
        now = _now()
        version = Version(
            digest=origin.digest,
            body=origin.digest,
            definition={"source": origin.text},
            origin=origin.digest,
            seen=now,
        )
        settled, what = _settle_source(pin, version, server, trust=trust, bundled=origin.bundled)
        if settled != pin:
            pins = {**known.pins, pin_key("source", server): settled}
            events = [] if what is None else [_event(what, server, settled, before=pin)]
            self._keep(known, pins, events)
        return None if settled.offered is None else _explain(settled, server)

    def accept(self, choices: Iterable[Choice], by: str) -> list[Pin]:
        """Take wordings that wait, as they were shown; on disk when this returns.

        Raises:
            NotFoundError: There is no such pin.
            ConfigError: It says something else by now.
        """
        return self._answer(choices, by, "accepted")

    def reject(self, choices: Iterable[Choice], by: str) -> list[Pin]:
        """Say no to wordings, also to such as were accepted; they stay held back.

        Raises:
            NotFoundError: There is no such pin.
            ConfigError: It says something else by now.
        """
        return self._answer(choices, by, "rejected")

    def accepted_digest(self, server: str, kind: PinKind, name: str) -> str | None:
        """Return the digest to which approvals and grants may be bound; None if none is accepted.

        Args:
            server: The server's name.
            kind: What sort of definition.
            name: What its server calls it.
        """
        pin = self._shelf.get(server).pins.get(pin_key(kind, name))
        usable = pin is not None and pin.accepted is not None and pin.offered is None
        return digest_pin(pin.accepted.origin, pin.accepted.digest) if usable else None

    def pins(self) -> list[tuple[str, Pin]]:
        """Return all pins of the configured servers, with their servers."""
        found = self._shelf.all(self._configured)
        return [(each.server, pin) for each in found for pin in each.pins.values()]

    def waiting(self) -> list[tuple[str, Pin]]:
        """Return the pins that somebody has to look at."""
        return [(s, pin) for s, pin in self.pins() if pin.offered is not None and pin.gone is None]

    def _begin(self, batch: Batch, known: ServerPins) -> _Review:
        new = any(pin_key(batch.kind, name) not in known.pins for name in batch.definitions)
        mine = [pin for pin in known.pins.values() if pin.kind == batch.kind]
        suspects = [
            pin for pin in mine if pin.name not in batch.definitions or pin.offered is not None
        ]
        neighbours: list[Neighbour] = []
        if batch.kind == "tool" and (new or suspects):
            neighbours = list(neighbours_of(batch.server, self._shelf.all(self._configured)))
        return _Review(batch, known, _now(), suspects, neighbours)

    def _keep(self, known: ServerPins, pins: dict[str, Pin], events: list[PinEvent]) -> None:
        if events:
            for listener in self.listeners:
                listener(events)
        if pins != known.pins:
            self._shelf.put(known.model_copy(update={"pins": pins}))

    def _answer(self, choices: Iterable[Choice], by: str, what: Happening) -> list[Pin]:
        answered: list[Pin] = []
        changed: dict[str, dict[str, Pin]] = {}
        events: list[PinEvent] = []
        for choice in choices:
            known = self._shelf.get(choice.server).pins
            pin = known.get(choice.key)
            if pin is None:
                raise NotFoundError("pinned definition", choice.key, known)
            after = _accepted(pin, choice, by) if what == "accepted" else _rejected(pin, choice)
            changed.setdefault(choice.server, dict(known))[choice.key] = after
            digest = choice.digest
            events.append(_event(what, choice.server, after, before=pin, by=by, digest=digest))
            answered.append(after)
        for listener in self.listeners:
            listener(events)
        for server, pins in changed.items():
            waits = any(pin.offered is not None and pin.gone is None for pin in pins.values())
            damaged = self._shelf.get(server).damaged and waits
            self._shelf.put(ServerPins(server=server, pins=pins, damaged=damaged))
        self.generation += 1
        self._shelf.save()
        return answered


def _settle(review: _Review, pin: Pin | None, *, name: str, digest: str) -> Pin:
    """Return a pin after its definition was seen once more."""
    batch, moment = review.batch, review.moment
    shown = batch.shown.get(name, name)
    if pin is None:
        pin = Pin(kind=batch.kind, name=name, shown=shown)
    elif pin.gone is not None or pin.shown != shown:
        if pin.gone is not None:
            review.events.append(_event("returned", batch.server, pin))
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
        review.events.append(_event("changed", batch.server, pin, before=pin, digest=digest))
        after = _take(pin, version, by)
        review.events.append(_event("accepted", batch.server, after, before=pin, by=by))
        return after
    if pin.offered is not None and pin.offered.digest == digest:
        return pin
    review.events.append(_event("changed", batch.server, pin, before=pin, digest=digest))
    return pin.model_copy(update={"offered": version, "reason": None})


def _settle_known(review: _Review, pin: Pin) -> Pin:
    """Return a pin whose definition is as it was accepted."""
    batch = review.batch
    if pin.offered is not None:
        review.events.append(_event("restored", batch.server, pin))
        pin = pin.model_copy(update={"offered": None, "reason": None})
    if pin.accepted is not None and pin.accepted.origin != batch.origin.digest:
        same = pin.accepted.model_copy(update={"origin": batch.origin.digest})
        pin = pin.model_copy(update={"accepted": same})
    return pin


def _settle_new(review: _Review, pin: Pin, version: Version) -> Pin:
    """Return a pin that was never accepted: taken, or waiting."""
    batch, others = review.batch, [each for each in review.suspects if each.name != pin.name]
    shadowed = find_shadowed(pin.name, pin.shown, review.neighbours)
    reason = reason_to_wait(
        version.definition,
        batch.trust,
        damaged=review.known.damaged,
        suspicions=(shadowed, find_renamed(version, others)),
    )
    if reason is None:
        after = _take(pin, version, FIRST_SIGHT)
        review.events.append(_event("first_seen", batch.server, after, digest=version.digest))
        return after
    if pin.offered is not None and pin.offered.digest == version.digest:
        return pin if pin.reason == reason else pin.model_copy(update={"reason": reason})
    after = pin.model_copy(update={"offered": version, "reason": reason})
    review.events.append(_event("held", batch.server, after, digest=version.digest))
    return after


def _settle_source(
    pin: Pin | None, version: Version, server: str, *, trust: Trust, bundled: bool
) -> tuple[Pin, Happening | None]:
    """Return a source's pin after it was seen once more, and what happened."""
    if pin is None or pin.accepted is None:
        new = Pin(kind="source", name=server, shown=f"{server}/source")
        return _take(new, version, FIRST_SIGHT), "first_seen"
    if pin.accepted.digest == version.digest:
        return pin.model_copy(update={"offered": None, "reason": None}), None
    if trust != "review" or bundled:
        return _take(pin, version, f"host {__version__}" if bundled else "configuration"), "moved"
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


def _take(pin: Pin, version: Version, by: str) -> Pin:
    """Return a pin with a wording accepted."""
    return pin.model_copy(
        update={
            "accepted": version,
            "accepted_at": _now(),
            "accepted_by": by,
            "offered": None,
            "reason": None,
            "rejected": tuple(each for each in pin.rejected if each != version.digest),
        }
    )


def _accepted(pin: Pin, choice: Choice, by: str) -> Pin:
    if pin.offered is None or pin.offered.digest != choice.digest:
        raise _moved_on(pin)
    return _take(pin, pin.offered, by)


def _rejected(pin: Pin, choice: Choice) -> Pin:
    said = pin.offered or pin.accepted
    if said is None or said.digest != choice.digest:
        raise _moved_on(pin)
    kept = pin.accepted if pin.offered is not None else None
    rejected = (*(each for each in pin.rejected if each != said.digest), said.digest)
    return pin.model_copy(update={"accepted": kept, "offered": said, "rejected": rejected})


def _moved_on(pin: Pin) -> ConfigError:
    return ConfigError(
        f"{pin.shown} says something else by now than what was shown.",
        next_step=f"Look again: `host tools diff {pin.shown}`.",
    )


def _judge(pin: Pin, batch: Batch, digest: str) -> Verdict:
    whole = digest_pin(batch.origin.digest, digest)
    listed = None if pin.accepted is None else pin.accepted.definition
    if pin.offered is None:
        return Verdict(whole, listed)
    return Verdict(whole, listed, _explain(pin, batch.server))


def _explain(pin: Pin, server: str) -> str:
    """Return why something is held back, and what to do."""
    kind = {"source": "command or address", "instructions": "text"}.get(pin.kind, pin.kind)
    whose = f"The {kind} {pin.shown!r} of server {server!r}"
    said = {
        "new": f"{whose} is new and waits for review: {pin.reason}.",
        "changed": f"{whose} has changed since it was accepted, and is held back.",
        "rejected": f"{whose} was rejected.",
        "accepted": "",
    }[pin.standing]
    return (
        f"{said} See it with `host tools diff {pin.shown}`, then decide:"
        f" `host tools accept {pin.shown}` or `host tools reject {pin.shown}`."
    )


def _event(
    what: Happening,
    server: str,
    pin: Pin,
    *,
    before: Pin | None = None,
    by: str | None = None,
    digest: str | None = None,
) -> PinEvent:
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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
