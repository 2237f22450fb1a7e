"""The catalog's way to the pins: what of a listing may be shown and used."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from weakref import WeakKeyDictionary

from host.audit.journal import Journal
from host.audit.record import Note
from host.domain.errors import ConfigError, QuarantinedError
from host.domain.jsonrpc import Json
from host.domain.principal import LOCAL_USER, Principal
from host.gateway.provider import ToolProvider
from host.pins.book import PinBook
from host.pins.digest import digest_definition
from host.pins.event import PinEvent
from host.pins.finding import visible
from host.pins.origin import Origin, origin_of, owner_of
from host.pins.record import PinKind
from host.pins.settle import Batch
from host.pins.verdict import Verdict

log = logging.getLogger(__name__)

KINDS: dict[str, PinKind] = {
    "tools/list": "tool",
    "tools/call": "tool",
    "prompts/list": "prompt",
    "prompts/get": "prompt",
}
"""What the entries of a list are, and what is used by a request."""

_WHOLE = "instructions"
"""Name of a server's instructions, of which there is one text."""


def note_pins(journal: Journal) -> Callable[[list[PinEvent]], None]:
    """Return what records what happens to pins, before it is in force."""

    def note(events: list[PinEvent]) -> None:
        journal.append(*(_note(event) for event in events))
        for event in events:
            if event.what in ("changed", "held", "moved"):
                why = f": {event.reason}" if event.reason else ""
                told = {"server": event.server}
                shown = visible(event.shown)
                log.warning("%s of %s %s%s", shown, event.server, event.what, why, extra=told)

    return note


def _note(event: PinEvent) -> Note:
    principal = Principal(LOCAL_USER, event.by or "host", role="admin")
    return Note(principal=principal, name=f"pin.{event.what}", detail=event.as_json())


class PinDesk:
    """Judges listings by the book of pins.

    Args:
        book: The book; None keeps one in memory, for a gateway without a data folder.
    """

    def __init__(self, book: PinBook | None = None) -> None:
        self.book = book or PinBook()
        self._saving: asyncio.Task[None] | None = None
        self._told: dict[str, tuple[int, str | None, str | None]] = {}
        self._sources: WeakKeyDictionary[ToolProvider, tuple[str, Origin]] = WeakKeyDictionary()

    @property
    def generation(self) -> int:
        """Another number after every answer of a person."""
        return self.book.generation

    def judge(
        self,
        server: ToolProvider,
        method: str,
        definitions: Mapping[str, Json],
        shown: Mapping[str, str],
    ) -> Mapping[str, Verdict]:
        """Return what becomes of everything that a server lists, by its names.

        Args:
            server: Whose list it is; what the host itself offers is never held back.
            method: `tools/list` or `prompts/list`.
            definitions: The whole list.
            shown: The names under which entries are offered.
        """
        if server.own:
            return {
                name: Verdict(digest_definition(each), each) for name, each in definitions.items()
            }
        return self._review(server, KINDS[method], definitions, shown)

    def instructions(self, server: ToolProvider) -> str | None:
        """Return what models may be told of a server: its instructions as they were accepted."""
        said = server.known.instructions or None
        if server.own:
            return said
        owner, _ = self._source(server)
        known = self._told.get(owner)
        if known is not None and known[:2] == (self.generation, said):
            return known[2]
        definitions = {} if said is None else {_WHOLE: {_WHOLE: said}}
        shown = {_WHOLE: f"{server.name}/{_WHOLE}"}
        verdict = self._review(server, "instructions", definitions, shown).get(_WHOLE)
        listed = None if verdict is None or verdict.listed is None else verdict.listed[_WHOLE]
        self._told[owner] = (self.generation, said, listed)
        return listed

    def check(self, server: ToolProvider, method: str, name: str, digest: str | None) -> None:
        """Make sure that a definition is still accepted, after somebody was waited for.

        Raises:
            QuarantinedError: It changed, or was rejected, meanwhile.
        """
        kind = KINDS.get(method)
        if kind is None or digest is None or server.own:
            return
        if not self.book.is_accepted(self._source(server)[0], kind, name, digest=digest):
            raise QuarantinedError(
                f"The definition of {name!r} of server {server.name!r} changed during the call.",
                next_step="Call it again.",
            )

    async def close(self) -> None:
        """Bring everything to disk."""
        if self._saving is not None:
            await self._saving
        await self._save()

    def _review(
        self,
        server: ToolProvider,
        kind: PinKind,
        definitions: Mapping[str, Json],
        shown: Mapping[str, str],
    ) -> dict[str, Verdict]:
        owner, origin = self._source(server)
        verdicts = self.book.review(
            Batch(
                server=owner,
                kind=kind,
                origin=origin,
                definitions=definitions,
                shown=shown,
                trust=server.config.trust,
            )
        )
        if self.book.unsaved and self._saving is None:
            self._saving = asyncio.create_task(self._save(), name="save pins")
            self._saving.add_done_callback(lambda _: setattr(self, "_saving", None))
        return verdicts

    def _source(self, server: ToolProvider) -> tuple[str, Origin]:
        """Return under which name a server's pins are kept, and where it comes from."""
        known = self._sources.get(server)
        if known is None:
            source = (owner_of(server.name, server.config), origin_of(server.config))
            known = self._sources[server] = source
        return known

    async def _save(self) -> None:
        """Bring what was seen to disk beside the calls: nobody waits for it."""
        while self.book.unsaved:
            try:
                await asyncio.to_thread(self.book.save)
            except ConfigError as error:
                log.warning("what servers say of themselves could not be kept: %s", error)
                return
