"""A call that a person edits before it runs is checked anew."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from host.approvals.desk import ASKED_AT_MOST
from host.approvals.elicitation import ONCE
from host.domain.errors import AccessError
from host.policy.code import Findings
from tests.gateway.approvals.scenes import (
    ERAS,
    SOON,
    Person,
    answer,
    intents,
    notes,
    open_client,
    says,
    scene_of,
    write_policy,
)

pytestmark = pytest.mark.anyio


async def test_edited_arguments_are_sent_and_both_versions_are_recorded(empty_store_folder: Path):
    async with scene_of(empty_store_folder) as scene:
        async with open_client(scene, "handshake", attended=False) as client:
            task = asyncio.ensure_future(client.call("bad__echo", {"text": "rude"}))
            await answer(scene, arguments={"text": "kind"})
            assert (await task)["structuredContent"] == {"text": "kind"}
        note = next(one for one in scene.entries() if one.get("name") == "approval.approved")
        assert note["detail"]["arguments"] == {"text": "rude"}
        assert note["detail"]["edited_arguments"] == {"text": "kind"}
        assert intents(scene)[-1]["arguments"] == {"text": "kind"}


async def test_edited_arguments_have_to_fit_the_tool_and_the_policy(empty_store_folder: Path):
    schema = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
    server = {"extra": [{"name": "mail", "inputSchema": schema}]}
    async with scene_of(empty_store_folder, approvals=SOON, server=server) as scene:
        write_policy(
            scene,
            "{name: no-eve, action: deny, because: eve is a stranger,"
            " match: {name: bad__mail, arguments: {/to: {in: [eve]}}}}",
        )
        async with open_client(scene, "stateless", attended=False) as client:
            await client.call("bad__mail", {"to": "bob"})
            with pytest.raises(AccessError, match="do not fit the tool"):
                await answer(scene, arguments={"to": 5})
            with pytest.raises(AccessError, match="eve is a stranger"):
                await answer(scene, arguments={"to": "eve"})
            await answer(scene, arguments={"to": "ann"})
            result = await client.call("bad__mail", {"to": "bob"})
            assert result["structuredContent"] == {"to": "ann"}


@pytest.mark.parametrize("kind", ERAS)
async def test_the_person_at_the_client_sends_other_arguments_and_is_asked_again_if_they_do_not_fit(
    empty_store_folder: Path, kind: str
):
    schema = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
    server = {"extra": [{"name": "mail", "inputSchema": schema}]}
    edits = ["nonsense", '{"to": 5}', '{"to": "eve"}', '{"to": "ann"}']
    person = Person(*(says(ONCE, arguments=edit) for edit in edits))
    async with scene_of(empty_store_folder, server=server) as scene:
        write_policy(
            scene,
            "{name: no-eve, action: deny, because: eve is a stranger,"
            " match: {name: bad__mail, arguments: {/to: {in: [eve]}}}}",
        )
        async with open_client(scene, kind, person) as client:
            result = await client.call("bad__mail", {"to": "bob"})
        assert result["structuredContent"] == {"to": "ann"}
        problems = [asked["message"].splitlines()[1] for asked in person.asked[1:]]
        for problem, word in zip(problems, ["JSON", "fit", "stranger"], strict=True):
            assert word in problem
        assert scene.server().values("tools/call")[0]["arguments"] == {"to": "ann"}
        assert notes(scene) == ["approval.asked", "approval.approved", "approval.used"]


@pytest.mark.parametrize("kind", ERAS)
async def test_an_edit_does_not_get_a_call_past_those_who_have_to_approve_it(
    empty_store_folder: Path, kind: str
):
    schema = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
    server = {"extra": [{"name": "mail", "inputSchema": schema}]}
    person = Person(*(says(ONCE, arguments=f'{{"to": "{to}"}}') for to in ("boss", "ann")))
    async with scene_of(empty_store_folder, server=server) as scene:
        write_policy(
            scene,
            "{name: boss, action: ask, because: it is the boss, approvers: ['role:admin'],"
            " match: {name: bad__mail, arguments: {/to: {in: [boss]}}}}",
        )
        async with open_client(scene, kind, person) as client:
            result = await client.call("bad__mail", {"to": "bob"})
        assert "role:admin" in person.asked[1]["message"]
        assert result["structuredContent"] == {"to": "ann"}
        assert [call["arguments"] for call in scene.server().values("tools/call")] == [
            {"to": "ann"}
        ]


async def test_a_client_that_goes_on_answering_nonsense_is_asked_no_more(empty_store_folder: Path):
    person = Person(*(says(ONCE, arguments="nonsense") for _ in range(ASKED_AT_MOST)))
    async with (
        scene_of(empty_store_folder) as scene,
        open_client(scene, "handshake", person) as client,
    ):
        call = asyncio.ensure_future(client.call("bad__echo", {"text": "rude"}))
        for _ in range(ASKED_AT_MOST):
            await person.done.get()
        await answer(scene)
        assert (await call)["structuredContent"] == {"text": "rude"}
    assert len(person.asked) == ASKED_AT_MOST


class Rules:
    """Stands for the plugins: a rule in code that finds one name among the arguments."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    async def answer(
        self, names: Sequence[str], call: Mapping[str, Any], *, principal: str
    ) -> Findings:
        self.asked.append(call["args"])
        return {name: "eve" in str(call["args"]) for name in names}


async def test_rules_in_code_are_asked_about_edited_arguments(empty_store_folder: Path):
    async with scene_of(empty_store_folder, approvals=SOON) as scene:
        scene.host.gate.code = rules = Rules()
        write_policy(
            scene,
            "{name: no-eve, action: deny, because: eve is a stranger,"
            " match: {name: bad__echo, plugin: people.is_eve}}",
        )
        async with open_client(scene, "handshake", attended=False) as client:
            await client.call("bad__echo", {"to": "bob"})
            with pytest.raises(AccessError, match="eve is a stranger"):
                await answer(scene, arguments={"to": "eve"})
            await answer(scene, arguments={"to": "ann"})
            result = await client.call("bad__echo", {"to": "bob"})
        assert result["structuredContent"] == {"to": "ann"}
        assert rules.asked.count({"to": "ann"}) == 2  # when it was edited, and when it was made
