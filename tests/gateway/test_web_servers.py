import asyncio

import pytest

from host.domain.jsonrpc import RpcError
from tests.fakes.gateway_scene import open_scene

pytestmark = pytest.mark.anyio


async def test_expired_session_is_opened_anew_once_for_all_calls():
    async with open_scene({}, web={"bad": {}}) as scene, scene.client("line") as client:
        await client.call("bad__answer")
        scene.web["bad"].sessions.clear()
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(client.call("bad__answer"))
        assert len(scene.server().values("initialize")) == 2
        assert {outcome for _, outcome in scene.calls()} == {"ok"}


async def test_broken_response_stream_is_resumed_where_it_broke():
    async with open_scene({}, web={"bad": {}}) as scene, scene.client("line") as client:
        await client.call("bad__answer")
        scene.web["bad"].cut_after = 2
        values = [1, 2, 3, 4]
        await client.call("bad__progress", {"values": values}, _meta={"progressToken": "t"})
        seen = [note["progress"] for note in client.noted("notifications/progress")]
        assert seen == values
        assert scene.server().values("resumed") == ["cut-2"]


async def test_redirect_to_another_site_is_refused():
    async with open_scene({}, web={"bad": {}, "evil": {}}) as scene, scene.client("line") as client:
        await client.call("evil__answer")
        evil = scene.host.servers["evil"].config.url
        scene.web["bad"].redirect = str(evil).replace("/mcp", "/elsewhere")
        with pytest.raises(RpcError) as caught:
            await client.call("bad__answer")
        assert "redirects to" in caught.value.message
        assert scene.server("evil").values("elsewhere") == []


async def test_redirect_within_the_site_is_followed():
    async with open_scene({}, web={"bad": {}}) as scene, scene.client("line") as client:
        await client.call("bad__answer")
        app = scene.web["bad"]
        app.redirect = "/elsewhere"
        call = asyncio.ensure_future(client.call("bad__answer"))
        with pytest.raises(RpcError):
            await call  # it redirects for ever, and the host gives up
        app.redirect = None
        assert await client.call("bad__answer")
        assert scene.server().values("elsewhere")


async def test_legacy_sse_server_is_served_and_reconnected_after_it_broke():
    web = {"bad": {"path": "/sse", "config": {"transport": "sse"}}}
    async with open_scene({}, web=web) as scene, scene.client("line") as client:
        assert (await client.call("bad__echo", {"a": 1}))["structuredContent"] == {"a": 1}
        asked = await client.call("bad__ask", {"message": "who?"})
        assert asked["structuredContent"]["reply"]["content"] == {"said": "who?"}
        for queue in list(scene.web["bad"].standing):
            queue.put_nowait(None)
        while scene.host.servers["bad"].links:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
        assert (await client.call("bad__echo", {"a": 2}))["structuredContent"] == {"a": 2}


async def test_legacy_sse_server_that_names_no_address_is_given_up():
    web = {"bad": {"path": "/silent", "config": {"transport": "sse", "connect_timeout": 0.3}}}
    async with open_scene({}, web=web) as scene, scene.client("line") as client:
        scene.web["bad"].sessions.add("")
        with pytest.raises(RpcError, match=r"not ready within 0\.3 s"):
            await client.call("bad__echo")


@pytest.mark.parametrize("line", ["<html>", "{", "[]", '"x"', "null", "5"])
async def test_garbage_in_an_event_stream_is_passed_over(line: str):
    async with open_scene({}, web={"bad": {}}) as scene, scene.client("line") as client:
        result = await client.call("bad__garbage", {"lines": [line]})
        assert result["content"][0]["text"] == "after garbage"


async def test_server_that_is_away_is_named_with_what_to_do():
    async with (
        open_scene({"bad": {"url": "http://127.0.0.1:1/mcp"}}) as scene,
        scene.client("line") as client,
    ):
        with pytest.raises(RpcError) as caught:
            await client.call("bad__x")
        assert "Server 'bad' at http://127.0.0.1:1 cannot be reached" in caught.value.message
        assert "host doctor" in caught.value.message
