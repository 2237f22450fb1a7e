"""The callers' side: asks for a yes, waits for it, and lets each approved call through once."""

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeAlias

import anyio

from host.approvals import table
from host.approvals.approval import DESK, Answer, Approval, Pass, may_answer
from host.approvals.board import Board, Parked
from host.approvals.call import AskedCall
from host.approvals.inbox import Inbox
from host.approvals.seats import Seats
from host.approvals.table import approval_of, pass_of
from host.domain.errors import (
    ApprovalPendingError,
    DeniedError,
    EditError,
    HostError,
    OutcomeUnknownError,
)
from host.domain.wait import unbroken

log = logging.getLogger(__name__)

POLL = 2.0
"""Seconds between two looks at an approval that another process may answer."""

Offer: TypeAlias = Callable[[Approval, str | None], Awaitable[Answer | None]]
"""Asks somebody, and returns what they said; None where they did not decide. The text says why
their last answer, with other arguments, could not be taken; None the first time."""
Tell: TypeAlias = Callable[[Approval], None]
"""Lets the caller know that it still waits."""
Recheck: TypeAlias = Callable[[], str | None]
"""Says why an approved call may not be made all the same; None if it may."""

ASKED_AT_MOST = 10
"""How often a client is asked about one call whose edited arguments cannot be sent."""


class Desk:
    """Where calls are brought that need a yes.

    Args:
        board: The open approvals.
        inbox: Takes the answers of whoever is asked at the calling client.
    """

    def __init__(self, board: Board, inbox: Inbox) -> None:
        self._board = board
        self._store = board.store
        self._inbox = inbox
        self._seats = Seats()

    async def admit(
        self,
        call: AskedCall,
        *,
        offer: Offer | None = None,
        tell: Tell | None = None,
        recheck: Recheck | None = None,
        keep: bool = True,
    ) -> Pass:
        """Return what lets a call through, once; asks and waits if need be.

        Args:
            call: The call.
            offer: Asks the person at the calling client.
            tell: Lets the caller know that it waits.
            recheck: Says why an approved call may not be made all the same.
            keep: Whether the question stays open when whoever waits is cancelled; if not, it is
                withdrawn unless somebody else waits for the same.

        Raises:
            DeniedError: Somebody said no, or nobody said yes in time.
            ApprovalPendingError: It still waits at the caller's deadline.
            OutcomeUnknownError: It was approved and made before, and cut off by a crash.
        """
        deadline = anyio.current_time() + self._board.config.wait
        while True:
            found = await self._asked(call, tell, keep=keep)
            if isinstance(found, Approval):
                left = max(0.0, deadline - anyio.current_time())
                waiting = self.wait(found, call, offer=offer, tell=tell, limit=left)
                found = await self._seated(found.id, waiting, keep=keep)
            if isinstance(found, Pass):
                return found
            if found.state == "pending":
                raise ApprovalPendingError(found.id, found.name)
            passed = await self.settle(found, call, recheck=recheck)
            if passed is not None:
                return passed

    async def _asked(self, call: AskedCall, tell: Tell | None, *, keep: bool) -> Pass | Approval:
        """Ask; a question that is stored when its caller has gone is not left to itself."""
        try:
            return await self._ask(call)
        except anyio.get_cancelled_exc_class():
            await unbroken(self._left(call, tell, keep=keep))
            raise

    async def _left(self, call: AskedCall, tell: Tell | None, *, keep: bool) -> None:
        """Tell a caller who has gone what is open; who will not be back takes it along."""
        with suppress(HostError):
            async with self._store.transaction(call.principal) as database:
                row = await table.find_for_call(database, call.digest, memory=0.0)
            if row is None or row["state"] != "pending":
                return
            approval = approval_of(row)
            if tell is not None:
                tell(approval)
            with self._seats.taken(approval.id):
                if not keep and self._seats.is_last(approval.id):
                    await self._take_along(approval.id)

    async def _take_along(self, approval_id: str) -> None:
        with suppress(HostError):
            await self._inbox.withdraw(approval_id, reason="Whoever asked has ended.")

    async def _seated(
        self, approval_id: str, waiting: Awaitable[Approval | Pass], *, keep: bool
    ) -> Approval | Pass:
        """Wait; who leaves early takes the question along only if nobody else wants it answered."""
        with self._seats.taken(approval_id):
            if keep:
                self._seats.keep(approval_id)
            try:
                found = await waiting
            except anyio.get_cancelled_exc_class():
                if not keep and self._seats.is_last(approval_id):
                    await unbroken(self._take_along(approval_id))
                raise
        if isinstance(found, Pass) or found.state != "pending":
            self._seats.release(approval_id)
        return found

    async def ask(self, call: AskedCall) -> Pass | Approval:
        """Return what stands for a call: a grant's pass, an open approval or a new one.

        Who asks like this comes back for the answer.

        Raises:
            DeniedError: It was refused since it was made last.
            OutcomeUnknownError: It was cut off when it was made last.
        """
        found = await self._ask(call)
        if isinstance(found, Approval):
            self._seats.keep(found.id)
        return found

    async def _ask(self, call: AskedCall) -> Pass | Approval:
        """Do what `ask` says, for a caller that waits.

        Raises:
            DeniedError: It was refused since it was made last.
            OutcomeUnknownError: It was cut off when it was made last.
        """
        await self._board.recover()
        while True:
            await self._board.expire()
            async with self._store.transaction(call.principal) as database:
                row = await table.find_for_call(
                    database, call.digest, memory=self._board.config.resume
                )
                if row is not None and row["state"] in ("denied", "expired", "unknown"):
                    await table.note_told(database, row["id"])
                    refused = approval_of(row)
                    break
                if row is not None and row["state"] == "approved":
                    return approval_of(row)
                waiting = None if row is None else row["id"]
                passed = await self._board.use_grant(database, call, instead_of=waiting)
                if passed is not None:
                    return passed
                if row is not None:
                    return approval_of(row)
                cut_off = await table.find_unknown(database, call.digest)
                also = () if cut_off is None else (table.twice(cut_off),)
                row = await table.insert(
                    database,
                    replace(call, reasons=(*call.reasons, *also)),
                    sealed=self._board.seal(_park(call)),
                    life=self._board.config.expires,
                )
            if row is not None:
                approval = approval_of(row)
                self._board.announce("asked", approval, call.arguments, by=call.principal)
                self._board.expire_in(self._board.config.expires)
                return approval
        raise _refused(refused)

    async def wait(
        self,
        approval: Approval,
        call: AskedCall,
        *,
        offer: Offer | None = None,
        tell: Tell | None = None,
        limit: float,
    ) -> Approval | Pass:
        """Return an approval once it is decided, or as it is after `limit` seconds.

        Everything that was offered is withdrawn then. A grant given meanwhile counts as well.
        """
        if approval.state != "pending":
            return approval
        result: Approval | Pass | None = None
        try:
            with anyio.move_on_after(limit):
                async with anyio.create_task_group() as group:
                    if offer is not None:
                        group.start_soon(self._offer, approval, offer)
                    if tell is not None:
                        tell(approval)
                        group.start_soon(self._tell, approval, tell)
                    result = await self._decided(approval, call)
                    group.cancel_scope.cancel()
        except* HostError as failed:
            raise failed.exceptions[0] from None
        return result or await self._inbox.find(approval.id)

    async def settle(
        self, approval: Approval, call: AskedCall, *, recheck: Recheck | None = None
    ) -> Pass | None:
        """Return the pass of an approved call, which is used up by that; None where it was before.

        Raises:
            DeniedError: The approval is a no.
        """
        if approval.state in ("denied", "expired", "withdrawn"):
            async with self._store.transaction(call.principal) as database:
                await table.note_told(database, approval.id)
            raise _refused(approval)
        reason = None
        if approval.state == "approved":
            reason = recheck() if recheck is not None else None
            if not may_answer(call.approvers, approval.standing):
                reason = "The rule has come to want somebody else's word: make the call again."
        if reason is not None:
            await self._inbox.withdraw(approval.id, reason=reason)
            raise DeniedError(f"{approval.name} was not called, though approved. {reason}")
        async with self._store.transaction(call.principal) as database:
            row = await table.consume(database, approval.id, call.digest, self._board.runner)
        if row is None:
            return None
        arguments = call.arguments
        if row["edited"] is not None:
            parked = self._board.open(row["opened"])
            if parked is None or parked.edited is None:
                await self.finish(pass_of(row, arguments), "denied")
                raise DeniedError(
                    f"The edited arguments of {approval.id} cannot be opened: their key is gone.",
                    next_step="Make the call again.",
                )
            arguments = parked.edited
        passed = pass_of(row, arguments)
        self._board.note(call.principal, "approval.used", passed.detail())
        self._board.wake(approval.id)
        return passed

    async def finish(self, passed: Pass, outcome: str, *, nonce: str | None = None) -> None:
        """Note how a call ended that an approval let through; nothing to do after a grant."""
        if passed.approval is None:
            return
        try:
            async with self._store.transaction(DESK) as database:
                await table.finish(database, passed.approval, outcome, nonce=nonce)
        except HostError as error:
            log.warning("how %s ended could not be noted: %s", passed.approval, error)

    async def resume(self, approval_id: str, call: AskedCall, *, nonce: str) -> Pass:
        """Let the next round of an approved call through, whose server asked something.

        Raises:
            DeniedError: The round was made before, or belongs to another call.
        """
        async with self._store.transaction(call.principal) as database:
            row = await table.resume_round(
                database, approval_id, call.digest, nonce=nonce, runner=self._board.runner
            )
        if row is None:
            raise DeniedError(
                f"The request state of {approval_id} was used before.",
                next_step="Make the call again without requestState.",
            )
        return pass_of(row, call.arguments)

    async def _decided(self, approval: Approval, call: AskedCall) -> Approval | Pass:
        """Wait until an approval is decided, here or in another process, or a grant answers it."""
        while True:
            event = self._board.event(approval.id)
            await self._board.expire()
            async with self._store.transaction(call.principal) as database:
                row = await self._board.row(database, approval.id, lock=True)
                if row["state"] == "pending":
                    passed = await self._board.use_grant(database, call, instead_of=row["id"])
                    if passed is not None:
                        return passed
            if row["state"] != "pending":
                return approval_of(row)
            with anyio.move_on_after(POLL):
                await event.wait()

    async def _offer(self, approval: Approval, offer: Offer) -> None:
        """Ask the person at the client, and take what they say; the other ways stay open."""
        problem: str | None = None
        for _ in range(ASKED_AT_MOST):
            try:
                answer = await offer(approval, problem)
                if answer is not None:
                    await self._inbox.answer(approval.id, answer)
            except EditError as error:
                problem = str(error)
                continue
            except HostError as error:
                log.info("an answer to %s did not count: %s", approval.id, error)
            return
        log.warning("%s is not asked about at its client any more: %s", approval.id, problem)

    async def _tell(self, approval: Approval, tell: Tell) -> None:
        while True:
            await anyio.sleep(self._board.config.progress)
            tell(approval)


def _park(call: AskedCall) -> Parked:
    return Parked(call.arguments, call.schema, call.context)


def _refused(approval: Approval) -> HostError:
    if approval.state == "unknown":
        return OutcomeUnknownError(approval.id, approval.name)
    if approval.state == "expired":
        return DeniedError(
            f"Nobody approved the call of {approval.name} in time ({approval.id}), which is a no.",
            next_step="Made again, the call is asked about anew.",
        )
    if approval.state == "withdrawn":
        return DeniedError(f"{approval.reason or 'It was withdrawn.'} ({approval.id})")
    said = f": {approval.reason}" if approval.reason else "."
    return DeniedError(f"The call of {approval.name} was denied by a person{said} ({approval.id})")
