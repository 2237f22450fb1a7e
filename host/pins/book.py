"""The book of pins: judges what servers say of themselves, and takes people's answers."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from host.domain.errors import ConfigError, NotFoundError
from host.pins.digest import digest_definition, digest_pin
from host.pins.event import Happening, PinEvent
from host.pins.first_sight import Neighbour, neighbours_of
from host.pins.origin import Origin
from host.pins.record import Pin, PinKind, ServerPins, Version, pin_key
from host.pins.settle import Batch, Review, pin_event, settle, settle_source, take, timestamp
from host.pins.shelf import Shelf
from host.pins.verdict import Trust, Verdict


@dataclass(frozen=True, slots=True)
class Choice:
    """One wording that somebody says yes or no to, as it was shown to them."""

    server: str
    key: str
    digest: str


class PinBook:
    """All pins of one data folder; the daemon is the only one that has it.

    Args:
        folder: Where they are kept; None keeps them in memory.
        configured: The names of the servers that there are now; it may change.
    """

    def __init__(self, folder: Path | None = None, configured: Iterable[str] = ()) -> None:
        self._shelf = Shelf(folder)
        self._configured = configured
        self._met: dict[str, None] = {}
        self.generation = 0
        """Raised by every answer of a person: what was judged before has to be judged again."""
        self.listeners: list[Callable[[list[PinEvent]], None]] = []
        """Told what happened, before it is in force; an error of theirs prevents it."""
        self.on_ended: Callable[[Collection[str]], None] = lambda digests: None
        """Told the digests to which nothing may be bound any more, as approvals and grants were."""

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
        self._met[batch.server] = None
        known = self._shelf.get(batch.server)
        review = self._begin(batch, known)
        pins = dict(known.pins)
        verdicts: dict[str, Verdict] = {}
        for name, definition in batch.definitions.items():
            key = pin_key(batch.kind, name)
            digest = digest_definition(definition)
            pins[key] = settle(review, pins.get(key), name=name, digest=digest)
            verdicts[name] = _judge(pins[key], batch, digest)
        for key, pin in known.pins.items():
            if pin.kind == batch.kind and pin.name not in batch.definitions and pin.gone is None:
                pins[key] = pin.model_copy(update={"gone": review.moment})
                review.events.append(pin_event("gone", batch.server, pin))
        self._keep(known, pins, review.events)
        return verdicts

    def hold_source(self, server: str, origin: Origin, trust: Trust) -> str | None:
        """Return why a server may not even be started, and what to do; None if it may.

        A changed command or address waits, unless the server is followed or the host's own.
        """
        known = self._shelf.get(server)
        pin = known.pins.get(pin_key("source", server))
        now = timestamp()
        version = Version(
            digest=origin.digest,
            body=origin.digest,
            definition={"source": origin.text},
            origin=origin.digest,
            seen=now,
        )
        settled, what = settle_source(pin, version, server, trust=trust, bundled=origin.bundled)
        if settled != pin:
            pins = {**known.pins, pin_key("source", server): settled}
            events = [] if what is None else [pin_event(what, server, settled, before=pin)]
            self._keep(known, pins, events)
            if what in ("changed", "moved"):
                self.on_ended(frozenset(filter(None, map(_bound, known.pins.values()))))
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
        return None if pin is None else _bound(pin)

    def is_accepted(self, server: str, kind: PinKind, name: str, *, digest: str) -> bool:
        """Return whether a definition, known by the digest of a verdict, may be used now."""
        pin = self._shelf.get(server).pins.get(pin_key(kind, name))
        said = None if pin is None else pin.accepted
        return said is not None and digest_pin(said.origin, said.digest) == digest

    def pins(self) -> list[tuple[str, Pin]]:
        """Return all pins of the configured servers, with their servers."""
        found = self._shelf.all(self._servers())
        return [(each.server, pin) for each in found for pin in each.pins.values()]

    def waiting(self) -> list[tuple[str, Pin]]:
        """Return the pins that somebody has to look at."""
        return [(s, pin) for s, pin in self.pins() if pin.offered is not None and pin.gone is None]

    def _servers(self) -> list[str]:
        """Return the servers that are configured, and those that were met beside them."""
        return list(dict.fromkeys([*self._configured, *self._met]))

    def _begin(self, batch: Batch, known: ServerPins) -> Review:
        new = any(pin_key(batch.kind, name) not in known.pins for name in batch.definitions)
        mine = [pin for pin in known.pins.values() if pin.kind == batch.kind]
        suspects = [
            pin for pin in mine if pin.name not in batch.definitions or pin.offered is not None
        ]
        neighbours: list[Neighbour] = []
        if batch.kind == "tool" and (new or suspects):
            neighbours = list(neighbours_of(batch.server, self._shelf.all(self._servers())))
        return Review(batch, known, timestamp(), suspects, neighbours)

    def _keep(self, known: ServerPins, pins: dict[str, Pin], events: list[PinEvent]) -> None:
        if events:
            for listener in self.listeners:
                listener(events)
        if pins != known.pins:
            self._shelf.put(known.model_copy(update={"pins": pins}))
            self._end(known.pins, pins)

    def _end(self, before: Mapping[str, Pin], after: Mapping[str, Pin]) -> None:
        """Tell which wordings are accepted no longer, or are held back behind another."""
        ended = [
            digest
            for key, pin in before.items()
            if (digest := _bound(pin)) is not None and _bound(after[key]) != digest
        ]
        if ended:
            self.on_ended(frozenset(ended))

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
            events.append(pin_event(what, choice.server, after, before=pin, by=by, digest=digest))
            answered.append(after)
        for listener in self.listeners:
            listener(events)
        for server, pins in changed.items():
            waits = any(pin.offered is not None and pin.gone is None for pin in pins.values())
            damaged = self._shelf.get(server).damaged and waits
            self._end(self._shelf.get(server).pins, pins)
            self._shelf.put(ServerPins(server=server, pins=pins, damaged=damaged))
        self.generation += 1
        self._shelf.save()
        return answered


def _bound(pin: Pin) -> str | None:
    """Return the digest to which approvals and grants may be bound; None while it is held back."""
    if pin.accepted is None or pin.offered is not None:
        return None
    return digest_pin(pin.accepted.origin, pin.accepted.digest)


def _accepted(pin: Pin, choice: Choice, by: str) -> Pin:
    if pin.offered is None or pin.offered.digest != choice.digest:
        raise _moved_on(pin)
    return take(pin, pin.offered, by)


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
