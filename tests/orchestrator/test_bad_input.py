import json
from typing import Any

import pytest

from host.domain.jsonrpc import RpcError
from tests.fakes.gateway_scene import Scene, open_scene, stdio
from tests.fakes.misbehaviour import Json
from tests.fakes.raw_client import META

pytestmark = pytest.mark.anyio

WHO = {"name": "probing", "version": "1"}
BASE = {"jsonrpc": "2.0", "id": 5, "method": "ping"}
MALFORMED: list[tuple[bytes, int]] = [
    (b"{", -32700),
    (b"nonsense", -32700),
    (b"\xff\xfe\x00{", -32700),
    (b"[" * 100_000, -32700),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b"9" * 5000 + b"}", -32700),
    (b"[]", -32600),
    (json.dumps([BASE, BASE]).encode(), -32600),
    (b'"text"', -32600),
    (b"null", -32600),
    (b"5", -32600),
    (b"{}", -32600),
    (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600),
    (b'{"id":1,"method":"ping"}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":5}', -32600),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
    (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
    (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600),
    (b'{"jsonrpc":"2.0","id":[1],"method":"ping"}', -32600),
    (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600),
    (b'{"jsonrpc":"2.0","id":1}', -32600),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":5}}', -32602),
]
ODD: list[Json] = [
    {"jsonrpc": "2.0", "id": [1], "result": {}},
    {"jsonrpc": "2.0", "id": {"a": 1}, "error": {}},
    {"jsonrpc": "2.0", "id": None, "result": {}},
    {"jsonrpc": "2.0", "id": "host-1", "result": 5},
    {"jsonrpc": "2.0", "id": "host-99", "error": "text"},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": [1]}},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": {}}},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 404}},
    {"jsonrpc": "2.0", "method": "notifications/cancelled"},
    {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": []}},
    {"jsonrpc": "2.0", "method": "notifications/nonsense", "params": {"x": [{}]}},
    {"jsonrpc": "2.0", "method": ""},
]
"""Messages that ask for no answer and must do no harm."""
WRONG_PARAMS: list[tuple[str, Any]] = [
    ("tools/call", {}),
    ("tools/call", {"name": 5}),
    ("tools/call", {"name": ["bad__echo"]}),
    ("tools/call", {"name": "bad__echo", "arguments": []}),
    ("tools/call", {"name": "bad__echo", "arguments": "x"}),
    ("tools/call", {"name": "no such tool"}),
    ("tools/call", {"name": "\x00"}),
    ("tools/call", {"name": "x" * 100_000}),
    ("prompts/get", {"name": {}}),
    ("prompts/get", {"name": "nobody__has"}),
    ("resources/read", {}),
    ("resources/read", {"uri": 5}),
    ("resources/read", {"uri": "nobody://has"}),
    ("completion/complete", {}),
    ("completion/complete", {"ref": 5}),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": 5}}),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "nobody__has"}}),
    ("no/such/method", {}),
    ("", {}),
]
HANDSHAKE_ONLY: list[tuple[str, Any]] = [
    ("logging/setLevel", {"level": "loud"}),
    ("logging/setLevel", {"level": []}),
    ("resources/subscribe", {}),
    ("resources/subscribe", {"uri": "nobody://has"}),
    ("resources/unsubscribe", {"uri": 5}),
    ("subscriptions/listen", {}),
    ("server/discover", {}),
    ("initialize", {}),
    ("initialize", {"protocolVersion": 5}),
]


def headers(scene: Scene, **more: str) -> dict[str, str]:
    accept = {"accept": "application/json, text/event-stream"}
    return {**accept, "content-type": "application/json", **more}


async def post(client: Any, body: bytes, **more: str) -> tuple[int, Json]:
    """Post raw bytes in a client's session."""
    given = {"content-type": "application/json", **client.headers, **more}
    async with client.http.post(client.url, data=body, headers=given) as reply:
        text = await reply.read()
        return reply.status, json.loads(text) if text else {}


@pytest.mark.parametrize(("body", "code"), MALFORMED)
async def test_malformed_message_is_refused_on_the_socket_and_the_client_stays(
    body: bytes, code: int
):
    async with open_scene({"bad": stdio()}) as scene, scene.client("line") as client:
        before = len(client.log)
        await client.post(body + b"\n")
        assert (await client.request("ping")) == {}
        assert client.log[before]["error"]["code"] == code


@pytest.mark.parametrize(("body", "code"), MALFORMED)
async def test_malformed_message_is_refused_over_http(body: bytes, code: int):
    async with open_scene({"bad": stdio()}) as scene, scene.client("handshake") as client:
        status, answer = await post(client, body)
        assert status == 400
        assert answer["error"]["code"] == code
        assert (await client.request("ping")) == {}


async def test_odd_messages_do_no_harm():
    async with (
        open_scene({"bad": stdio()}) as scene,
        scene.client("line") as line,
        scene.client("handshake") as http,
    ):
        for message in ODD:
            await line.post(message)
            assert (await line.request("ping")) == {}, message
            status, _ = await post(http, json.dumps(message).encode())
            assert status == 202, message
            assert (await http.request("ping")) == {}, message


@pytest.mark.parametrize("kind", ["line", "handshake", "stateless"])
async def test_wrong_params_are_refused_with_what_is_wrong(kind: str):
    async with open_scene({"bad": stdio(), "two": stdio()}) as scene, scene.client(kind) as client:
        wrong = WRONG_PARAMS + (HANDSHAKE_ONLY if kind == "line" else [])
        for method, params in wrong:
            unfit = "\x00" in str(params) or len(str(params)) > 9999
            if kind == "stateless" and (unfit or "\\x00" in str(params)):
                continue  # no HTTP header can carry such a name
            with pytest.raises(RpcError) as caught:
                await client.request(method, params)
            wanted = (-32600, -32601, -32602, -32002, -32020)
            assert caught.value.code in wanted, (method, params)
            assert caught.value.message, (method, params)
        assert await client.call("bad__answer")


async def test_request_id_in_use_is_refused_and_the_first_request_goes_on():
    async with open_scene({"bad": stdio()}) as scene, scene.client("line") as client:
        await client.call("bad__answer")
        call = {"name": "bad__heard", "arguments": {"kind": "notifications/roots/list_changed"}}
        message = {"jsonrpc": "2.0", "id": "same", "method": "tools/call", "params": call}
        await client.post(message)
        await client.post(message)
        await client.request("ping")
        refused = [m for m in client.log if m.get("id") == "same"]
        assert "in use" in refused[0]["error"]["message"]
        await client.post({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"})
        async with client.changed:
            await client.changed.wait_for(
                lambda: len([m for m in client.log if m.get("id") == "same"]) == 2
            )


async def test_body_over_the_limit_is_refused_with_413():
    async with (
        open_scene({"bad": stdio()}, max_body_bytes=2048) as scene,
        scene.client("handshake") as client,
    ):
        status, answer = await post(client, b" " * 3000)
        assert status == 413
        assert "2,048 bytes" in answer["error"]["message"]

        async def chunks():
            for _ in range(30):
                yield b" " * 100

        given = {**client.headers, "content-type": "application/json"}
        async with client.http.post(client.url, data=chunks(), headers=given) as reply:
            assert reply.status == 413
        assert (await client.request("ping")) == {}


async def test_requests_before_the_handshake_are_refused():
    async with open_scene({"bad": stdio()}) as scene, scene.line() as client:
        with pytest.raises(RpcError, match="initialize first"):
            await client.request("tools/list")
        assert await client.request("ping") == {}
        assert (await client.initialize())["serverInfo"]["name"] == "mcp-agent-host"


@pytest.mark.parametrize("probe", [True, False])
async def test_a_client_that_only_probed_may_shake_hands_and_one_that_went_on_may_not(probe: bool):
    meta = {"protocolVersion": "2026-07-28", "clientCapabilities": {}, "clientInfo": WHO}
    envelope = {"_meta": {META + key: value for key, value in meta.items()}}
    async with open_scene({"bad": stdio()}) as scene, scene.line() as client:
        found = await client.request("server/discover", envelope)
        assert found["supportedVersions"]
        if probe:
            assert (await client.initialize())["serverInfo"]["name"] == "mcp-agent-host"
            assert (await client.request("tools/list"))["tools"]
        else:
            assert (await client.request("tools/list", envelope))["tools"]
            with pytest.raises(RpcError, match="stateless"):
                await client.initialize()


ENVELOPES: list[tuple[Json, int]] = [
    ({META + "protocolVersion": None}, -32020),
    ({META + "protocolVersion": "2031-01-01"}, -32020),
    ({META + "clientCapabilities": []}, -32602),
    ({META + "clientCapabilities": None}, -32602),
]


@pytest.mark.parametrize(("meta", "code"), ENVELOPES)
async def test_wrong_envelope_is_refused(meta: Json, code: int):
    async with open_scene({"bad": stdio()}) as scene, scene.client("stateless") as client:
        with pytest.raises(RpcError) as caught:
            await client.request("tools/list", {"_meta": meta})
        assert caught.value.code == code
