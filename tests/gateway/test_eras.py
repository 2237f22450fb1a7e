import asyncio
from typing import Any

import pytest

from host.domain.jsonrpc import RpcError
from host.gateway import rounds
from host.gateway.upstream import http
from tests.fakes.gateway_scene import Scene, open_scene, stdio
from tests.fakes.misbehaviour import Json
from tests.fakes.raw_client import accept

pytestmark = pytest.mark.anyio

CLIENTS = ["line", "handshake", "stateless"]
PLACES = ["child", "web"]
ERAS = ["handshake", "stateless"]


def behind(where: str, **options: Any) -> dict[str, Any]:
    """Return the arguments of a scene with the server `bad` as a child or on the web."""
    return {"servers": {"bad": stdio(**options)}} if where == "child" else web(**options)


def web(**options: Any) -> dict[str, Any]:
    return {"servers": {}, "web": {"bad": options}}


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("era", [*ERAS, "both"])
async def test_every_question_reaches_the_client_in_every_pairing_of_eras(
    kind: str, where: str, era: str
):
    async with open_scene(**behind(where, era=era)) as scene, scene.client(kind) as client:
        asked = await client.call("bad__ask", {"message": "who?"})
        assert asked["structuredContent"]["reply"] == {
            "action": "accept",
            "content": {"said": "who?"},
        }
        sampled = await client.call("bad__sample")
        assert sampled["structuredContent"]["reply"]["content"]["text"] == "sampled"
        assert str(sampled["structuredContent"]["reply"]["x-unknown"]) == "1.0"
        roots = await client.call("bad__roots")
        assert roots["structuredContent"]["reply"] == {"roots": [{"uri": "file:///here"}]}


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("era", ERAS)
async def test_client_that_declares_nothing_is_asked_nothing(kind: str, era: str):
    asked: list[str] = []

    async def answer(method: str, params: Json) -> Json:
        asked.append(method)
        return await accept(method, params)

    async with open_scene(**web(era=era)) as scene:
        async with scene.client(kind, answer, bare=True) as client:
            for tool in ("ask", "sample", "roots"):
                if kind == era == "stateless":
                    reply = await client.once("tools/call", {"name": f"bad__{tool}"})
                    assert reply["resultType"] == "input_required"  # it is the client's to judge
                else:
                    with pytest.raises(RpcError, match=r"declare|does not answer"):
                        await client.call(f"bad__{tool}")
        assert asked == []


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("era", ERAS)
async def test_client_that_refuses_is_heard_by_the_server(kind: str, era: str):
    async def decline(method: str, params: Json) -> Json:
        return {"action": "decline"}

    async with open_scene(**web(era=era)) as scene, scene.client(kind, decline) as client:
        asked = await client.call("bad__ask", {"message": "who?"})
        assert asked["structuredContent"]["reply"] == {"action": "decline"}


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize(
    ("where", "era"), [("child", "handshake"), ("web", "handshake"), ("web", "stateless")]
)
async def test_140_questions_at_once_are_each_answered_to_the_right_call(
    kind: str, where: str, era: str
):
    async def ask(scene: Scene, client: Any, number: int) -> None:
        arguments = {"message": f"question {number}", "together": 140}
        reply = (await client.call("bad__ask", arguments))["structuredContent"]
        assert reply["asked"]["message"] == f"question {number}"
        assert reply["reply"]["content"] == {"said": f"question {number}"}

    async with open_scene(**behind(where, era=era)) as scene, scene.client(kind) as client:
        await client.call("bad__ask", {"message": "first"})  # shows that the server talks back
        async with asyncio.TaskGroup() as group:
            for number in range(140):
                group.create_task(ask(scene, client, number))


async def ask_once(client: Any, **params: Any) -> Json:
    """Call a tool that asks, and leave its question open."""
    call = {"name": "bad__ask", "arguments": {"message": "?"}, **params}
    return await client.once("tools/call", call)


def answered(first: Json, *, message: str = "?", name: str = "bad__ask") -> Json:
    """Return the params of the retry that answers every question."""
    reply: Json = {"action": "accept", "content": {}}
    return {
        "name": name,
        "arguments": {"message": message},
        "inputResponses": dict.fromkeys(first["inputRequests"], reply),
        "requestState": first["requestState"],
    }


@pytest.mark.parametrize("era", ERAS)
async def test_request_state_is_bound_to_its_call(era: str):
    async with open_scene(**web(era=era)) as scene, scene.client("stateless") as client:
        first = await ask_once(client)
        assert first["resultType"] == "input_required"
        assert "state of" not in first["requestState"]
        with pytest.raises(RpcError, match="belongs to another call"):
            await client.once("tools/call", answered(first, message="other"))
        with pytest.raises(RpcError, match="belongs to another call"):
            await client.once("tools/call", answered(first, name="bad__sample"))
        state = first["requestState"]
        for edited in (state[:-4] + "AAAA", "x" + state, "", "é", state[: len(state) // 2]):
            with pytest.raises(RpcError, match="not one that this host gave out"):
                await client.once("tools/call", {**answered(first), "requestState": edited})
        done = await client.once("tools/call", answered(first))
        assert done["structuredContent"]["reply"]["action"] == "accept"


@pytest.mark.parametrize("era", ERAS)
async def test_request_state_of_another_principal_is_refused(era: str):
    async with open_scene(**web(era=era), auth="token") as scene:
        ada, bob = scene.host.tokens.create("ada"), scene.host.tokens.create("bob")
        async with scene.stateless(token=ada) as one, scene.stateless(token=bob) as other:
            first = await ask_once(one)
            with pytest.raises(RpcError, match="belongs to another call"):
                await other.once("tools/call", answered(first))
            assert (await one.once("tools/call", answered(first)))["structuredContent"]


async def test_request_state_of_a_finished_call_does_nothing_again():
    async with open_scene(**web()) as scene, scene.client("stateless") as client:
        first = await ask_once(client)
        await client.once("tools/call", answered(first))
        with pytest.raises(RpcError, match="is over: it expired, was answered before"):
            await client.once("tools/call", answered(first))
        assert len(scene.server().values("tools/call")) == 1


async def test_parked_call_expires_and_is_cancelled_at_the_server(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rounds, "PARKED_LIFE", 0.05)
    async with open_scene(**web()) as scene, scene.client("stateless") as client:
        first = await ask_once(client)
        await scene.server().wait_seen("cancelled")
        with pytest.raises(RpcError, match=r"expired"):
            await client.once("tools/call", answered(first))


async def test_server_hears_of_a_cancellation_before_its_question_is_refused(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(rounds, "PARKED_LIFE", 0.05)
    monkeypatch.setattr(http, "CANCEL_LIMIT", 60.0)
    async with open_scene(**web()) as scene, scene.client("stateless") as client:
        scene.web["bad"].held = asyncio.Event()
        await ask_once(client)
        assert await scene.server().wait_seen("held")
        await asyncio.sleep(0.2)  # a refusal that did not wait would be there by now
        scene.web["bad"].held.set()
        assert await scene.server().wait_seen("cancelled") == ["ask"]


async def test_parked_calls_are_bounded_for_each_principal(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rounds, "PARKED_PER_PRINCIPAL", 3)
    async with open_scene(**web(), auth="token") as scene:
        ada, bob = scene.host.tokens.create("ada"), scene.host.tokens.create("bob")
        async with scene.stateless(token=ada) as one, scene.stateless(token=bob) as other:
            held = [await ask_once(one) for _ in range(3)]
            with pytest.raises(RpcError, match="Too many calls wait"):
                await ask_once(one)
            assert await ask_once(other)
            await one.once("tools/call", answered(held[0]))
            assert await ask_once(one)


async def test_client_that_leaves_while_its_call_is_served_lets_the_server_go():
    async with open_scene(**web()) as scene, scene.client("stateless") as client:
        task = asyncio.ensure_future(client.call("bad__hang"))
        await scene.server().wait_seen("hanging")
        assert scene.server().values("cancelled") == []
        task.cancel()
        assert len(await scene.server().wait_seen("cancelled")) == 1
