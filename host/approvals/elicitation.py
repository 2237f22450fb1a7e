"""The question by which the person at a client is asked, and what their answer says."""

import json
from dataclasses import dataclass
from typing import Any

from host.approvals.approval import Answer, Approval, Channel
from host.approvals.grant import GrantTerms
from host.approvals.text import approval_lines, escape
from host.domain.errors import EditError
from host.domain.jsonrpc import Json, as_object
from host.domain.principal import Principal
from host.domain.protocol import object_member

LONGEST = 8_000
"""Characters of a question; a longer one is not asked in a client's window, where it may be cut."""

ONCE = "Approve once"
SAME = "Approve these arguments for this session"
ANY = "Approve any arguments for this session"
DENY = "Deny"
_EDIT: Json = {
    "type": "string",
    "title": "Other arguments",
    "description": "A JSON object, sent in place of the arguments above. Empty: they stay.",
}


@dataclass(frozen=True, slots=True)
class Shows:
    """What a client shows to the person at it; nothing where nobody sits there."""

    forms: bool = False
    pages: bool = False


def shown_by(capabilities: Json, principal: Principal) -> Shows:
    """Return what a client shows."""
    if not principal.attended or "elicitation" not in capabilities:
        return Shows()
    declared = object_member(capabilities, "elicitation")
    # An empty declaration means forms; a client that says it shows pages only shows no form.
    return Shows(forms=not declared or "form" in declared, pages="url" in declared)


def build_question(
    approval: Approval,
    arguments: Any,  # noqa: ANN401 - any JSON
    *,
    problem: str | None = None,
    editable: bool = True,
) -> Json | None:
    """Return the params of an `elicitation/create`; None where they would be too long to read.

    Args:
        approval: What is asked about.
        arguments: Of the call.
        problem: Why the arguments of the last answer could not be sent.
        editable: Whether other arguments may be sent in their place.
    """
    again = [] if problem is None else [f"{escape(problem)} Nothing was sent."]
    lines = ["Approval needed.", *again, *approval_lines(approval.show(), arguments)]
    message = "\n".join([*lines, f"({approval.id}, {approval.digest[:12]})"])
    if len(message) > LONGEST:
        return None
    options = offered(approval)
    edit = {"arguments": _EDIT} if editable and approval.method == "tools/call" else {}
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
                **edit,
            },
            "required": ["answer"],
        },
    }


def offered(approval: Approval) -> list[str]:
    """Return the answers that a person at a client may choose from."""
    if approval.every_time or approval.destructive or not approval.session:
        return [ONCE, DENY]
    return [ONCE, SAME, DENY] if approval.constrained else [ONCE, SAME, ANY, DENY]


def read_answer(
    approval: Approval, reply: Json, principal: Principal, *, channel: Channel = "elicitation"
) -> Answer | None:
    """Return what the person at a client decided; None where they did not.

    Only an accepted form with one of the answers counts as a yes: some clients accept every form
    by themselves, with nothing or a default in it.

    Raises:
        EditError: They would send something else, and it is not an object in JSON.
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
        channel=channel,
        digest=approval.digest,
        reason=escape(reason)[:1000] if isinstance(reason, str) and reason else None,
        arguments=_edited(content.get("arguments")) if approve else None,
        grant=grant,
    )


def _edited(text: object) -> Json | None:
    """Return what is to be sent in place of the caller's arguments; None where nothing is."""
    if text is None or (isinstance(text, str) and not text.strip()):
        return None
    try:
        found = as_object(json.loads(text)) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        found = None
    if found is None:
        raise EditError(
            "The edited arguments are no object in JSON.",
            next_step='Write them like {"to": "ann"}.',
        )
    return found
