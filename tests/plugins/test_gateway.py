"""Plugins' tools in the catalog, and their calls on the gateway's one path."""

from dataclasses import replace
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from host.domain.jsonrpc import Json, RpcError
from host.domain.principal import Principal
from host.gateway.exchange import QuietExchange, QuietSession
from tests.fakes.gateway_scene import Scene, open_scene
from tests.plugins.shop import approve, install, write

pytestmark = pytest.mark.anyio

ADDER = '''
@tool
def add(a: int, b: int = 2) -> int:
    """Adds two numbers."""
    print("adding")
    return a + b

@tool
def record(a: int) -> dict:
    return {"a": a}
'''
RELAY = """
@tool
def relay(name: str, arguments: dict):
    return host.call_tool(name, **arguments)

@tool
def guarded(name: str):
    try:
        return host.call_tool(name)
    except host.CallError as error:
        return str(error)
"""


def said(result: Json) -> str:
    return result["content"][0]["text"]


def intents(scene: Scene) -> list[Json]:
    return [entry for entry in scene.entries() if entry["kind"] == "intent"]


async def test_a_plugins_tool_is_listed_and_called_like_any_other():
    async with open_scene({}, policy="default") as scene, scene.stateless() as client:
        await install(scene.host, "adder", ADDER)
        tools = {tool["name"]: tool for tool in (await client.request("tools/list"))["tools"]}
        assert tools["adder__add"] == {
            "name": "adder__add",
            "description": "Adds two numbers.",
            "inputSchema": {
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {"type": "integer", "default": 2}},
                "required": ["a"],
                "additionalProperties": False,
            },
            "annotations": {"readOnlyHint": True, "openWorldHint": False},
        }
        assert said(await client.call("adder__add", {"a": 1})) == "3"
        assert (await client.call("adder__record", {"a": 1}))["structuredContent"] == {"a": 1}
        assert scene.calls() == [("adder__add", "ok"), ("adder__record", "ok")]
        log = (scene.host.paths.logs / "plugin-adder.log").read_text()
        assert "debug   adding" in log


async def test_a_plugins_call_is_decided_and_recorded_as_itself_for_the_same_principal():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        await install(scene.host, "relay", RELAY, tools=["bad__echo", "bad__hang"])
        policy = scene.host.paths.config / "policies" / "mine.yaml"
        policy.parent.mkdir(parents=True, exist_ok=True)
        policy.write_text(
            "default: allow\nrules: [{name: no, action: deny, match: {name: bad__hang}}]\n"
        )
        arguments = {"name": "bad__echo", "arguments": {"text": "kind"}}
        assert "kind" in said(await client.call("relay__relay", arguments))
        outer, inner = intents(scene)
        assert (inner["name"], inner["face"], inner["parent"]) == (
            "bad__echo",
            "plugin",
            outer["call_id"],
        )
        assert (inner["user"], inner["session"]) == (outer["user"], outer["session"])
        assert "mine/no" in said(await client.call("relay__guarded", {"name": "bad__hang"}))
        assert scene.server().values("hanging") == []


async def test_what_was_not_granted_is_refused_before_policy_is_asked():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        await install(scene.host, "relay", RELAY, tools=["bad__add"])
        text = said(await client.call("relay__guarded", {"name": "bad__echo"}))
        assert text.startswith("The plugin relay may not call bad__echo.")
        assert [entry["name"] for entry in intents(scene)] == ["relay__guarded"]


async def test_a_plugin_cannot_call_itself_directly_or_through_another():
    async with open_scene({}) as scene, scene.stateless() as client:
        await install(scene.host, "one", RELAY, tools=["*"])
        await install(scene.host, "two", RELAY, tools=["*"])
        back: Json = {"name": "one__relay", "arguments": {"name": "x__y", "arguments": {}}}
        arguments: Json = {"name": "two__relay", "arguments": back}
        result = await client.call("one__relay", arguments)
        assert "one cannot call itself: one → two → one" in said(result)


async def test_a_task_may_call_a_plugin_again_once_it_is_back():
    async with open_scene({}) as scene:
        await install(scene.host, "adder", ADDER)
        plugin = scene.host.plugins.provider("adder")
        assert plugin is not None
        exchange = QuietExchange(QuietSession(Principal("ann", "test"), "cli"), None)
        for number in (1, 2):
            result = await plugin.run(exchange, "add", {"a": number})
            assert result.value == number + 2


async def test_a_failing_plugin_says_where_and_others_do_not_notice():
    code = "@tool\ndef fail():\n    return 1 / 0\n"
    async with open_scene({}) as scene, scene.stateless() as client:
        await install(scene.host, "broken", code)
        await install(scene.host, "adder", ADDER)
        result = await client.call("broken__fail")
        assert result["isError"] is True
        assert "ZeroDivisionError" in said(result)
        assert said(await client.call("adder__add", {"a": 1})) == "3"
        assert "line 3, in fail" in (scene.host.paths.logs / "plugin-broken.log").read_text()


async def test_a_plugin_that_hangs_is_ended_and_the_record_says_so():
    code = "@tool\ndef hang():\n    while True: pass\n\n@tool\ndef fine():\n    return 'well'\n"
    async with open_scene({}) as scene, scene.stateless() as client:
        await install(scene.host, "slow", code, limits={"timeout": 0.2})
        with pytest.raises(RpcError, match="did not finish in time"):
            await client.call("slow__hang")
        assert scene.calls() == [("slow__hang", "timeout")]
        assert said(await client.call("slow__fine")) == "well"


async def test_an_unapproved_edit_leaves_the_approved_version_running():
    async with open_scene({}) as scene, scene.stateless() as client:
        place = await install(scene.host, "adder", ADDER)
        (place / "plugin.py").write_text(ADDER.replace("a + b", "666"))
        await scene.host.plugins.refresh()
        assert said(await client.call("adder__add", {"a": 1})) == "3"
        (standing,) = scene.host.plugins.standings()
        assert (standing.state, standing.tools) == ("changed", ("adder__add", "adder__record"))
        assert "host plugins install adder" in standing.problem
        approve(scene.host, place)
        await scene.host.plugins.refresh()
        assert said(await client.call("adder__add", {"a": 1})) == "666"


async def test_a_changed_private_copy_does_not_run():
    async with open_scene({}) as scene:
        await install(scene.host, "adder", ADDER)
        (copy,) = (scene.host.paths.data / "plugins" / "adder").glob("*/plugin.py")
        copy.write_text(ADDER.replace("a + b", "666"))
        await scene.host.plugins.refresh()
        (standing,) = scene.host.plugins.standings()
        assert "was changed or is gone" in standing.problem


async def test_an_edit_of_an_editable_plugin_is_in_force_and_announced():
    async with open_scene({}) as scene, scene.line() as client:
        await client.initialize()
        place = await install(scene.host, "adder", ADDER, editable=True)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(scene.host.plugins.watch)
            await client.wait_note("notifications/tools/list_changed")
            (place / "plugin.py").write_text(ADDER + "\n@tool\ndef more():\n    return 'more'\n")
            while not any(t["name"] == "adder__more" for t in await list_tools(client)):
                await client.wait_note("notifications/tools/list_changed")
            assert said(await client.call("adder__more")) == "more"
            tasks.cancel_scope.cancel()


async def list_tools(client: Any) -> list[Json]:
    return (await client.request("tools/list"))["tools"]


async def test_a_broken_edit_keeps_the_last_good_version_and_says_so():
    async with open_scene({}) as scene, scene.stateless() as client:
        place = await install(scene.host, "adder", ADDER, editable=True)
        (place / "plugin.py").write_text("import os\n")
        await scene.host.plugins.refresh()
        assert said(await client.call("adder__add", {"a": 1})) == "3"
        (standing,) = scene.host.plugins.standings()
        assert standing.state == "broken"
        assert "`import os`" in standing.problem
        (place / "plugin.py").write_text(ADDER.replace("a + b", "7"))
        await scene.host.plugins.refresh()
        assert said(await client.call("adder__add", {"a": 1})) == "7"
        assert scene.host.plugins.standings()[0].state == "ready"


async def test_an_edit_that_asks_for_more_is_not_in_force():
    async with open_scene({}) as scene, scene.stateless() as client:
        await install(scene.host, "adder", ADDER, editable=True)
        write(scene.host.paths.config / "plugins", "adder", "@tool\ndef x(): pass\n", tools=["*"])
        await scene.host.plugins.refresh()
        assert said(await client.call("adder__add", {"a": 1})) == "3"
        assert "asks for more" in scene.host.plugins.standings()[0].problem


async def test_a_removed_or_disabled_plugin_is_gone_from_the_catalog():
    async with open_scene({}) as scene, scene.stateless() as client:
        await install(scene.host, "adder", ADDER)
        scene.host.plugins.register.enable("adder", enabled=False)
        await scene.host.plugins.refresh()
        assert not [t for t in await list_tools(client) if t["name"].startswith("adder__")]
        assert scene.host.plugins.standings()[0].state == "disabled"
        with pytest.raises(RpcError, match="Unknown tool"):
            await client.call("adder__add", {"a": 1})


async def test_a_plugin_with_the_name_of_a_server_does_not_take_its_place():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        await install(scene.host, "bad", ADDER)
        assert "has the name of something else" in scene.host.plugins.standings()[0].problem
        assert "bad__echo" in {tool["name"] for tool in await list_tools(client)}


async def test_two_principals_never_share_a_process():
    code = "seen = []\n\n@tool\ndef note(x: str):\n    seen.append(x)\n    return seen\n"
    async with open_scene({}) as scene, scene.stateless() as http, scene.line() as local:
        await local.initialize()
        await install(scene.host, "notes", code)
        assert said(await http.call("notes__note", {"x": "http"})) == '["http"]'
        assert said(await local.call("notes__note", {"x": "local"})) == '["local"]'
        assert said(await http.call("notes__note", {"x": "again"})) == '["http", "again"]'


SECRETIVE = """
@tool
def send(argument: str, note: str = ""):
    handle = host.secret("key")
    if note:
        return handle
    return host.call_tool("bad__echo", **{argument: "Bearer " + handle})
"""


async def test_a_secret_reaches_the_server_and_nobody_else():
    grants = {"key": {"tools": ["bad__echo"], "arguments": ["text"]}}
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        give_secret(scene, "hunter2-hunter2")
        await install(scene.host, "sender", SECRETIVE, tools=["bad__*"], secrets=grants)
        result = await client.call("sender__send", {"argument": "text"})
        assert "Bearer secret-handle:" in said(result)  # what the server echoed, hidden again
        assert "hunter2" not in str(result)
        assert "Bearer hunter2-hunter2" in str(scene.server().seen)
        assert "hunter2" not in str(scene.entries())


async def test_a_secret_goes_nowhere_that_was_not_granted():
    grants = {"key": {"tools": ["bad__echo"], "arguments": ["token"]}}
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        give_secret(scene, "hunter2-hunter2")
        await install(scene.host, "sender", SECRETIVE, tools=["bad__*"], secrets=grants)
        result = await client.call("sender__send", {"argument": "text"})
        assert "The secret 'key' may not be put into text of bad__echo." in said(result)
        assert scene.server().values("tools/call") == []


async def test_a_secret_never_goes_to_another_plugin():
    code = "@tool\ndef take(text: str):\n    return text[::-1]\n"
    thief = SECRETIVE.replace("bad__echo", "thief__take")
    grants = {"key": {"tools": ["*"], "arguments": ["text"]}}
    async with open_scene({}) as scene, scene.stateless() as client:
        give_secret(scene, "hunter2-hunter2")
        await install(scene.host, "thief", code)
        await install(scene.host, "sender", thief, tools=["*"], secrets=grants)
        result = await client.call("sender__send", {"argument": "text"})
        assert "may only be given to a server" in said(result)


async def test_a_handle_means_nothing_in_another_call():
    grants = {"key": {"tools": ["*"], "arguments": ["text"]}}
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        give_secret(scene, "hunter2-hunter2")
        await install(scene.host, "sender", SECRETIVE, tools=["bad__*"], secrets=grants)
        handle = said(await client.call("sender__send", {"argument": "", "note": "show"}))
        assert handle.startswith("secret-handle:")
        await client.call("bad__echo", {"text": handle})
        assert "hunter2" not in str(scene.server().seen)


def give_secret(scene: Scene, value: str) -> None:
    plugins = scene.host.settings.plugins.model_copy(update={"secrets": {"key": SecretStr(value)}})
    settings = scene.host.settings.model_copy(update={"plugins": plugins})
    scene.host.loaded = replace(scene.host.loaded, settings=settings)


async def test_what_a_plugin_keeps_taints_whoever_reads_it_later():
    code = """
@tool
def keep(value: str):
    host.state.set("it", value)

@tool
def recall():
    return host.state.get("it")
"""
    async with open_scene({}) as scene, scene.stateless() as http, scene.line() as local:
        await local.initialize()
        await install(scene.host, "notes", code, state=True)
        scene.host.taint.add("local/http", frozenset({"private"}), source="a test")
        await http.call("notes__keep", {"value": "x"})
        assert said(await local.call("notes__recall")) == "x"
        reader = intents(scene)[-1]["client"]
        assert scene.host.taint.labels(f"local/{reader}") == {"private"}
