from typing import Any

import pytest

from tests.fakes.gateway_scene import Scene, open_scene, stdio
from tests.fakes.misbehaviour import WATCHED, Json

pytestmark = pytest.mark.anyio

UPDATED = "notifications/resources/updated"
TOOLS_CHANGED = "notifications/tools/list_changed"
PAIRINGS = [
    (kind, where, era)
    for kind in ("line", "handshake", "stateless")
    for where in ("child", "web")
    for era in ("handshake", "stateless")
]


def behind(where: str, era: str) -> dict[str, Any]:
    options: Json = {"era": era}
    return (
        {"servers": {"bad": stdio(**options)}}
        if where == "child"
        else {
            "servers": {},
            "web": {"bad": options},
        }
    )


async def ready(scene: Scene, where: str, era: str) -> None:
    """Wait until a web server has the stream on which it tells of changes."""
    if where == "web":
        await scene.server().wait_seen("standing" if era == "handshake" else "listening")


@pytest.mark.parametrize(("kind", "where", "era"), PAIRINGS)
async def test_changed_list_is_told_and_the_new_tool_can_be_called(kind: str, where: str, era: str):
    async with open_scene(**behind(where, era)) as scene, scene.client(kind) as client:
        await client.request("tools/list")
        await ready(scene, where, era)
        if where == "child" and era == "stateless":
            await client.call("bad__heard", {"kind": "listening"})

        async def change() -> None:
            await client.call("bad__add", {"name": "fresh"})
            await client.wait_note(TOOLS_CHANGED)

        if kind == "stateless":
            async with client.listening({"toolsListChanged": True}):
                await change()
        else:
            await change()
        names = {tool["name"] for tool in (await client.request("tools/list"))["tools"]}
        assert "bad__fresh" in names
        assert (await client.call("bad__fresh", {"a": 1}))["structuredContent"] == {"a": 1}


@pytest.mark.parametrize(("kind", "where", "era"), PAIRINGS)
async def test_updated_resource_is_told_to_who_subscribed(kind: str, where: str, era: str):
    async with open_scene(**behind(where, era)) as scene, scene.client(kind) as client:
        await client.request("resources/list")
        await ready(scene, where, era)

        async def touch() -> None:
            if era == "stateless":
                arguments = {"kind": "listening", "count": 2}
                await client.call("bad__heard", arguments)
            await client.call("bad__touch")
            assert (await client.wait_note(UPDATED))[0]["uri"] == WATCHED

        if kind == "stateless":
            async with client.listening({"resourceSubscriptions": [WATCHED]}):
                await touch()
        else:
            await client.request("resources/subscribe", {"uri": WATCHED})
            await touch()
            await client.request("resources/unsubscribe", {"uri": WATCHED})
            await client.call("bad__touch")
            await client.request("ping")
            assert len(client.noted(UPDATED)) == 1


async def test_subscription_survives_the_end_of_its_servers_process():
    async with open_scene({"bad": stdio()}) as scene, scene.client("line") as client:
        await client.request("resources/subscribe", {"uri": WATCHED})
        server = scene.host.servers["bad"]
        child = server.links[0].child
        assert child is not None
        scene.host.keeper.signal(child, 9)
        await child.exited
        server._failed_at -= 100
        await client.call("bad__heard", {"kind": "resources/subscribe"})
        await client.call("bad__touch")
        assert await client.wait_note(UPDATED)


async def test_subscription_survives_the_expiry_of_its_servers_session():
    async with open_scene({}, web={"bad": {}}) as scene, scene.client("line") as client:
        await client.request("resources/subscribe", {"uri": WATCHED})
        scene.web["bad"].sessions.clear()
        await client.call("bad__answer")
        await scene.server().wait_seen("resources/subscribe", 2)
        await client.call("bad__touch")
        assert await client.wait_note(UPDATED)


async def test_repeated_initialized_does_not_double_what_is_told():
    async with open_scene({"bad": stdio()}) as scene, scene.client("line") as client:
        for _ in range(3):
            await client.post({"jsonrpc": "2.0", "method": "notifications/initialized"})
        await client.request("tools/list")
        await client.call("bad__add", {"name": "fresh"})
        await client.request("ping")
        assert len(client.noted(TOOLS_CHANGED)) == 1


async def test_one_client_does_not_hear_what_another_subscribed_to():
    async with (
        open_scene({"bad": stdio()}) as scene,
        scene.client("line") as one,
        scene.client("line") as other,
    ):
        await one.request("resources/subscribe", {"uri": WATCHED})
        await one.call("bad__touch")
        await one.wait_note(UPDATED)
        await other.request("ping")
        assert other.noted(UPDATED) == []


async def test_server_that_hangs_on_notifications_does_not_hold_up_the_client():
    async with open_scene({}, web={"bad": {}}) as scene, scene.client("line") as client:
        await client.call("bad__answer")
        scene.web["bad"].swallow = True
        await client.post({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"})
        await scene.server().wait_seen("swallowed")
        assert await client.call("bad__answer")
