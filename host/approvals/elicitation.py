"""The question by which the person at a client is asked, and what their answer says."""

from typing import Any

from host.approvals.approval import Answer, Approval
from host.approvals.grant import GrantTerms
from host.approvals.text import approval_lines, escape
from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from host.domain.protocol import object_member

LONGEST = 8_000
"""Characters of a question; a longer one is not asked in a client's window, where it may be cut."""

ONCE = "Approve once"
SAME = "Approve these arguments for this session"
ANY = "Approve any arguments for this session"
DENY = "Deny"


def can_ask(capabilities: Json, principal: Principal) -> bool:
    """Return whether a client shows forms and a person sits at it."""
    if not principal.attended or "elicitation" not in capabilities:
        return False
    declared = object_member(capabilities, "elicitation")
    # An empty declaration means forms; a client that says it shows pages only shows no form.
    return not declared or "form" in declared


def build_question(approval: Approval, arguments: Any) -> Json | None:  # noqa: ANN401 - any JSON
    """Return the params of an `elicitation/create`; None where they would be too long to read."""
    lines = ["Approval needed.", *approval_lines(approval.show(), arguments)]
    message = "\n".join([*lines, f"({approval.id}, {approval.digest[:12]})"])
    if len(message) > LONGEST:
        return None
    options = [ONCE, DENY]
    if not approval.every_time and not approval.destructive and approval.session:
        options[1:1] = [SAME, ANY]
    return {
        "mode": "form",
        "message": message,
        "requestedSchema": {
            "type": "object",
            "properties": {
                "answer": {"type": "string", "title": "Your answer", "enum": options},
                "reason": {
                    "type": "string",
                    "title": "Reason",
                    "description": "Told to the caller; may be left empty.",
                    "maxLength": 1000,
                },
            },
            "required": ["answer"],
        },
    }


def read_answer(approval: Approval, reply: Json, principal: Principal) -> Answer | None:
    """Return what the person at a client decided; None where they did not.

    Only an accepted form with one of the answers counts as a yes: some clients accept every form
    by themselves, with nothing or a default in it.
    """
    content = object_member(reply, "content")
    chosen, reason = content.get("answer"), content.get("reason")
    accepted = reply.get("action") == "accept"
    if reply.get("action") == "decline" or (accepted and chosen == DENY):
        approve, grant = False, None
    elif accepted and chosen in (ONCE, SAME, ANY):
        approve = True
        grant = None if chosen == ONCE else GrantTerms(scope="session", exact=chosen == SAME)
    else:
        return None
    return Answer(
        approve=approve,
        by=principal,
        channel="elicitation",
        digest=approval.digest,
        reason=escape(reason)[:1000] if isinstance(reason, str) and reason else None,
        grant=grant,
    )
