import asyncio
import json
import sys
from typing import Any

import pytest

from host.domain.jsonrpc import RpcError
from host.gateway import patience
from tests.fakes.gateway_scene import Scene, open_scene, stdio
from tests.fakes.misbehaviour import Json

pytestmark = pytest.mark.anyio


async def recovered(scene: Scene, client: Any, name: str = "bad") -> Any:
    """Return an answer of a server that just failed, without waiting for its delay."""
    await scene.host.servers[name].restart()
    return await client.call(f"{name}__answer")


async def test_server_killed_in_the_middle_of_a_call_is_named_and_comes_back():
    async with open_scene({"bad": stdio()}) as scene, scene.client("line") as client:
        with pytest.raises(RpcError) as caught:
            await client.call("bad__die")
        assert caught.value.code == -32000
        assert caught.value.data == {"server": "bad"}
        assert "Server 'bad' ended with signal 9." in caught.value.message
        assert "I am about to die" in caught.value.message
        assert await recovered(scene, client)
        assert scene.calls()[0] == ("bad__die", "error")


async def test_last_words_of_a_server_are_not_those_of_an_earlier_call():
    async with open_scene({"bad": stdio()}) as scene, scene.client("line") as client:
        said = {"words": "an earlier traceback", "code": -1, "message": "no"}
        with pytest.raises(RpcError):
            await client.call("bad__fail", said)
        log = scene.host.paths.logs / "bad.log"
        while "earlier" not in log.read_text():  # noqa: ASYNC110 - a file tells of no event
            await asyncio.sleep(0)
        with pytest.raises(RpcError) as caught:
            await client.call("bad__die", {"words": ""})
        assert "ended with signal 9." in caught.value.message
        assert "traceback" not in caught.value.message


async def test_server_that_keeps_dying_is_restarted_with_a_growing_delay():
    entry = {"command": sys.executable, "args": ["-c", "raise SystemExit('no licence')"]}
    async with open_scene({"bad": entry}) as scene, scene.client("line") as client:
        server = scene.host.servers["bad"]
        with pytest.raises(RpcError):
            await client.call("bad__x")
        with pytest.raises(RpcError) as caught:
            await client.call("bad__x")
        assert "It is tried again in 1 s." in caught.value.message
        assert "host servers restart bad" in caught.value.message
        assert "no licence" in str(server.last_error)
        server._failed_at -= 2
        with pytest.raises(RpcError):
            await client.call("bad__x")
        with pytest.raises(RpcError, match=r"tried again in 2 s"):
            await client.call("bad__x")
        assert server.state == "failed"


@pytest.mark.parametrize("where", ["child", "web"])
async def test_hung_call_ends_with_the_servers_name_and_the_setting(where: str):
    servers: Json = {"bad": stdio()} if where == "child" else {}
    web: dict[str, Json] = {"bad": {}} if where == "web" else {}
    async with open_scene(servers, web=web) as scene, scene.client("line") as client:
        await client.call("bad__answer")
        (link,) = scene.host.servers["bad"].links
        link.connection.timeout, usual = 0.3, link.connection.timeout
        with pytest.raises(RpcError) as caught:
            await client.call("bad__hang")
        link.connection.timeout = usual
        assert caught.value.code == -32001
        assert "Server 'bad' did not answer tools/call within 0.3 s." in caught.value.message
        assert "`timeout`" in caught.value.message
        await client.call("bad__heard", {"kind": "cancelled"})
        assert ("bad__hang", "timeout") in scene.calls()


async def test_progress_keeps_a_slow_call_alive():
    async with open_scene({"bad": stdio({"timeout": 5})}) as scene, scene.client("line") as client:
        seen: list[float | None] = []
        connection: Any = None

        def deadlines() -> list[float | None]:
            return [call.scope.when for call in connection.calls.values() if call.scope]

        await client.call("bad__answer")
        connection = scene.host.servers["bad"].links[0].connection
        meta = {"progressToken": "p"}
        task = asyncio.ensure_future(client.call("bad__hang", {"n": 1}, _meta=meta))
        await client.call("bad__heard", {"kind": "hanging"})
        seen += deadlines()
        connection.receive(
            {"method": "notifications/progress", "params": {"progressToken": 3, "progress": 1}},
            None,
        )
        token = next(iter(connection.calls))
        connection.receive(
            {"method": "notifications/progress", "params": {"progressToken": token, "progress": 1}},
            None,
        )
        assert deadlines() > seen
        await client.post(
            {
                "jsonrpc": "2.0",
                "method": "notifications/cancelled",
                "params": {"requestId": client.last_id - 1},
            }
        )
        task.cancel()


async def test_garbage_on_stdout_is_passed_over():
    lines = ["Server starting...", "{", "[1,2]", '"text"', "null", '{"jsonrpc":"2.0"}', "\ud800"]
    async with open_scene({"bad": stdio()}) as scene, scene.client("line") as client:
        result = await client.call("bad__garbage", {"lines": lines})
        assert result["content"][0]["text"] == "after garbage"


async def test_server_that_writes_nothing_but_garbage_is_given_up_and_says_why():
    command = "import time\nfor n in range(100): print('<html>', flush=True)\ntime.sleep(600)"
    entry = {"command": sys.executable, "args": ["-c", command]}
    async with open_scene({"bad": entry}) as scene, scene.client("line") as client:
        with pytest.raises(RpcError) as caught:
            await client.call("bad__x")
        assert "writes lines that are not JSON-RPC" in caught.value.message
        assert "<html>" in caught.value.message


ODD: list[Json] = [
    {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": [1]}},
    {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": {}}},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": [1]}},
    {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": [], "data": 1}},
    {"jsonrpc": "2.0", "method": "notifications/message", "params": "text"},
    {"jsonrpc": "2.0", "method": "ping", "id": [1]},
    {"jsonrpc": "2.0", "method": "roots/list", "id": {"a": 1}},
    {"jsonrpc": "2.0", "method": "roots/list", "id": None},
    {"jsonrpc": "2.0", "method": 5},
    {"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {"uri": [1]}},
    {"jsonrpc": "2.0", "id": [1], "result": {}},
    {"jsonrpc": "2.0", "id": "unknown", "result": {}},
    {"jsonrpc": "2.0", "id": 999, "error": 3},
]


@pytest.mark.parametrize("where", ["child", "web"])
async def test_odd_messages_of_a_server_cost_nobody_else_a_thing(where: str):
    servers: Json = {"bad": stdio({"timeout": 20})} if where == "child" else {}
    web: dict[str, Json] = {"bad": {"config": {"timeout": 20}}} if where == "web" else {}
    async with open_scene(servers, web=web) as scene, scene.client("line") as client:
        await client.request("logging/setLevel", {"level": "debug"})
        for message in ODD:
            if where == "web" and "method" not in message:
                continue
            result = await client.call("bad__odd", {"messages": [message]})
            assert result["content"][0]["text"] == "after odd messages", message


@pytest.mark.parametrize("where", ["child", "web"])
async def test_number_that_json_cannot_hold_fails_its_own_call_only(where: str):
    servers: Json = {"bad": stdio({"timeout": 20})} if where == "child" else {}
    web: dict[str, Json] = {"bad": {"config": {"timeout": 20}}} if where == "web" else {}
    async with open_scene(servers, web=web) as scene, scene.client("line") as client:
        meta = {"progressToken": "p"}
        await client.call("bad__progress", {"values": [1, 2]}, _meta=meta)
        for messages in (["notifications/progress", "notifications/message"],):
            for method in messages:
                params = {"progressToken": 9, "progress": 1, "level": "error", "data": "NAN"}
                line = json.dumps({"jsonrpc": "2.0", "method": method, "params": params})
                line = line.replace('"NAN"', "NaN").replace('"progress": 1', '"progress": NaN')
                await client.call("bad__garbage", {"lines": [line]}, _meta={"progressToken": "q"})
        assert (await client.call("bad__answer"))["content"]


async def test_tool_whose_definition_cannot_be_written_is_left_out_and_the_others_stay():
    deep: Any = {}
    for _ in range(500):
        deep = {"properties": deep}
    bad = [
        {"name": "nan", "inputSchema": {"default": float("nan")}},
        {"name": "deep", "inputSchema": deep},
        {"name": 5},
        "text",
        None,
    ]
    servers = {"bad": stdio(extra=bad), "good": stdio()}
    async with open_scene(servers) as scene, scene.client("line") as client:
        names = {tool["name"] for tool in (await client.request("tools/list"))["tools"]}
        assert {"bad__echo", "good__echo"} <= names
        assert "bad__nan" not in names
        assert await client.call("bad__answer")


@pytest.mark.parametrize("where", ["child", "web"])
async def test_reply_of_100_megabytes_fails_alone(where: str):
    servers: Json = {"bad": stdio()} if where == "child" else {}
    web: dict[str, Json] = {"bad": {}} if where == "web" else {}
    async with open_scene(servers, web=web) as scene, scene.client("line") as client:
        waiting = asyncio.ensure_future(client.call("bad__heard", {"kind": "enough"}))
        with pytest.raises(RpcError) as caught:
            await client.call("bad__big", {"size": 100_000_000})
        assert "Server 'bad' answered with" in caught.value.message
        assert "max_result_bytes" in caught.value.message
        assert (await client.call("bad__echo", {"a": 1}))["structuredContent"] == {"a": 1}
        assert not waiting.done()
        waiting.cancel()


@pytest.mark.parametrize("where", ["child", "web"])
async def test_reply_just_below_the_limit_passes(where: str):
    servers: Json = {"bad": stdio()} if where == "child" else {}
    web: dict[str, Json] = {"bad": {}} if where == "web" else {}
    async with open_scene(servers, web=web) as scene, scene.client("line") as client:
        result = await client.call("bad__big", {"size": 15_000_000})
        assert len(result["content"][0]["text"]) == 15_000_000


async def test_thousand_tools_in_pages_are_all_listed_in_order():
    async with (
        open_scene({"bad": stdio(tools=1000, page=37)}) as scene,
        scene.client("line") as client,
    ):
        names = [tool["name"] for tool in (await client.request("tools/list"))["tools"]]
        wanted = [f"bad__tool-{number:04}" for number in range(1000)]
        assert [name for name in names if "tool-" in name] == wanted
        assert (await client.call("bad__tool-0999", {"title": "x"}))["structuredContent"]


async def test_server_that_pages_in_circles_is_left_out_of_the_list():
    servers = {"bad": stdio(circle=True), "good": stdio()}
    async with open_scene(servers) as scene, scene.client("line") as client:
        names = {tool["name"] for tool in (await client.request("tools/list"))["tools"]}
        assert "good__echo" in names
        assert "bad__echo" not in names
        with pytest.raises(RpcError, match="in circles"):
            await client.call("bad__echo")


async def test_one_dead_server_among_twenty_delays_nobody(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(patience, "FIRST_WAIT", 3600.0)
    servers = {f"s{number}": stdio() for number in range(19)}
    servers["dead"] = {"command": "no-such-command"}
    servers["gone"] = {"url": "http://127.0.0.1:1/mcp"}
    async with open_scene(servers) as scene, scene.client("line") as client:
        names = {tool["name"] for tool in (await client.request("tools/list"))["tools"]}
        assert len({name.partition("__")[0] for name in names}) == 19
        assert scene.host.servers["dead"].state == "failed"


async def test_server_that_never_answers_its_handshake_is_waited_for_once(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(patience, "REMOTE_WAIT", 0.3)
    monkeypatch.setattr(patience, "FIRST_WAIT", 0.5)
    monkeypatch.setattr(patience, "REMOTE_WAIT", 0.0)
    servers = {"good": stdio(), "bad": stdio({"connect_timeout": 0.6}, hang="server/discover")}
    servers["bad"]["protocol"] = "stateless"
    async with open_scene(servers, patient=False) as scene, scene.client("line") as client:
        await client.call("good__answer")
        await client.request("tools/list")
        bad = scene.host.servers["bad"]
        while bad.last_error is None:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
        bad._failed_at -= 100  # the delay is over: it is tried again
        monkeypatch.setattr(patience, "REMOTE_WAIT", 3600.0)
        monkeypatch.setattr(patience, "FIRST_WAIT", 3600.0)
        listed = asyncio.ensure_future(client.request("tools/list"))
        names = {tool["name"] for tool in (await listed)["tools"]}
        assert "good__echo" in names
        assert bad.state == "starting"


async def test_a_child_that_hangs_keeps_the_others_tools_from_nobody(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(patience, "FIRST_WAIT", 3600.0)
    monkeypatch.setattr(patience, "STRAGGLER_WAIT", 0.0)
    hung = {"command": sys.executable, "args": ["-S", "-c", "import sys; sys.stdin.read()"]}
    servers = {"hung": hung, "good": stdio()}
    async with open_scene(servers, patient=False) as scene, scene.client("line") as client:
        listed = await client.request("tools/list")
        assert "good__echo" in {tool["name"] for tool in listed["tools"]}
        assert "still starting" in listed["_meta"]["host/missing"]["hung"]


async def test_a_resource_is_read_while_another_server_hangs_at_its_start(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(patience, "STRAGGLER_WAIT", 0.0)
    hung = {"command": sys.executable, "args": ["-S", "-c", "import sys; sys.stdin.read()"]}
    servers = {"hung": {**hung, "connect_timeout": 3600}, "good": stdio()}
    async with open_scene(servers, patient=False) as scene, scene.client("line") as client:
        read = await client.request("resources/read", {"uri": "fake://item/1"})
        assert read["contents"]


async def test_server_that_closes_its_output_and_lives_on_is_replaced():
    async with open_scene({"bad": stdio()}) as scene, scene.client("line") as client:
        before = (await client.call("bad__answer"))["content"]
        with pytest.raises(RpcError, match="ended before it answered"):
            await client.call("bad__mute")
        assert (await client.call("bad__answer"))["content"] != before


async def test_calls_to_one_server_run_side_by_side():
    async with (
        open_scene({"bad": stdio()}) as scene,
        scene.client("line") as client,
        asyncio.TaskGroup() as group,
    ):
        calls = [group.create_task(client.call("bad__together", {"count": 20})) for _ in range(20)]
    said = [call.result()["content"][0]["text"] for call in calls]
    assert said == ["together"] * 20


async def test_flood_of_notifications_arrives_in_order_and_before_the_answer():
    async with open_scene({"bad": stdio()}) as scene, scene.client("line") as client:
        await client.call("bad__flood", {"count": 2000}, _meta={"progressToken": "t"})
        seen = [note["progress"] for note in client.noted("notifications/progress")]
        assert seen == list(range(2000))
