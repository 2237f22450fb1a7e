import json
from typing import Any

import pytest

from host.domain.jsonrpc import RpcError
from tests.fakes.gateway_scene import open_scene, stdio
from tests.fakes.misbehaviour import WATCHED, Json

pytestmark = pytest.mark.anyio

CLIENTS = ["line", "handshake", "stateless"]

ODDITIES: Json = {
    "content": [
        {"type": "x-hologram", "data": [None, {"deep": [1, 1.0, -0.5]}], "_meta": {"k": None}},
        {"type": "text", "text": "\u202e\u0000\U0001f600 hé", "annotations": {"priority": 1.0}},
    ],
    "structuredContent": {
        "big": 12345678901234567890123,
        "one": 1.0,
        "int": 1,
        "none": None,
        "e": 1e21,
    },
    "isError": False,
    "_meta": {"com.example/x": {"icons": [{"src": "data:,"}]}},
    "x-unknown": None,
}
DEFINITION: Json = {
    "name": "odd-one",
    "title": "Odd",
    "icons": [{"src": "https://example.com/i.png", "sizes": ["48x48"], "theme": "dark"}],
    "inputSchema": {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"a": {"const": None}},
        "properties": {"x": {"$ref": "#/$defs/a", "multipleOf": 1.0, "default": None}},
        "unevaluatedProperties": False,
    },
    "outputSchema": {"type": "array", "prefixItems": [True]},
    "annotations": {"readOnlyHint": True, "x-hint": 1.0},
    "execution": {"taskSupport": "optional"},
    "_meta": {"ui": {"resourceUri": "ui://x"}},
    "x-unknown": [],
}


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON text, so that 1 and 1.0 differ."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_result_passes_verbatim(kind: str, era: str):
    async with open_scene({"bad": stdio(era=era)}) as scene, scene.client(kind) as client:
        result = await client.call("bad__raw", {"result": ODDITIES})
        result.pop("resultType", None)
        result["_meta"].pop("io.modelcontextprotocol/serverInfo", None)
        assert same(result, ODDITIES)


@pytest.mark.parametrize("kind", CLIENTS)
async def test_arguments_pass_verbatim(kind: str):
    arguments: Json = {**ODDITIES["structuredContent"], "nested": [[{}, None]], "": "\ud83d\ude00"}
    async with open_scene({"bad": stdio()}) as scene, scene.client(kind) as client:
        result = await client.call("bad__echo", arguments, _meta={"com.example/trace": 1.0})
        assert same(result["structuredContent"], arguments)
        own = result["_meta"]["own"]
        assert same(own, {"com.example/trace": 1.0})


async def test_half_a_surrogate_pair_does_not_break_the_client():
    async with open_scene({"bad": stdio()}) as scene, scene.client("line") as client:
        line = b'{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"bad__echo",'
        await client.post(line + b'"arguments":{"half":"\\ud800"}}}\n')
        answer = await client.call("bad__answer")
        assert answer["content"]
        echoed = next(message for message in client.log if message.get("id") == 77)
        assert echoed["result"]["structuredContent"] == {"half": "\ud800"}


@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_definition_passes_verbatim_but_for_its_name(era: str):
    async with open_scene({"bad": stdio(era=era, extra=[DEFINITION])}) as scene:
        for kind in CLIENTS:
            async with scene.client(kind) as client:
                tools = (await client.request("tools/list"))["tools"]
                assert same(tools[-1], {**DEFINITION, "name": "bad__odd-one"})


@pytest.mark.parametrize("kind", CLIENTS)
async def test_error_passes_with_its_code_and_data(kind: str):
    async with open_scene({"bad": stdio()}) as scene, scene.client(kind) as client:
        for code in (-32042, -32000, 7, -32602):
            arguments = {"code": code, "message": "no é", "data": {"a": 1.0}}
            with pytest.raises(RpcError) as caught:
                await client.call("bad__fail", arguments)
            assert (caught.value.code, caught.value.message) == (code, "no é")
            assert same(caught.value.data, {"a": 1.0})


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_progress_keeps_its_order_its_number_types_and_the_clients_token(kind: str, era: str):
    values = [0, 0.5, 1, 1.0, 2, 12345678901234567890]
    async with open_scene({"bad": stdio(era=era)}) as scene, scene.client(kind) as client:
        for token in ("own", 7):
            client.notes.clear()
            await client.call(
                "bad__progress", {"values": values, "total": 10.0}, _meta={"progressToken": token}
            )
            notes = client.noted("notifications/progress")
            assert same([note["progress"] for note in notes], values)
            assert same([note["total"] for note in notes], [10.0] * len(values))
            assert {note["progressToken"] for note in notes} == {token}
            before = [message for message in client.log if "progress" in str(message)][-1]
            assert "method" in before
            last = client.log[-1]
            assert last.get("result", {}).get("content", last) or kind == "stateless"


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_log_messages_pass_from_the_level_that_the_client_wants(kind: str, era: str):
    levels = ["debug", "info", "warning", "emergency", "nonsense"]
    async with open_scene({"bad": stdio(era=era)}) as scene, scene.client(kind) as client:
        params = {"name": "bad__log", "arguments": {"levels": levels}}
        await client.request("tools/call", params)
        assert client.noted("notifications/message") == []
        if kind == "stateless":
            await client.request("tools/call", params, level="warning")
        else:
            await client.request("logging/setLevel", {"level": "warning"})
            await client.request("tools/call", params)
        heard = client.noted("notifications/message")
        assert [note["level"] for note in heard] == ["warning", "emergency"]
        assert same(heard[0]["data"], {"n": 1.0})


@pytest.mark.parametrize("kind", CLIENTS)
async def test_prompts_resources_templates_and_completions_pass(kind: str):
    async with (
        open_scene({"bad": stdio(), "other": stdio()}) as scene,
        scene.client(kind) as client,
    ):
        prompts = (await client.request("prompts/list"))["prompts"]
        assert [prompt["name"] for prompt in prompts] == ["bad__greet", "other__greet"]
        got = await client.request(
            "prompts/get", {"name": "bad__greet", "arguments": {"who": "Ada"}}
        )
        assert got["messages"][0]["content"]["text"] == "Hello Ada"
        resources = (await client.request("resources/list"))["resources"]
        assert [entry["uri"] for entry in resources] == [WATCHED, f"other+{WATCHED}"]
        assert resources[0]["icons"] == [{"src": "data:,"}]
        for uri in (WATCHED, f"other+{WATCHED}", "fake://item/7"):
            read = await client.request("resources/read", {"uri": uri})
            assert read["contents"][0]["x-unknown"] is None
        templates = (await client.request("resources/templates/list"))["resourceTemplates"]
        assert templates[0]["uriTemplate"] == "fake://item/{id}"
        for ref in (
            {"type": "ref/prompt", "name": "other__greet"},
            {"type": "ref/resource", "uri": "fake://item/{id}"},
        ):
            argument = {"name": "who", "value": "A"}
            found = await client.request("completion/complete", {"ref": ref, "argument": argument})
            assert found["completion"]["values"] == [ref.get("uri") or "greet"]
