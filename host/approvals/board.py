"""What callers' and approvers' side of approvals share: rows, sealed arguments, and who waits."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import anyio

from host.approvals import grants, table
from host.approvals.approval import DESK, Approval, Pass
from host.approvals.call import AskedCall
from host.approvals.grant import GrantNeeds
from host.approvals.grants import Matches
from host.approvals.table import Runner, approval_of
from host.config.approvals import ApprovalsConfig
from host.domain.errors import AccessError, HostError, NotFoundError
from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from host.secrets.seal import Sealer
from host.storage.store import Database, Store

log = logging.getLogger(__name__)

_SPARE = 3600.0
"""Seconds for which parked arguments can be opened beyond their approval's time."""

Note: TypeAlias = Callable[[Principal, str, Json], None]
"""Records something that was done: by whom, what, with what."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the policy says of edited arguments.

    Attributes:
        refusal: Why they may not be sent; None if they may.
        needs: What a grant has to be that answers such a call.
    """

    refusal: str | None = None
    needs: GrantNeeds = field(default_factory=GrantNeeds)


Judge: TypeAlias = Callable[[Principal, Principal, Json, Json], Awaitable[Ruling]]
"""Asks the policy about edited arguments: caller, approver, the call's context, arguments."""


class Herald(Protocol):
    """Announces approvals outside of the host."""

    async def announce(self, event: str, approval: Approval, arguments: Json | None) -> None:
        """Say that an approval was `asked`, `answered`, `withdrawn` or has `expired`.

        A failure is logged, not raised.
        """
        ...


@dataclass(frozen=True, slots=True)
class Parked:
    """What is kept sealed of a call.

    Attributes:
        arguments: The caller's.
        schema: The tool's input schema.
        context: What the policy needs to judge other arguments.
        edited: The approver's arguments, once there are any.
    """

    arguments: Json
    schema: Json | None = None
    context: Json = field(default_factory=dict[str, Any])
    edited: Json | None = None

    def wire(self) -> Json:
        """Return it as JSON."""
        return {
            "arguments": self.arguments,
            "schema": self.schema,
            "context": self.context,
            "edited": self.edited,
        }


def _never(_matchers: Json, _call: AskedCall) -> bool:
    return False


def _unchecked(_matchers: Json) -> None:
    raise AccessError("This host has no policy whose matchers a grant could use.")


async def _unjudged(
    _caller: Principal, _approver: Principal, _context: Json, _arguments: Json
) -> Ruling:
    return Ruling("this host has no policy to judge them by.")


class Board:
    """The open approvals of a host.

    Args:
        store: Keeps them.
        sealer: Seals parked arguments.
        runner: Which process this is.
        config: How people are asked; may be replaced while it runs.
        note: Records what is done.
    """

    def __init__(
        self, store: Store, sealer: Sealer, *, runner: Runner, config: ApprovalsConfig, note: Note
    ) -> None:
        self.store = store
        self.runner = runner
        self.config = config
        self.note = note
        self.judge: Judge = _unjudged
        """Asks the policy about edited arguments."""
        self.matches: Matches = _never
        """Holds a grant's matchers against a call."""
        self.check_matchers: Callable[[Json], None] = _unchecked
        """Raises AccessError where matchers cannot be used."""
        self.page: Callable[[Approval, Principal], Awaitable[str]] | None = None
        """Returns the link to an approval's page, for the person at a client."""
        self.heralds: Sequence[Herald] = ()
        """Announce approvals elsewhere."""
        self.version = 0
        """Another number after each change that this process made."""
        self._sealer = sealer
        self._events: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()
        self._recovery = anyio.Lock()
        self._recovered = False
        self._telling: set[asyncio.Task[None]] = set()

    async def recover(self) -> None:
        """Find out, once, what an earlier run of this daemon left without an outcome."""
        if self._recovered:
            return
        async with self._recovery:
            if self._recovered:
                return
            async with self.store.transaction(DESK) as database:
                rows = await table.recover(database, self.runner)
            self._recovered = True
        for row in rows:
            log.warning("%s was cut off by a crash: its outcome is unknown", row["id"])
            self.note(DESK, "approval.unknown", approval_of(row).show())

    async def expire(self) -> None:
        """Let everything expire whose time is over; each is recorded and announced once."""
        async with self.store.transaction(DESK) as database:
            rows = await table.expire(database)
        for row in rows:
            self.announce("expired", approval_of(row), None, by=DESK)

    def expire_in(self, seconds: float) -> None:
        """See to it that what is over in some seconds is recorded, although nobody may look."""
        self.later(self._expire_in(seconds))

    async def _expire_in(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        try:
            await self.expire()
        except HostError as error:
            log.warning("an approval that expired could not be noted: %s", error)

    async def row(
        self, database: Database, approval_id: str, *, lock: bool = False
    ) -> dict[str, Any]:
        """Return an approval's row.

        Raises:
            NotFoundError: There is none.
        """
        row = await table.find(database, approval_id, lock=lock)
        if row is None:
            known = await table.list_rows(database, every=False, most=200)
            raise NotFoundError(
                "approval",
                approval_id,
                [one["id"] for one in known],
                next_step="`host approvals list` shows those that wait.",
            )
        return row

    async def use_grant(
        self, database: Database, call: AskedCall, *, instead_of: str | None = None
    ) -> Pass | None:
        """Return the pass of a grant that answers a call, and withdraw its pending approval."""
        grant = await grants.use(database, call, self.matches)
        if grant is None:
            return None
        if instead_of is not None:
            reason = f"The grant {grant.id} answers it."
            await table.withdraw(database, approval_id=instead_of, reason=reason)
        passed = Pass(arguments=call.arguments, grant=grant.id, approver=grant.approver)
        self.note(call.principal, "grant.used", {**passed.detail(), "name": call.name})
        return passed

    def announce(
        self, event: str, approval: Approval, arguments: Json | None, *, by: Principal | None
    ) -> None:
        """Record an event, wake who waits for it, and let the heralds tell it.

        Args:
            event: `asked`, `answered`, `withdrawn` or `expired`.
            approval: As it is now.
            arguments: What it is about, where a herald may show them.
            by: Who did it; None where it is recorded elsewhere.
        """
        if by is not None:
            self.note(by, f"approval.{event}", approval.show())
        self.wake(approval.id)
        for herald in self.heralds:
            self.later(_announce(herald, event, approval, arguments))

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the calls; what is left of it at the end is given up."""
        task = asyncio.ensure_future(work)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    def event(self, approval_id: str) -> asyncio.Event:
        """Return what is set at the next change of an approval."""
        return self._events.setdefault(approval_id, asyncio.Event())

    def wake(self, approval_id: str) -> None:
        """Tell who waits that an approval changed."""
        event = self._events.pop(approval_id, None)
        if event is not None:
            event.set()
        self.version += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def wake_all(self) -> None:
        """Tell everybody who waits that a grant was given, which may answer them."""
        for approval_id in list(self._events):
            self.wake(approval_id)

    async def changed(self, since: int, *, limit: float) -> int:
        """Return the version once it is another than `since`, or as it is after `limit` seconds."""
        with anyio.move_on_after(limit):
            while self.version == since:
                await self._changed.wait()
        return self.version

    async def close(self) -> None:
        """Give up what is still being announced."""
        for task in list(self._telling):
            task.cancel()

    def seal(self, parked: Parked) -> str:
        """Return parked arguments as they are kept."""
        life = self.config.expires + self.config.resume + _SPARE
        return self._sealer.seal(parked.wire(), life=life)

    def open(self, sealed: str | None) -> Parked | None:
        """Return what was parked; None where it was forgotten or its key is gone."""
        if sealed is None:
            return None
        try:
            return Parked(**self._sealer.open(sealed))
        except AccessError:
            return None


async def _announce(herald: Herald, event: str, approval: Approval, arguments: Json | None) -> None:
    try:
        await herald.announce(event, approval, arguments)
    except Exception:  # a boundary: whoever announces must not disturb the call
        log.exception("%s of %s could not be announced", event, approval.id)
