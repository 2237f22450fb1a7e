"""The page on which an approval is answered in a browser: its HTML, and what its form says."""

import html
from urllib.parse import parse_qs

from host.approvals.approval import Answer, Approval
from host.approvals.elicitation import ANY, DENY, ONCE, SAME, offered, read_answer
from host.approvals.text import approval_lines, escape
from host.domain.errors import AccessError
from host.domain.jsonrpc import Json
from host.domain.principal import Principal

LARGEST_FORM = 1 << 20
"""Bytes of a form that is sent."""

_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid;padding:1rem}"
    "label{display:block;margin:1rem 0}input,textarea{width:100%}"
    "input[type=radio]{width:auto}.problem{font-weight:bold}"
)
_CHOICES = {"once": ONCE, "same": SAME, "any": ANY, "deny": DENY}
"""Value of the form's choice → the answer that it is."""

HTML = "text/html; charset=utf-8"
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
}
"""Nothing but the page's own style is loaded, no other page frames it, and nobody keeps it."""


def render_page(
    approval: Approval,
    arguments: Json | None,
    *,
    token: str,
    guarded: bool,
    problem: str | None = None,
) -> str:
    """Return the page that shows a call whole and asks about it.

    Args:
        approval: What is asked about.
        arguments: Of the call.
        token: What the form has to bring back.
        guarded: Whether a passphrase is asked for.
        problem: Why the last answer was not taken.
    """
    lines = "\n".join(approval_lines(approval.show(), arguments))
    open_choices = offered(approval)
    choices = "".join(
        f'<label><input type="radio" name="answer" value="{value}" required> {said}</label>'
        for value, said in _CHOICES.items()
        if said in open_choices
    )
    edit = (
        "<label>Other arguments, as a JSON object (empty: they stay)"
        '<textarea name="arguments" rows="6"></textarea></label>'
        if approval.method == "tools/call"
        else ""
    )
    secret = (
        '<label>Passphrase<input type="password" name="passphrase" autocomplete="off"></label>'
        if guarded
        else ""
    )
    said = "" if problem is None else f'<p class="problem">{_shown(problem)} Nothing was sent.</p>'
    return _document(
        "Approval needed",
        f"{said}<pre>{html.escape(lines)}</pre><p>{approval.id}, {approval.digest[:12]}</p>"
        f'<form method="post"><input type="hidden" name="token" value="{html.escape(token)}">'
        f'{choices}<label>Reason, told to the caller<input name="reason" maxlength="1000"></label>'
        f"{edit}{secret}<button>Answer</button></form>",
    )


def render_message(title: str, text: str) -> str:
    """Return a page that only says something."""
    return _document(title, f"<p>{_shown(text)}</p>")


def parse_form(body: bytes) -> dict[str, str]:
    """Return the fields of a form as it is sent; of a field that is there twice, the first."""
    try:
        found = parse_qs(body.decode(), max_num_fields=20)
    except ValueError:  # includes text that is not UTF-8
        return {}
    return {name: values[0] for name, values in found.items()}


def answer_of(approval: Approval, form: dict[str, str], by: Principal) -> Answer:
    """Return what a form says.

    Raises:
        EditError: It would send something else, and that is no object in JSON.
        AccessError: It says neither yes nor no.
    """
    content: Json = {"answer": _CHOICES.get(form.get("answer", ""))}
    content |= {name: form[name] for name in ("reason", "arguments") if form.get(name)}
    reply = {"action": "accept", "content": content}
    answer = read_answer(approval, reply, by, channel="web")
    if answer is None or content["answer"] not in offered(approval):
        raise AccessError("Choose one of the answers.")
    return answer


def page_question(approval: Approval, url: str, *, identified: bool) -> Json:
    """Return the params of an `elicitation/create` that shows a page.

    Args:
        approval: What is asked about.
        url: Of the page.
        identified: Whether the protocol's revision wants an id of the question.
    """
    [who, *_] = approval_lines(approval.show(), {})
    message = f"Approval needed. {who} The page shows the whole call and takes your answer."
    found: Json = {"mode": "url", "message": f"{message} ({approval.id})", "url": url}
    return {**found, "elicitationId": approval.id} if identified else found


def _shown(text: str) -> str:
    return html.escape(escape(text))


def _document(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}'
        f"</title><style>{_STYLE}</style></head><body><h1>{html.escape(title)}</h1>{body}</body></html>"
    )
