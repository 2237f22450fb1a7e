"""A conversation as Markdown: each answer as it was written, also one that was cut off."""

from host.cli.approving import approval_text
from host.cli.talk import render_talk

ASKED = {"kind": "started", "data": {"agent": "md", "input": "What is there?"}}


def test_answer_that_begins_with_a_heading_stands_below_the_name() -> None:
    ended = {"kind": "finished", "data": {"agent": "md", "status": "succeeded", "text": "# A\n\nB"}}
    shown = render_talk([[ASKED, reply("# A\n\nB"), ended]])
    assert shown == "**You:**\n\nWhat is there?\n\n**md:**\n\n# A\n\nB\n"


def test_stopped_answer_is_there_as_far_as_it_came_and_marked() -> None:
    cut = {"kind": "cancelled", "data": {"text": "Stopped.", "said": "Look:\n```py\nx = 1"}}
    ended = {"kind": "finished", "data": {"agent": "md", "status": "cancelled", "text": ""}}
    shown = render_talk([[ASKED, cut, ended], [ASKED]])
    assert (
        "**md:**\n\nLook:\n```py\nx = 1\n```\n\n*It was cut off here.*\n\n*Stopped.*\n\n**You:**"
        in shown
    )


def test_failed_answer_has_its_replies_and_why() -> None:
    data = {"agent": "md", "status": "failed", "error": "It takes 3 steps.", "text": ""}
    call = {"kind": "call", "data": {"tool": "files__list", "arguments": {"path": "`a`"}}}
    shown = render_talk([[ASKED, reply("I look."), call, {"kind": "finished", "data": data}]])
    assert shown.endswith(
        '**md:**\n\nI look.\n\n`files__list` `` {"path": "`a`"} ``\n\n*Failed:* It takes 3 steps.\n'
    )


def test_file_of_a_message_is_named_by_its_kind() -> None:
    picture = {"kind": "binary", "media_type": "image/png", "data": "iVBORw0KGgo="}
    shown = render_talk([[{"kind": "started", "data": {"input": ["Look", picture]}}]])
    assert shown == "**You:**\n\nLook\n\n[image/png]\n"


def test_reasons_of_an_approval_are_sentences() -> None:
    reasons = ["The call may change something.", "Rule ask-all says so"]
    lines = approval_text({"id": "a-1", "arguments": {}, "reasons": reasons})
    assert lines[-1] == "Why: The call may change something. Rule ask-all says so."


def reply(text: str) -> dict[str, object]:
    """Return a model's reply as it is recorded."""
    parts = [{"part_kind": "text", "content": text}]
    return {"kind": "reply", "data": {"agent": "md", "response": {"parts": parts}}}
