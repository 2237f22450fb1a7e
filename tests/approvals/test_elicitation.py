from pathlib import Path
from typing import Any

import pytest

from host.approvals.approval import Approval
from host.approvals.elicitation import (
    ANY,
    DENY,
    LONGEST,
    ONCE,
    SAME,
    Shows,
    build_question,
    read_answer,
    shown_by,
)
from host.domain.errors import EditError
from host.domain.principal import Principal
from tests.approvals.desks import ANN, call, open_office

pytestmark = pytest.mark.anyio


async def approval_of(folder: Path, **fields: Any) -> Approval:
    async with open_office(folder) as office:
        found = await office.desk.ask(call(**fields))
    assert isinstance(found, Approval)
    return found


def options(approval: Approval) -> list[str]:
    question = build_question(approval, {})
    assert question is not None
    return question["requestedSchema"]["properties"]["answer"]["enum"]


async def test_what_is_offered_depends_on_what_may_be_granted(empty_store_folder: Path):
    assert options(await approval_of(empty_store_folder)) == [ONCE, SAME, ANY, DENY]
    alone = await approval_of(empty_store_folder, session="", arguments={})
    assert options(alone) == [ONCE, DENY]


@pytest.mark.parametrize("fields", [{"every_time": True}, {"destructive": True}])
async def test_what_may_destroy_is_approved_once_or_denied(
    empty_store_folder: Path, fields: dict[str, Any]
):
    assert options(await approval_of(empty_store_folder, **fields)) == [ONCE, DENY]


async def test_a_question_is_whole_or_not_asked(empty_store_folder: Path):
    approval = await approval_of(empty_store_folder)
    question = build_question(approval, {"text": "x" * 1000})
    assert question is not None
    assert "x" * 1000 in question["message"]
    assert build_question(approval, {"text": "x" * LONGEST}) is None


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"action": "accept"},
        {"action": "accept", "content": {}},
        {"action": "accept", "content": {"answer": ""}},
        {"action": "accept", "content": {"answer": "approve once"}},
        {"action": "accept", "content": {"answer": [ONCE]}},
        {"action": "accept", "content": ONCE},
        {"action": "cancel", "content": {"answer": ONCE}},
        {"content": {"answer": ONCE}},
        {"action": ["accept"], "content": {"answer": ONCE}},
    ],
)
async def test_only_a_chosen_answer_in_an_accepted_form_counts(
    empty_store_folder: Path, reply: dict[str, Any]
):
    approval = await approval_of(empty_store_folder)
    assert read_answer(approval, reply, ANN) is None


async def test_the_answers_say_what_they_say(empty_store_folder: Path):
    approval = await approval_of(empty_store_folder)
    found = [
        read_answer(approval, {"action": "accept", "content": {"answer": text}}, ANN)
        for text in (ONCE, SAME, ANY, DENY)
    ]
    said = [(one.approve, one.grant and one.grant.exact) for one in found if one is not None]
    assert said == [(True, None), (True, True), (True, False), (False, None)]
    declined = read_answer(approval, {"action": "decline"}, ANN)
    assert declined is not None
    assert declined.approve is False


@pytest.mark.parametrize("edit", ["{", "[]", "5", 5, {"to": "ann"}, "[" * 100_000])
async def test_an_edit_that_cannot_be_read_is_neither_yes_nor_no(
    empty_store_folder: Path, edit: Any
):
    approval = await approval_of(empty_store_folder)
    reply = {"action": "accept", "content": {"answer": ONCE, "arguments": edit}}
    with pytest.raises(EditError):
        read_answer(approval, reply, ANN)
    reply["content"] = {"answer": ONCE, "arguments": " "}
    said = read_answer(approval, reply, ANN)
    assert said is not None
    assert said.arguments is None


async def test_other_arguments_are_offered_for_tools_only(empty_store_folder: Path):
    for method, offered in (("tools/call", True), ("prompts/get", False)):
        approval = await approval_of(empty_store_folder, method=method, name=method)
        question = build_question(approval, {})
        assert question is not None
        assert ("arguments" in question["requestedSchema"]["properties"]) is offered


def test_an_attended_client_is_asked_as_it_can_show_it():
    program = Principal("ann", "script")
    assert shown_by({"elicitation": {}}, ANN) == Shows(forms=True)
    assert shown_by({"elicitation": {"form": {}, "url": {}}}, ANN) == Shows(forms=True, pages=True)
    assert shown_by({"elicitation": {"url": {}}}, ANN) == Shows(pages=True)
    assert shown_by({}, ANN) == Shows()
    assert shown_by({"elicitation": {"form": {}, "url": {}}}, program) == Shows()
