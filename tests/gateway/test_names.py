import re
from typing import Any

import pytest

from host.domain.errors import InvalidConfigError
from host.domain.jsonrpc import RpcError
from tests.fakes.gateway_scene import open_scene, stdio
from tests.fakes.misbehaviour import Json

pytestmark = pytest.mark.anyio


def tool(name: str, **more: Any) -> Json:
    return {"name": name, "inputSchema": {"type": "object"}, **more}


async def names(client: Any) -> list[str]:
    return [entry["name"] for entry in (await client.request("tools/list"))["tools"]]


async def test_every_name_is_legal_short_unique_and_callable():
    long = "n" * 100
    extra = [tool(n) for n in ("a.b", "a/b", "a_b", "é", " ", "__", long + "1", long + "2")]
    async with open_scene({"bad": stdio(extra=extra)}) as scene, scene.client("line") as client:
        found = await names(client)
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in found)
        assert len(set(found)) == len(found)
        assert "bad__a_b" in found
        for name in found[-len(extra) :]:
            assert (await client.call(name, {"via": name}))["structuredContent"] == {"via": name}


async def test_names_stay_when_servers_come_and_go():
    config = {"a": stdio(extra=[tool("x.y"), tool("n" * 90)]), "b": stdio()}
    async with open_scene(config) as scene, scene.client("line") as client:
        before = [name for name in await names(client) if name.startswith("a__")]
    async with (
        open_scene({"0": stdio(), **config, "z": stdio()}) as scene,
        scene.client("line") as client,
    ):
        after = await names(client)
        assert [name for name in after if name.startswith("a__")] == before
        assert [name.partition("__")[0] for name in after] == sorted(
            (name.partition("__")[0] for name in after), key=["0", "a", "b", "z"].index
        )


async def test_single_server_without_prefix_keeps_its_names_but_for_too_long_ones():
    odd, long = "x.y/" + "n" * 60, "n" * 90
    extra = [tool(odd), tool(long + "1"), tool(long + "2")]
    async with (
        open_scene({"bad": stdio({"prefix": ""}, extra=extra)}) as scene,
        scene.client("line") as client,
    ):
        found = await names(client)
        assert {"echo", odd} <= set(found)
        short = [name for name in found if name.startswith("nnn")]
        assert len(set(short)) == 2
        assert all(len(name) == 64 for name in short)
        for name in ("echo", odd, *short):
            assert (await client.call(name, {"a": 1}))["structuredContent"] == {"a": 1}


async def test_two_servers_with_one_prefix_are_refused_with_both_named():
    servers = {"one": stdio({"prefix": ""}), "two": stdio({"prefix": ""})}
    with pytest.raises(InvalidConfigError, match="'one' and 'two' both have the prefix"):
        async with open_scene(servers):
            pass


async def test_allow_deny_rename_and_describe_shape_what_is_offered():
    tools = {
        "allow": ["echo", "ans*", "hang"],
        "deny": ["ha*"],
        "rename": {"echo": "say"},
        "describe": {"answer": "Who are you?"},
    }
    async with (
        open_scene({"bad": stdio({"tools": tools})}) as scene,
        scene.client("line") as client,
    ):
        listed = (await client.request("tools/list"))["tools"]
        assert [entry["name"] for entry in listed] == ["bad__say", "bad__answer"]
        assert listed[1]["description"] == "Who are you?"
        assert (await client.call("bad__say", {"a": 1}))["structuredContent"] == {"a": 1}
        for hidden in ("bad__hang", "bad__echo", "bad__raw"):
            with pytest.raises(RpcError, match=f"Unknown tool: {hidden}"):
                await client.call(hidden)


async def test_unknown_tool_names_the_nearest():
    async with open_scene({"bad": stdio()}) as scene, scene.client("line") as client:
        with pytest.raises(RpcError) as caught:
            await client.call("bad__ecko")
        assert caught.value.code == -32602
        assert caught.value.message.startswith("Unknown tool: bad__ecko. Did you mean bad__echo")
