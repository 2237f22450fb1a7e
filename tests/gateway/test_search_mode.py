import json

import pytest

from host.domain.jsonrpc import RpcError
from tests.fakes.gateway_scene import open_scene, stdio
from tests.fakes.misbehaviour import Json

pytestmark = pytest.mark.anyio

CLIENTS = {"http": {"expose": "search", "tools": ["bad__echo"]}}
CHARACTERS_PER_TOKEN = 3
"""JSON takes three to four characters to a token with today's tokenizers; the worse of them."""


@pytest.mark.parametrize("kind", ["handshake", "stateless"])
async def test_500_tools_cost_a_searching_client_under_2000_tokens(kind: str):
    async with (
        open_scene({"bad": stdio(tools=500)}, clients=CLIENTS) as scene,
        scene.client(kind) as client,
    ):
        result = await client.request("tools/list")
        assert [tool["name"] for tool in result["tools"]] == [
            "bad__echo",
            "search_tools",
            "call_tool",
        ]
        assert len(json.dumps(result["tools"])) / CHARACTERS_PER_TOKEN < 2000
        found = await client.call("search_tools", {"query": "widget 0321", "limit": 3})
        tools = found["structuredContent"]["tools"]
        assert tools[0]["name"] == "bad__tool-0321"
        assert json.loads(found["content"][0]["text"]) == found["structuredContent"]


async def test_inner_tool_is_called_and_recorded_as_itself():
    async with (
        open_scene({"bad": stdio(tools=3)}, clients=CLIENTS) as scene,
        scene.client("handshake") as client,
    ):
        inner = {"name": "bad__tool-0002", "arguments": {"title": "x"}}
        result = await client.call("call_tool", inner)
        assert result["structuredContent"] == {"title": "x"}
        intents = [entry for entry in scene.entries() if entry["kind"] == "intent"]
        assert [(entry["name"], entry["arguments"]) for entry in intents] == [
            ("bad__tool-0002", {"title": "x"})
        ]


async def test_other_clients_see_everything():
    async with (
        open_scene({"bad": stdio(tools=3)}, clients=CLIENTS) as scene,
        scene.client("line") as client,
    ):
        names = {tool["name"] for tool in (await client.request("tools/list"))["tools"]}
        assert "bad__tool-0002" in names
        assert "search_tools" not in names


WRONG: list[tuple[str, Json]] = [
    ("search_tools", {}),
    ("search_tools", {"query": " "}),
    ("search_tools", {"query": 5}),
    ("search_tools", {"query": "x", "limit": 0}),
    ("search_tools", {"query": "x", "limit": "5"}),
    ("search_tools", {"query": "x", "limit": 10**9}),
    ("call_tool", {}),
    ("call_tool", {"name": 5}),
    ("call_tool", {"name": "call_tool"}),
    ("call_tool", {"name": "bad__echo", "arguments": [1]}),
    ("call_tool", {"name": "bad__nothing"}),
]


@pytest.mark.parametrize(("tool", "arguments"), WRONG)
async def test_wrong_use_of_the_search_tools_says_what_is_wrong(tool: str, arguments: object):
    async with (
        open_scene({"bad": stdio()}, clients=CLIENTS) as scene,
        scene.client("handshake") as client,
    ):
        with pytest.raises(RpcError) as caught:
            await client.request("tools/call", {"name": tool, "arguments": arguments})
        assert caught.value.code == -32602
