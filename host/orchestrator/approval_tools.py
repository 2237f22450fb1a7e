"""Approvals for principals that may answer them, as tools: `list_approvals`, `answer_approval`."""

from dataclasses import replace

from host.app import Host
from host.approvals.approval import Answer, Approval
from host.approvals.elicitation import build_question, read_answer, shown_by
from host.approvals.text import approval_lines, escape
from host.domain.errors import AccessError
from host.domain.jsonrpc import Json
from host.gateway.exchange import Exchange
from host.gateway.local import text_result
from host.orchestrator.own_tool import COUNT, TEXT, OwnTool

MAY_ANSWER = frozenset({"approver", "admin"})
"""Roles that see everybody's approvals and answer them."""


class ApprovalTools:
    """Shows and answers approvals.

    A credential alone approves nothing: a yes is asked of the person at the client, in a dialog
    that shows the whole call. Nobody answers for a call of their own client, and no run of an agent
    answers anything, whoever it runs for.

    Args:
        host: Whose approvals.
    """

    def __init__(self, host: Host) -> None:
        self._inbox = host.inbox

    def tools(self) -> list[OwnTool]:
        """Return the tools."""
        answer: Json = {
            "id": {**TEXT, "description": "From list_approvals."},
            "digest": {**TEXT, "description": "From list_approvals; says what you have seen."},
            "approve": {"type": "boolean"},
            "reason": {**TEXT, "maxLength": 1000, "description": "Told to the caller."},
        }
        return [
            OwnTool(
                "list_approvals",
                "List the calls that wait for a yes: your own, or all if you may answer.",
                self._list,
                {"limit": COUNT},
            ),
            OwnTool(
                "answer_approval",
                "Approve or deny a call of somebody else; your credential has to be an approver's. "
                "Before a yes counts, the person at your client is asked.",
                self._answer,
                answer,
                ("id", "digest", "approve"),
                changes=True,
            ),
        ]

    async def _list(self, exchange: Exchange, arguments: Json) -> Json:
        principal = exchange.session.principal
        waiting = [one for one in await self._inbox.approvals() if one.state == "pending"]
        if principal.role not in MAY_ANSWER:
            waiting = [one for one in waiting if _is_own(one, exchange)]
        shown: list[Json] = []
        lines: list[str] = []
        for one in waiting[: int(arguments.get("limit", 50))]:
            approval, given = await self._inbox.show(one.id)
            shown.append({**approval.show(), "arguments": given})
            lines += [approval.id, *(f"  {line}" for line in approval_lines(shown[-1], given))]
        return text_result("\n".join(lines) or "Nothing waits.", {"approvals": shown})

    async def _answer(self, exchange: Exchange, arguments: Json) -> Json:
        approval = await self._inbox.find(str(arguments["id"]))
        _check(approval, exchange)
        principal = exchange.session.principal
        reason = arguments.get("reason")
        approve = arguments["approve"] is True
        if approve and principal.attended:  # else the inbox says what is missing
            approve = await self._confirmed(approval, exchange)
        answer = Answer(
            approve=approve,
            by=principal,
            channel="tool",
            digest=str(arguments["digest"]),
            reason=escape(str(reason)) if reason else None,
        )
        answered = await self._inbox.answer(approval.id, answer)
        text = f"{answered.id} of {answered.name} is {answered.state}."
        return text_result(text, {"approval": answered.show()})

    async def _confirmed(self, approval: Approval, exchange: Exchange) -> bool:
        """Ask the person at the client; return whether they approve, and not whether they deny.

        Raises:
            AccessError: Nobody can be asked there, or they did not say.
        """
        answer = None
        if shown_by(exchange.capabilities, exchange.session.principal).forms:
            shown, given = await self._inbox.show(approval.id)
            question = build_question(replace(shown, every_time=True), given, editable=False)
            if question is not None:
                reply = await exchange.ask("elicitation/create", question)
                answer = read_answer(shown, reply, exchange.session.principal)
        if answer is None:
            raise AccessError(
                f"The person at {exchange.session.principal.client} did not say yes to "
                f"{approval.id} in a dialog of their client.",
                next_step=f"`host approvals approve {approval.id}` in a terminal asks them.",
            )
        return answer.approve


def _is_own(approval: Approval, exchange: Exchange) -> bool:
    return approval.caller == exchange.session.principal.id


def _check(approval: Approval, exchange: Exchange) -> None:
    """Check who would answer.

    Raises:
        AccessError: They may not.
    """
    principal = exchange.session.principal
    if exchange.depth:
        raise AccessError("A run answers no approvals; a person or their own client does.")
    if principal.role not in MAY_ANSWER:
        raise AccessError(
            f"The credential {principal.client} may not answer approvals: its role is "
            f"{principal.role}.",
            next_step="`host tokens create NAME --role approver` makes one that may.",
        )
    if _is_own(approval, exchange):
        raise AccessError(
            f"{approval.id} is about a call of {principal.client} itself.",
            next_step="Somebody else has to answer, or you in the terminal: `host approvals`.",
        )
