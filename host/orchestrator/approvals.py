"""Approvals and grants as the daemon's own command line reads and answers them."""

from collections.abc import Awaitable, Callable
from typing import Any, cast, get_args

from host.app import TERMINAL
from host.approvals.approval import Answer, Approval
from host.approvals.board import Board
from host.approvals.grant import GrantTerms, Scope
from host.approvals.inbox import Inbox
from host.approvals.passphrase import Passphrase
from host.domain.errors import AccessError, NotFoundError
from host.domain.jsonrpc import Json, as_object

LONGEST_WAIT = 20.0
"""Seconds for which one look at what waits may last."""


class ApprovalCommands:
    """Serves `approvals.*` and `grants.*` of the control socket.

    Args:
        board: The open approvals.
        inbox: Where answers go.
        passphrase: What answers need where it is set.
    """

    def __init__(self, board: Board, inbox: Inbox, passphrase: Passphrase) -> None:
        self._board = board
        self._inbox = inbox
        self._passphrase = passphrase
        self._commands: dict[str, Callable[[Json], Awaitable[Any]]] = {
            "approvals.list": self._list,
            "approvals.watch": self._watch,
            "approvals.show": self._show,
            "approvals.answer": self._answer,
            "approvals.guarded": self._guarded,
            "approvals.passphrase": self._set_passphrase,
            "grants.list": self._list_grants,
            "grants.revoke": self._revoke,
        }

    @property
    def names(self) -> list[str]:
        """The commands."""
        return list(self._commands)

    async def run(self, method: str, params: Json) -> Any:  # noqa: ANN401 - any JSON
        """Carry out a command.

        Raises:
            NotFoundError: There is no such command.
            HostError: It failed.
        """
        command = self._commands.get(method)
        if command is None:
            raise NotFoundError("command", method, self.names)
        return await command(params)

    async def _list(self, params: Json) -> list[Json]:
        found = await self._inbox.approvals(every=params.get("every") is True)
        return [approval.show() for approval in found]

    async def _watch(self, params: Json) -> Json:
        """Return what waits once something changed since the version that was seen last."""
        since = params.get("since")
        if isinstance(since, int):
            await self._board.changed(since, limit=LONGEST_WAIT)
        version = self._board.version
        found = await self._inbox.approvals()
        waiting = [approval.show() for approval in found if approval.state == "pending"]
        return {"version": version, "approvals": waiting}

    async def _show(self, params: Json) -> Json:
        approval, arguments = await self._inbox.show(str(params.get("id")))
        return {**approval.show(), "arguments": arguments}

    async def _guarded(self, params: Json) -> Json:
        return {"passphrase": await self._passphrase.is_set()}

    async def _set_passphrase(self, params: Json) -> Json:
        new = str(params.get("new") or "")
        await self._passphrase.set(new, current=_text(params.get("current")))
        self._board.note(TERMINAL, "passphrase.set" if new else "passphrase.removed", {})
        return {"passphrase": bool(new)}

    async def _answer(self, params: Json) -> Json:
        approve = params.get("approve") is True
        await self._passphrase.check(_text(params.get("passphrase")))
        edited = params.get("arguments")
        if edited is not None and as_object(edited) is None:
            raise AccessError("Arguments are a JSON object.")
        reason = params.get("reason")
        answer = Answer(
            approve=approve,
            by=TERMINAL,
            channel="terminal" if params.get("channel") == "terminal" else "cli",
            digest=str(params.get("digest")),
            reason=reason if isinstance(reason, str) and reason else None,
            arguments=as_object(edited),
            grant=read_terms(as_object(params.get("grant"))),
        )
        approval: Approval = await self._inbox.answer(str(params.get("id")), answer)
        return approval.show()

    async def _list_grants(self, params: Json) -> list[Json]:
        found = await self._inbox.grants(every=params.get("every") is True)
        return [grant.show() for grant in found]

    async def _revoke(self, params: Json) -> Json:
        grant = await self._inbox.revoke_grant(str(params.get("id")), by=TERMINAL)
        return grant.show()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def read_terms(given: Json | None) -> GrantTerms | None:
    """Return the terms of a grant as the command line says them.

    Raises:
        AccessError: They are not terms.
    """
    if given is None:
        return None
    scope, expires, most = given.get("scope"), given.get("expires"), given.get("most")
    if scope not in get_args(Scope):
        raise AccessError(f"A grant holds for {', '.join(get_args(Scope))}.")
    if expires is not None and not isinstance(expires, int | float):
        raise AccessError("An expiry is a number of seconds.")
    if most is not None and (not isinstance(most, int) or isinstance(most, bool)):
        raise AccessError("A count is a whole number.")
    return GrantTerms(
        scope=cast("Scope", scope),
        exact=given.get("exact") is True,
        matchers=as_object(given.get("matchers")),
        expires=None if expires is None else float(expires),
        most=most,
    )
