"""The approvers' side: shows what waits, takes answers, gives and takes back grants."""

from collections.abc import Collection
from dataclasses import replace

from host.approvals import grants, table
from host.approvals.approval import DESK, Answer, Approval, may_answer, name_groups, standing
from host.approvals.board import Board, Parked, Ruling
from host.approvals.call import digest_json
from host.approvals.edit import check_edit
from host.approvals.grant import Grant, GrantNeeds
from host.approvals.table import approval_of
from host.domain.errors import AccessError, EditError, NotFoundError
from host.domain.jsonrpc import Json
from host.domain.principal import Principal


class Inbox:
    """Where approvals are answered, whichever way the answer comes.

    Args:
        board: The open approvals.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._store = board.store

    async def answer(self, approval_id: str, answer: Answer) -> Approval:
        """Take an answer; the first eligible one counts.

        Raises:
            NotFoundError: There is no such approval.
            AccessError: Who answers may not, it was about something else, somebody was faster, or
                the edited arguments cannot be sent.
        """
        await self._board.recover()
        await self._board.expire()
        granted: Grant | None = None
        async with self._store.transaction(DESK) as database:
            row = await self._board.row(database, approval_id)
        approval = approval_of(row)
        _check_answer(approval, answer)
        parked = self._board.open(row["sealed"])
        given: Json = {
            "digest": answer.digest,
            "approver": answer.by.id,
            "standing": sorted(standing(answer.by)),
            "channel": answer.channel,
            "reason": answer.reason,
            **({"edited": None, "sealed": None} if answer.approve else {}),
        }
        needs = needs_of(approval)
        if answer.approve and answer.arguments is not None:
            ruling = await self._judge(approval, parked, answer.arguments, answer.by)
            given |= self._edit(parked, answer.arguments)
            needs = _stricter(needs, ruling.needs)
        if answer.approve and answer.grant is not None:
            answer.grant.check(needs, agent=approval.agent, session=approval.session)
            if answer.grant.matchers is not None:
                self._board.check_matchers(answer.grant.matchers)
        # While the edit was judged somebody may have been faster: only one update finds it pending.
        async with self._store.transaction(DESK) as database:
            if answer.approve:
                new = await table.approve(
                    database, approval_id, given, life=self._board.config.resume
                )
            else:
                new = await table.deny(database, approval_id, given)
            if new is None:
                raise _too_late(approval_id)
            approval = approval_of(new)
            if answer.approve and answer.grant is not None:
                granted = await grants.add(
                    database,
                    approval,
                    answer.grant,
                    by=answer.by,
                    destructive=needs.destructive,
                )
        self._record_answer(approval, answer, parked, granted)
        return approval

    async def withdraw(self, approval_id: str, *, reason: str) -> Approval | None:
        """Take back what nobody should answer any more; None where that came too late."""
        async with self._store.transaction(DESK) as database:
            rows = await table.withdraw(database, approval_id=approval_id, reason=reason)
        for row in rows:
            self._board.announce("withdrawn", approval_of(row), None, by=DESK)
        return approval_of(rows[0]) if rows else None

    async def forget_definitions(self, definitions: Collection[str], *, reason: str) -> int:
        """Let everything die that is bound to definitions whose pins are gone.

        Returns:
            How many approvals and grants that were.
        """
        async with self._store.transaction(DESK) as database:
            rows = await table.withdraw(database, definitions=definitions, reason=reason)
            ended = await grants.revoke(database, definitions=definitions)
        for row in rows:
            self._board.announce("withdrawn", approval_of(row), None, by=DESK)
        for grant in ended:
            self._board.note(DESK, "grant.revoked", {**grant.show(), "reason": reason})
        return len(rows) + len(ended)

    async def find(self, approval_id: str) -> Approval:
        """Return an approval.

        Raises:
            NotFoundError: There is none.
        """
        await self._board.expire()
        async with self._store.transaction(DESK) as database:
            return approval_of(await self._board.row(database, approval_id))

    @property
    def version(self) -> int:
        """Another number after each change that this process made."""
        return self._board.version

    async def changed(self, since: int, *, limit: float) -> None:
        """Return once the version is another than `since`, or after `limit` seconds."""
        await self._board.changed(since, limit=limit)

    async def pending(self, approval_ids: Collection[str]) -> frozenset[str]:
        """Return those of some approvals that nobody has answered yet."""
        await self._board.expire()
        async with self._store.transaction(DESK) as database:
            return frozenset(await table.pending(database, approval_ids))

    async def show(self, approval_id: str) -> tuple[Approval, Json | None]:
        """Return an approval and the arguments it is about; None once they are forgotten."""
        await self._board.expire()
        async with self._store.transaction(DESK) as database:
            row = await self._board.row(database, approval_id)
        parked = self._board.open(row["sealed"])
        return approval_of(row), None if parked is None else parked.arguments

    async def approvals(self, *, every: bool = False, most: int = 200) -> list[Approval]:
        """Return the approvals that wait, oldest first; with `every` the latest of all."""
        await self._board.recover()
        await self._board.expire()
        async with self._store.transaction(DESK) as database:
            return [
                approval_of(row) for row in await table.list_rows(database, every=every, most=most)
            ]

    async def grants(self, *, every: bool = False) -> list[Grant]:
        """Return the grants that hold; with `every` those that do not any more as well."""
        async with self._store.transaction(DESK) as database:
            return await grants.list_rows(database, every=every)

    async def revoke_grant(self, grant_id: str, *, by: Principal) -> Grant:
        """Take a grant back.

        Raises:
            NotFoundError: There is none of this id that holds.
        """
        async with self._store.transaction(DESK) as database:
            ended = await grants.revoke(database, grant_id=grant_id)
            known = [] if ended else await grants.list_rows(database, every=False)
        if not ended:
            raise NotFoundError("grant", grant_id, [one.id for one in known])
        self._board.note(by, "grant.revoked", ended[0].show())
        return ended[0]

    async def _judge(
        self, approval: Approval, parked: Parked | None, arguments: Json, by: Principal
    ) -> Ruling:
        """Return what the policy says of edited arguments that may be sent.

        Raises:
            EditError: They cannot be sent.
        """
        if parked is None:
            raise AccessError(
                f"The arguments of {approval.id} cannot be opened any more: their key is gone.",
                next_step="Deny it; its caller can call again.",
            )
        if approval.method != "tools/call":
            raise EditError("Only the arguments of a tool can be edited.")
        check_edit(arguments, parked.schema)
        caller = Principal(approval.user, approval.client)
        ruling = await self._board.judge(caller, by, parked.context, arguments)
        if ruling.refusal is not None:
            raise EditError(
                f"The edited arguments may not be sent: {ruling.refusal}", next_step="Correct them."
            )
        return ruling

    def _edit(self, parked: Parked | None, arguments: Json) -> Json:
        """Return what is kept of edited arguments."""
        assert parked is not None  # noqa: S101 - nothing is judged otherwise
        return {
            "edited": digest_json(arguments),
            "sealed": self._board.seal(replace(parked, edited=arguments)),
        }

    def _record_answer(
        self, approval: Approval, answer: Answer, parked: Parked | None, granted: Grant | None
    ) -> None:
        detail = approval.show()
        if answer.arguments is not None and parked is not None:
            detail |= {"arguments": parked.arguments, "edited_arguments": answer.arguments}
        self._board.note(answer.by, f"approval.{approval.state}", detail)
        if granted is not None:
            self._board.note(answer.by, "grant.given", granted.show())
            self._board.wake_all()
        self._board.announce("answered", approval, None, by=None)
        if answer.approve:
            self._board.expire_in(self._board.config.resume)


def _check_answer(approval: Approval, answer: Answer) -> None:
    """Check who answers, to what, and how.

    Raises:
        AccessError: It does not count.
    """
    if approval.state != "pending":
        raise _too_late(approval.id, approval)
    if approval.digest != answer.digest:
        raise AccessError(
            f"{approval.id} is about another call than the one that was shown.",
            next_step=f"Look again: `host approvals show {approval.id}`.",
        )
    if not may_answer(approval.approvers, standing(answer.by)):
        wanted = name_groups(approval.approvers)
        raise AccessError(f"{approval.id} has to be answered by {wanted}.")
    if answer.channel in ("elicitation", "tool", "web") and not answer.by.attended:
        # A program that answers its own questions is no person.
        raise AccessError(f"The client {answer.by.client} is not marked as attended.")


def needs_of(approval: Approval) -> GrantNeeds:
    """Return what a grant for the approved call has to be."""
    return GrantNeeds(
        every_time=approval.every_time,
        constrained=approval.constrained,
        destructive=approval.destructive,
    )


def _stricter(one: GrantNeeds, other: GrantNeeds) -> GrantNeeds:
    """Return what is needed where the call and the edited call each need something."""
    return GrantNeeds(
        every_time=one.every_time or other.every_time,
        constrained=one.constrained or other.constrained,
        destructive=one.destructive or other.destructive,
    )


def _too_late(approval_id: str, approval: Approval | None = None) -> AccessError:
    if approval is None:
        return AccessError(f"{approval_id} was answered or expired just now.")
    by = f" by {approval.approver} ({approval.channel})" if approval.approver else ""
    return AccessError(f"{approval_id} is {approval.state} already{by}.")
