import asyncio
import json

import pytest

from host.domain.jsonrpc import RpcError
from tests.fakes.gateway_scene import open_scene, stdio

pytestmark = pytest.mark.anyio

KINDS = ["line", "handshake", "stateless"]


@pytest.mark.parametrize("kind", ["line", "handshake"])
async def test_cancelled_request_is_cancelled_at_the_server_and_not_answered(kind: str):
    async with open_scene({}, web={"bad": {}}) as scene, scene.client(kind) as client:
        task = asyncio.ensure_future(client.call("bad__hang"))
        await scene.server().wait_seen("hanging")
        params = {"requestId": client.last_id}
        await client.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
        await scene.server().wait_seen("cancelled")
        await client.request("ping")
        assert not task.done()
        assert scene.calls() == [("bad__hang", "cancelled")]
        task.cancel()


async def test_server_that_ignores_cancellation_holds_up_nobody():
    async with open_scene({"bad": stdio()}) as scene, scene.client("line") as client:
        call = {"name": "bad__hang", "arguments": {"stubborn": True}}
        task = asyncio.ensure_future(client.request("tools/call", call, request_id="hang"))
        await client.call("bad__heard", {"kind": "hanging"})
        params = {"requestId": "hang"}
        await client.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params})
        await client.call("bad__heard", {"kind": "notifications/cancelled"})
        assert await client.call("bad__answer")
        task.cancel()


async def test_question_of_a_call_that_the_server_gave_up_is_cancelled_at_the_client():
    asked = asyncio.Event()

    async def think(method: str, params: object) -> dict[str, object]:
        asked.set()
        await asyncio.Event().wait()
        return {}

    async with open_scene({}, web={"bad": {}}) as scene, scene.client("line", think) as client:
        call = asyncio.ensure_future(client.call("bad__ask"))
        await asked.wait()
        key = next(iter(scene.server().asked))
        scene.server().broadcast(
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": key}}
        )
        assert await client.wait_note("notifications/cancelled")
        call.cancel()


async def test_client_that_vanishes_lets_the_server_go():
    async with open_scene({}, web={"bad": {}}) as scene:
        async with scene.client("line") as client:
            task = asyncio.ensure_future(client.call("bad__hang"))
            await scene.server().wait_seen("hanging")
        await scene.server().wait_seen("cancelled")
        assert not task.done()
        task.cancel()


async def test_deleted_session_lets_the_server_go():
    async with open_scene({}, web={"bad": {}}) as scene, scene.client("handshake") as client:
        task = asyncio.ensure_future(client.call("bad__hang"))
        await scene.server().wait_seen("hanging")
        async with client.http.delete(client.url, headers=client.headers) as reply:
            assert reply.status == 200
        await scene.server().wait_seen("cancelled")
        task.cancel()


@pytest.mark.parametrize("kind", KINDS)
async def test_stopping_host_finishes_the_calls_in_flight(kind: str):
    async with open_scene({}, web={"bad": {}}) as scene, scene.client(kind) as client:
        task = asyncio.ensure_future(client.call("bad__together", {"count": 2}))
        await scene.server().wait_seen("gathered")
        faces = [scene.lines.close(), scene.http.close()]
        closing = [asyncio.ensure_future(face) for face in faces]
        await asyncio.sleep(0)
        await scene.server().note("gathered")
        assert (await task)["content"][0]["text"] == "together"
        await asyncio.wait(closing)


@pytest.mark.parametrize("kind", ["handshake", "stateless"])
async def test_call_that_outlasts_the_end_of_the_host_is_answered_with_an_error(kind: str):
    async with open_scene({}, web={"bad": {}}) as scene, scene.client(kind) as client:
        task = asyncio.ensure_future(client.call("bad__hang"))
        await scene.server().wait_seen("hanging")
        await scene.http.close(grace=0.01)
        with pytest.raises(RpcError, match="whether it took effect"):
            await task


async def test_stopping_host_is_not_held_up_by_listen_streams():
    async with (
        open_scene({}, web={"bad": {}}) as scene,
        scene.client("stateless") as client,
        client.listening({"toolsListChanged": True}),
    ):
        assert scene.http._busy
        await scene.http.close(grace=3600)
        await scene.lines.close(grace=3600)
        assert not scene.http._busy


async def test_lost_answer_is_heard_again_with_its_last_event_id():
    async with open_scene({}, web={"bad": {}}) as scene, scene.client("handshake") as client:
        params = {
            "name": "bad__progress",
            "arguments": {"values": [1, 2]},
            "_meta": {"progressToken": "t"},
        }
        body = {"jsonrpc": "2.0", "id": "lost", "method": "tools/call", "params": params}
        async with client.http.post(client.url, json=body, headers=client.headers) as reply:
            first = await reply.content.readline()
            assert first.startswith(b"id: ")
        headers = {**client.headers, "last-event-id": first[4:].strip().decode()}
        async with client.http.get(client.url, headers=headers) as reply:
            text = (await reply.read()).decode()
        messages = [
            json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")
        ]
        assert [m["params"]["progress"] for m in messages if "method" in m] == [1, 2]
        assert messages[-1]["result"]["content"][0]["text"] == "done"


async def test_event_id_of_another_session_is_of_no_use():
    async with (
        open_scene({}, web={"bad": {}}) as scene,
        scene.client("handshake") as one,
        scene.client("handshake") as other,
    ):
        call = one.call("bad__progress", {"values": [1]}, _meta={"progressToken": "t"})
        await call
        session = scene.http.handshake.sessions[one.headers["mcp-session-id"]]
        name = next(iter(session.streams))
        foreign = scene.http.handshake.sessions[other.headers["mcp-session-id"]]
        assert foreign.find_stream(f"{name}-0") is None
        for wrong in ("", "x", "-", "s1-", "s1--1", "s1-" + "9" * 30, "s1-x"):
            assert foreign.find_stream(wrong) is None


async def test_answer_nobody_could_give_is_an_error_and_not_a_hang():
    async with open_scene({"bad": stdio()}) as scene, scene.client("line") as client:

        async def broken(*_: object) -> dict[str, object]:
            raise ZeroDivisionError

        scene.host.gateway._handlers["tools/call"] = broken
        with pytest.raises(RpcError, match="The host failed"):
            await client.call("bad__answer")
