"""Grants answer the calls they were given for, and no others."""

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from host.approvals.elicitation import ANY, DENY, ONCE, SAME
from host.approvals.grant import GrantTerms
from host.domain.errors import AccessError
from tests.fakes.gateway_scene import Scene, open_scene
from tests.fakes.misbehaviour import Json
from tests.gateway.approvals.scenes import (
    PATIENT,
    SOON,
    Person,
    answer,
    intents,
    one_waiting,
    open_client,
    says,
    scene_of,
    text,
    write_policy,
)

pytestmark = pytest.mark.anyio


async def test_a_grant_for_the_session_answers_the_next_call(empty_store_folder: Path):
    person = Person(says(ANY))
    async with scene_of(empty_store_folder, approvals=SOON) as scene:
        scene.host.board.config = scene.host.board.config.model_copy(update={"wait": 60})
        async with open_client(scene, "handshake", person) as client:
            for number in range(3):
                result = await client.call("bad__echo", {"n": number})
                assert result["structuredContent"] == {"n": number}
        assert len(person.asked) == 1
        [grant] = await scene.host.inbox.grants()
        assert grant.used == 2
        assert [intent.get("approval") for intent in intents(scene)][1:] == [grant.id] * 2
        scene.host.board.config = scene.host.board.config.model_copy(update={"wait": 0})
        async with open_client(scene, "handshake", attended=False) as another:
            assert "waits for" in text(await another.call("bad__echo", {"n": 4}))


async def test_one_grant_answers_a_batch_within_its_matchers_and_its_count(
    empty_store_folder: Path,
):
    terms = GrantTerms(
        scope="always",
        exact=False,
        matchers={"/n": {"range": {"min": 0, "max": 9}}},
        expires=600,
        most=3,
    )
    async with (
        scene_of(empty_store_folder) as scene,
        open_client(scene, "handshake", attended=False) as client,
    ):
        calls = [asyncio.ensure_future(client.call("bad__echo", {"n": n})) for n in range(4)]
        version = 0
        while len(await scene.host.inbox.approvals()) < 4:
            version = await scene.host.board.changed(version, limit=30)
        await answer(scene, grant=terms)
        assert [(await call)["structuredContent"]["n"] for call in calls] == [0, 1, 2, 3]
        [grant] = await scene.host.inbox.grants(every=True)
        assert grant.used == 3
        outside = asyncio.ensure_future(client.call("bad__echo", {"n": 10}))
        await answer(scene, approve=False)
        assert "denied by a person" in text(await outside)


@asynccontextmanager
async def unknown_server(data: Path) -> AsyncGenerator[Scene]:
    """Open a host under the default policy, with a server that no table knows."""
    async with open_scene(
        {}, web={"bad": {"era": "handshake"}}, data=data, policy="default", approvals=SOON
    ) as scene:
        yield scene


async def test_a_grant_that_names_arguments_answers_an_unknown_server_after_its_own_output(
    empty_store_folder: Path,
):
    matchers = {"/to": {"in": ["ann", "bob"]}, "/n": {"range": {"max": 9}}}
    terms = GrantTerms(scope="always", exact=False, matchers=matchers)
    async with unknown_server(empty_store_folder) as scene, scene.handshake() as client:
        await client.call("bad__echo", {"to": "ann", "n": 1})
        assert (await one_waiting(scene)).constrained
        await answer(scene, grant=terms)
        for number, to in enumerate(("ann", "bob", "ann")):
            result = await client.call("bad__echo", {"to": to, "n": number + 1})
            assert result["structuredContent"]["to"] == to
        waits = await client.call("bad__echo", {"to": "eve", "n": 1})
        assert "waits for an approval" in text(waits)
        assert [grant.used for grant in await scene.host.inbox.grants()] == [2]


async def test_a_grant_for_any_arguments_is_refused_where_it_would_not_answer_the_next_call(
    empty_store_folder: Path,
):
    async with unknown_server(empty_store_folder) as scene, scene.handshake() as client:
        await client.call("bad__echo", {"n": 1})
        with pytest.raises(AccessError, match="would not answer the next call"):
            await answer(scene, grant=GrantTerms(scope="always", exact=False))
        await answer(scene, grant=GrantTerms(scope="always", exact=True))
        for _ in range(3):
            assert (await client.call("bad__echo", {"n": 1}))["structuredContent"]["n"] == 1


async def test_the_person_at_a_client_is_not_offered_a_grant_that_answers_nothing(
    empty_store_folder: Path,
):
    person = Person(says(SAME))
    async with open_scene(
        {},
        web={"bad": {"era": "handshake"}},
        data=empty_store_folder,
        policy="default",
        approvals=PATIENT,
        auth="token",
    ) as scene:
        async with open_client(scene, "handshake", person) as client:
            for _ in range(3):
                assert (await client.call("bad__echo", {"n": 1}))["structuredContent"]["n"] == 1
        [asked] = person.asked
        assert asked["requestedSchema"]["properties"]["answer"]["enum"] == [ONCE, SAME, DENY]


async def test_an_edited_call_is_granted_only_as_the_rules_for_that_call_let_it_be(
    empty_store_folder: Path,
):
    async with scene_of(empty_store_folder, approvals=SOON) as scene:
        write_policy(
            scene,
            "{name: boss, action: ask, every_time: true,"
            " match: {name: bad__echo, arguments: {/to: {in: [boss]}}}}",
        )
        async with open_client(scene, "handshake", attended=False) as client:
            await client.call("bad__echo", {"to": "bob"})
            terms = GrantTerms(scope="always", exact=True)
            with pytest.raises(AccessError, match="every time"):
                await answer(scene, arguments={"to": "boss"}, grant=terms)
            await answer(scene, arguments={"to": "ann"}, grant=terms)
            assert (await client.call("bad__echo", {"to": "bob"}))["structuredContent"] == {
                "to": "ann"
            }
            assert (await client.call("bad__echo", {"to": "ann"}))["structuredContent"] == {
                "to": "ann"
            }


async def test_what_the_rule_asks_every_time_cannot_be_granted(empty_store_folder: Path):
    person = Person(says(ANY))
    server = {"config": {"labels": ["destructive"]}}
    async with scene_of(empty_store_folder, approvals=SOON, server=server) as scene:
        write_policy(
            scene, "{name: d, action: ask, every_time: true, match: {labels: [destructive]}}"
        )
        async with open_client(scene, "stateless", person) as client:
            result = await client.call("bad__echo", {})
            assert "waits for" in text(result)  # the form did not offer what it was given
        options = person.asked[0]["requestedSchema"]["properties"]["answer"]["enum"]
        assert options == [ONCE, DENY]
        with pytest.raises(AccessError, match="every time"):
            await answer(scene, grant=GrantTerms(scope="always", expires=60, most=1))


async def test_a_grant_is_listed_no_longer_once_its_tool_has_changed(empty_store_folder: Path):
    tool: Json = {"name": "read", "description": "Reads.", "inputSchema": {"type": "object"}}
    server: Json = {"extra": [tool], "config": {"trust": "auto"}}
    shutil.rmtree(empty_store_folder / "pins", ignore_errors=True)
    async with scene_of(empty_store_folder, approvals=SOON, server=server) as scene:
        async with open_client(scene, "stateless", attended=False) as client:
            await client.call("bad__read", {})
            await answer(scene, grant=GrantTerms(scope="always", exact=False))
            assert "isError" not in await client.call("bad__read", {})
            [grant] = await scene.host.inbox.grants()
            scene.server().tools[-1] = {**tool, "description": "Reads and mails."}
            await scene.host.servers["bad"].restart()
            assert "has changed since it was accepted" in text(await client.call("bad__read", {}))
            with anyio.fail_after(60):
                while await scene.host.inbox.grants():  # noqa: ASYNC110 - it is done beside the call
                    await anyio.sleep(0.01)
        revoked = [one for one in scene.entries() if one.get("name") == "grant.revoked"]
        assert [one["detail"]["id"] for one in revoked] == [grant.id]
