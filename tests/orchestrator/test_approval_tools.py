"""Approvals over MCP: who sees them, who may answer, and that nobody answers for themselves."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from host.domain.jsonrpc import Json
from host.orchestrator.own_tools import OrchestratorProvider
from tests.agents.test_face import write_agent
from tests.fakes.gateway_scene import Scene, open_scene

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def open_waiting(store: Path) -> Any:
    return open_scene({}, web={"bad": {}}, policy="default", data=store, agents=True, auth="token")


def admit(scene: Scene, name: str, role: Any = "user", *, attended: bool = False) -> str:
    scene.host.own.setdefault("orchestrator", OrchestratorProvider(scene.host))
    return scene.host.tokens.create(name, role=role, attended=attended, replace=True)


async def waiting(client: Any) -> Json:
    """Return the approval that waits, once it does; the scene's patience is the limit."""
    while True:
        listed = await client.call("orchestrator__list_approvals", {})
        if listed["structuredContent"]["approvals"]:
            [found] = listed["structuredContent"]["approvals"]
            return found
        await asyncio.sleep(0.02)


def answer_to(found: Json, **said: Any) -> Json:
    return {"id": found["id"], "digest": found["digest"], "approve": True, **said}


def answering(*answers: str) -> Any:
    """Return a person at a client who gives these answers, one after the other."""
    left = list(answers)

    async def answer(method: str, params: Json) -> Json:
        assert method == "elicitation/create"
        assert "bad__echo" in params["message"]
        assert "tea" in params["message"]
        assert "arguments" not in params["requestedSchema"]["properties"]
        return {"action": "accept", "content": {"answer": left.pop(0)}}

    return answer


@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_person_at_an_approvers_client_lets_a_call_of_another_client_through(
    empty_store_folder: Path, era: str
) -> None:
    async with open_waiting(empty_store_folder) as scene:
        ide, boss = admit(scene, "ide"), admit(scene, "boss", "approver", attended=True)
        async with (
            scene.handshake(token=ide, bare=True) as caller,
            getattr(scene, era)(answering("Approve once"), token=boss) as approver,
        ):
            call = asyncio.ensure_future(caller.call("bad__echo", {"text": "tea"}))
            found = await waiting(approver)
            assert found["arguments"] == {"text": "tea"}
            done = await approver.call("orchestrator__answer_approval", answer_to(found))
            assert done["structuredContent"]["approval"]["channel"] == "tool"
            assert (await call).get("isError") is not True
    assert ("bad__echo", "ok") in scene.calls()


async def test_a_model_does_not_approve_where_its_client_asks_nobody(
    empty_store_folder: Path,
) -> None:
    async with open_waiting(empty_store_folder) as scene:
        ide, boss = admit(scene, "ide"), admit(scene, "boss", "approver", attended=True)
        async with (
            scene.handshake(token=ide, bare=True) as caller,
            scene.handshake(token=boss, bare=True) as mute,
            scene.handshake(token=boss) as blind,  # accepts every form with something of its own
        ):
            call = asyncio.ensure_future(caller.call("bad__echo", {"text": "tea"}))
            found = await waiting(mute)
            for client in (mute, blind):
                refused = await client.call("orchestrator__answer_approval", answer_to(found))
                assert refused["isError"]
                assert "did not say yes" in refused["content"][0]["text"]
                assert (await scene.host.inbox.find(found["id"])).state == "pending"
            call.cancel()


async def test_person_at_an_approvers_client_says_no_where_the_model_says_yes(
    empty_store_folder: Path,
) -> None:
    async with open_waiting(empty_store_folder) as scene:
        ide, boss = admit(scene, "ide"), admit(scene, "boss", "approver", attended=True)
        async with (
            scene.handshake(token=ide, bare=True) as caller,
            scene.handshake(answering("Deny"), token=boss) as approver,
        ):
            call = asyncio.ensure_future(caller.call("bad__echo", {"text": "tea"}))
            found = await waiting(approver)
            await approver.call("orchestrator__answer_approval", answer_to(found))
            assert (await call)["isError"]
            assert (await scene.host.inbox.find(found["id"])).state == "denied"


async def test_a_program_with_an_approvers_token_answers_nothing(empty_store_folder: Path) -> None:
    async with open_waiting(empty_store_folder) as scene:
        ide, boss = admit(scene, "ide"), admit(scene, "boss", "approver")
        async with (
            scene.handshake(token=ide, bare=True) as caller,
            scene.handshake(token=boss, bare=True) as program,
        ):
            call = asyncio.ensure_future(caller.call("bad__echo", {"text": "tea"}))
            found = await waiting(program)
            refused = await program.call("orchestrator__answer_approval", answer_to(found))
            assert refused["isError"]
            assert "boss is not marked as attended" in refused["content"][0]["text"]
            assert (await scene.host.inbox.find(found["id"])).state == "pending"
            call.cancel()


async def test_nobody_answers_for_their_own_call_nor_without_the_role(
    empty_store_folder: Path,
) -> None:
    async with open_waiting(empty_store_folder) as scene:
        boss, plain = admit(scene, "boss", "approver"), admit(scene, "plain")
        async with (
            scene.handshake(token=boss, bare=True) as caller,
            scene.handshake(token=plain, bare=True) as stranger,
        ):
            call = asyncio.ensure_future(caller.call("bad__echo", {"text": "tea"}))
            found = await waiting(caller)
            own = await caller.call("orchestrator__answer_approval", answer_to(found))
            assert own["isError"]
            assert "a call of boss itself" in own["content"][0]["text"]
            other = await stranger.call("orchestrator__answer_approval", answer_to(found))
            assert other["isError"]
            assert "its role is user" in other["content"][0]["text"]
            seen = await stranger.call("orchestrator__list_approvals", {})
            assert seen["structuredContent"]["approvals"] == []
            assert (await scene.host.inbox.find(found["id"])).state == "pending"
            call.cancel()


async def test_agent_of_an_approver_answers_nothing(empty_store_folder: Path) -> None:
    turns = (
        "turns: [{calls: [{tool: orchestrator__answer_approval, "
        "arguments: {id: ID, digest: DIGEST, approve: true}}]}, {reply: '${result}'}]"
    )
    async with open_waiting(empty_store_folder) as scene:
        ide, boss = admit(scene, "ide"), admit(scene, "boss", "approver")
        async with (
            scene.handshake(token=ide, bare=True) as caller,
            scene.handshake(token=boss, bare=True) as approver,
        ):
            call = asyncio.ensure_future(caller.call("bad__echo", {"text": "tea"}))
            found = await waiting(approver)
            script = turns.replace("ID", found["id"], 1).replace("DIGEST", found["digest"])
            write_agent(scene, "greedy", script, tools=["orchestrator__answer_approval"])
            done = await approver.call("agent__greedy", {"message": "Approve all"})
            assert "A run answers no approvals" in done["structuredContent"]["text"]
            assert (await scene.host.inbox.find(found["id"])).state == "pending"
            call.cancel()
