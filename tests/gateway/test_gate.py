"""Every call is decided on before it is made, wherever it comes from."""

from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from host.domain.jsonrpc import INVALID_PARAMS, Json, RpcError
from host.gateway.exchange import Exchange, InnerExchange
from host.gateway.local import LocalProvider, text_result
from tests.fakes.gateway_scene import Scene, open_scene

pytestmark = pytest.mark.anyio

CLIENTS = ["line", "handshake", "stateless"]
MINE = """
default: allow
rules:
  - {name: no-hang, action: deny, because: it never ends, match: {name: bad__hang}}
  - name: no-rude
    action: deny
    because: it is rude
    match: {name: bad__echo, arguments: {/text: {in: [rude]}}}
  - {name: few, action: allow, match: {name: bad__add}, limits: [{most: 2, per: minute}]}
  - {name: no-boom, action: deny, because: it explodes, match: {name: own__boom}}
"""


def write_policy(scene: Scene, text: str) -> None:
    folder = scene.host.paths.config / "policies"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.yaml").write_text(text)


def said(result: Json) -> str:
    return result["content"][0]["text"]


def intents(scene: Scene) -> list[Json]:
    return [entry for entry in scene.entries() if entry["kind"] == "intent"]


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_denied_call_never_reaches_its_server_and_says_why(kind: str):
    async with open_scene({}, web={"bad": {}}) as scene, scene.client(kind) as client:
        write_policy(scene, MINE)
        result = await client.call("bad__hang")
        assert result["isError"] is True
        assert "bad__hang was not called. Rule mine/no-hang: it never ends." in said(result)
        assert scene.server().values("hanging") == []
        assert scene.calls() == [("bad__hang", "denied")]
        assert intents(scene)[0]["decision"] == "deny"
        assert intents(scene)[0]["rule"] == "mine/no-hang"


async def test_an_allowed_call_is_recorded_with_its_decision():
    async with open_scene({}, web={"bad": {}}) as scene, scene.line() as client:
        await client.initialize()
        write_policy(scene, MINE)
        await client.call("bad__echo", {"text": "kind"})
        assert scene.calls() == [("bad__echo", "ok")]
        assert intents(scene)[0]["decision"] == "allow"


async def test_arguments_decide_too():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        write_policy(scene, MINE)
        assert "it is rude" in said(await client.call("bad__echo", {"text": "rude"}))
        assert "isError" not in await client.call("bad__echo", {"text": "kind"})


async def test_a_limit_counts_calls_that_were_made():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        write_policy(scene, MINE)
        for _ in range(2):
            assert "isError" not in await client.call("bad__add", {"name": "x"})
        third = await client.call("bad__add", {"name": "x"})
        assert "more than 2 calls per minute" in said(third)


async def test_a_limit_goes_on_after_a_restart(empty_store_folder: Path):
    (empty_store_folder / "limits.jsonl").unlink(missing_ok=True)
    rule = "{name: few, action: allow, limits: [{most: 2, per: day}]}"
    refused: list[bool] = []
    for calls in (1, 2):
        async with open_scene({}, web={"bad": {}}, data=empty_store_folder) as scene:
            write_policy(scene, f"default: allow\nrules: [{rule}]\n")
            async with scene.stateless() as client:
                made = [await client.call("bad__echo", {}) for _ in range(calls)]
            refused += ["isError" in result for result in made]
    assert refused == [False, False, True]


@pytest.mark.parametrize(
    ("measure", "most", "calls"), [("cost", 0.5, 2), ("tokens", 250, 3), ("calls", 1, 1)]
)
async def test_a_budget_counts_what_the_hosts_own_agents_say_they_used(
    measure: str, most: float, calls: int
):
    limit = f"[{{most: {most}, of: {measure}, per: day}}]"
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        scene.host.own["own"] = Own("own", scene.host.gateway.on_notice)
        write_policy(
            scene,
            "default: allow\nrules:\n"
            f"  - {{name: dear, action: allow, match: {{server: [own, bad]}}, limits: {limit}}}\n",
        )
        made = 0
        while "isError" not in await client.call("own__spend"):
            made += 1
        assert made == calls
        assert "isError" in await client.call("own__spend")


async def test_a_servers_own_word_on_its_cost_counts_for_nothing():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        limit = "[{most: 1, of: cost, per: day}]"
        write_policy(
            scene, f"default: allow\nrules:\n  - {{name: dear, action: allow, limits: {limit}}}\n"
        )
        for _ in range(3):
            assert "isError" not in await client.call("bad__echo", {"cost": 5})


async def test_where_nobody_knows_a_tool_the_default_policy_does_not_just_run_it():
    scene_of_it = open_scene({}, web={"bad": {}}, policy="default", approvals={"wait": 0})
    async with scene_of_it as scene, scene.client("stateless", bare=True) as client:
        result = await client.call("bad__hang")
        assert result["isError"] is True
        assert scene.server().values("hanging") == []


async def test_a_trusted_servers_reading_tool_runs_under_the_default_policy():
    class Reader(Own):
        @override
        async def tools(self) -> list[Json]:
            hints = {"readOnlyHint": True, "openWorldHint": False}
            return [{"name": "who", "inputSchema": {"type": "object"}, "annotations": hints}]

    async with open_scene({}, policy="default") as scene, scene.stateless() as client:
        scene.host.own["own"] = Reader("own", scene.host.gateway.on_notice)
        assert said(await client.call("own__who")) == "local/http"


async def test_an_unreadable_policy_stops_every_call_and_names_the_line():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        write_policy(scene, "default: allow\nrules:\n  - {name: a, action: dney}\n")
        result = await client.call("bad__hang")
        assert "mine.yaml:3" in said(result)
        assert scene.server().values("hanging") == []
        tools = await client.request("tools/list", {})
        assert "bad__echo" in {tool["name"] for tool in tools["tools"]}
        write_policy(scene, "default: allow\n")
        assert "isError" not in await client.call("bad__echo", {"text": "x"})


async def test_an_edit_counts_at_once_and_is_recorded():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        await client.call("bad__echo", {"text": "x"})
        write_policy(scene, "default: deny\n")
        assert (await client.call("bad__echo", {"text": "x"}))["isError"] is True
        notes = [entry for entry in scene.entries() if entry.get("name") == "policy.changed"]
        assert len(notes) == 1
        assert any("mine.yaml" in file for file in notes[0]["detail"]["files"])


async def test_the_tool_inside_call_tool_is_decided_as_itself():
    clients = {"http": {"expose": "search"}}
    scene_of_it = open_scene({}, web={"bad": {}}, clients=clients)
    async with scene_of_it as scene, scene.stateless() as client:
        write_policy(scene, MINE)
        result = await client.call("call_tool", {"name": "bad__hang", "arguments": {}})
        assert "mine/no-hang" in said(result)
        assert scene.calls() == [("bad__hang", "denied")]


async def test_resources_and_prompts_are_decided_on_like_tools():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        write_policy(scene, "default: deny\n")
        with pytest.raises(RpcError, match="was not called"):
            await client.request("prompts/get", {"name": "bad__greet"})
        with pytest.raises(RpcError, match="was not called"):
            await client.request("resources/read", {"uri": "fake://watched"})
        assert [outcome for _, outcome in scene.calls()] == ["denied", "denied"]


class Own(LocalProvider):
    """A provider in the host's own process."""

    @override
    async def tools(self) -> list[Json]:
        names = ("who", "ask", "count", "boom", "indirect", "spend")
        return [{"name": name, "inputSchema": {"type": "object"}} for name in names]

    @override
    async def resources(self) -> list[Json]:
        return [{"uri": "own://one", "name": "one"}]

    @override
    async def read(self, exchange: Exchange, uri: str) -> Json:
        return {"contents": [{"uri": uri, "text": "own"}]}

    @override
    async def call(self, exchange: Exchange, name: str, arguments: Json) -> Json:
        if name == "ask":
            return text_result(
                "asked", await exchange.ask("elicitation/create", {"message": "who?"})
            )
        if name == "count":
            for step in range(3):
                exchange.progress({"progress": step})
            return text_result("3")
        if name == "indirect":
            return await self.caller(InnerExchange(exchange, "plugin", agent="helper"), arguments)
        if name == "spend":
            used: Json = {"input_tokens": 60, "output_tokens": 40, "cost": 0.25}
            return text_result("done", used)
        if name == "who":
            return text_result(exchange.session.principal.id)
        raise RpcError(INVALID_PARAMS, f"no {name}")

    caller: Any = None


@pytest.mark.parametrize("kind", CLIENTS)
async def test_a_tool_of_the_hosts_own_takes_the_same_path_in_both_eras(kind: str):
    async with open_scene({}) as scene:
        scene.host.own["own"] = Own("own", scene.host.gateway.on_notice)
        async with scene.client(kind) as client:
            listed = {tool["name"] for tool in (await client.request("tools/list"))["tools"]}
            assert {"own__who", "own__ask"} <= listed
            assert said(await client.call("own__who")) == "local/http" or kind == "line"
            asked = await client.call("own__ask")
            assert asked["structuredContent"]["action"] == "accept"
            await client.call("own__count", _meta={"progressToken": "p"})
            steps = [
                note["progress"] for note in await client.wait_note("notifications/progress", 3)
            ]
            assert steps == [0, 1, 2]
            read = await client.request("resources/read", {"uri": "own://one"})
            assert read["contents"][0]["text"] == "own"
            write_policy(scene, MINE)
            assert "it explodes" in said(await client.call("own__boom"))
        assert scene.calls()[-1] == ("own__boom", "denied")


async def test_a_call_made_for_a_request_is_decided_and_recorded_as_a_call_of_its_own():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        own = scene.host.own["own"] = Own("own", scene.host.gateway.on_notice)
        own.caller = scene.host.gateway.caller.call_tool
        write_policy(scene, MINE)
        inner = {"name": "bad__echo", "arguments": {"text": "kind"}}
        assert "isError" not in await client.call("own__indirect", inner)
        refused = await client.call("own__indirect", {"name": "bad__hang", "arguments": {}})
        assert "mine/no-hang" in said(refused)
        outer, echo = intents(scene)[:2]
        assert (echo["face"], echo["parent"]) == ("plugin", outer["call_id"])


async def test_a_change_of_the_hosts_own_list_is_announced():
    async with open_scene({}) as scene, scene.line() as client:
        own = scene.host.own["own"] = Own("own", scene.host.gateway.on_notice)
        await client.initialize()
        await client.request("tools/list")
        assert not client.noted("notifications/tools/list_changed")
        own.changed()
        await client.wait_note("notifications/tools/list_changed")
        assert len(client.noted("notifications/tools/list_changed")) == 1


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("era", ["handshake", "stateless"])
async def test_a_server_borrows_a_model_only_where_the_policy_lets_it(kind: str, era: str):
    async with open_scene({}, web={"bad": {"era": era}}) as scene, scene.client(kind) as client:
        sampled = await client.call("bad__sample")
        assert sampled["structuredContent"]["reply"]["content"]["text"] == "sampled"
        rule = "{name: mine-only, action: deny, because: it costs, match: {method: sampling}}"
        write_policy(scene, f"default: allow\nrules: [{rule}]\n")
        refusal = ""
        try:
            refusal = str(await client.call("bad__sample"))
        except RpcError as error:
            refusal = error.message
        assert "it costs" in refusal
        assert "sampled" not in refusal
        outcomes = [o for name, o in scene.calls() if name == "sampling/createMessage"]
        assert outcomes == ["ok", "denied"]


async def test_calls_that_no_server_could_serve_are_recorded():
    servers = {"dead": {"command": "no-such-command"}}
    async with open_scene(servers, web={"bad": {}}) as scene, scene.stateless() as client:
        for name in ("dead__x", "bad__nothing"):
            with pytest.raises(RpcError):
                await client.call(name)
        assert scene.calls() == [("dead__x", "error"), ("bad__nothing", "error")]


SETTLES = """
default: allow
rules:
  - {name: no-hang, action: deny, match: {name: bad__hang}}
"""
TAINTS = """
default: allow
rules:
  - {name: after, action: deny, because: it knows too much, match: {taint: {any: [private]}}}
"""


async def test_what_is_allowed_whatever_the_arguments_is_decided_anew_after_an_edit():
    async with open_scene({}, web={"bad": {}}) as scene, scene.client("handshake") as client:
        write_policy(scene, SETTLES)
        for text in ("one", "two"):
            assert said(await client.call("bad__echo", {"text": text})) == "echo"
        write_policy(scene, SETTLES.replace("bad__hang", "bad__echo"))
        refused = await client.call("bad__echo", {"text": "three"})
        assert refused["isError"] is True
        decided = [intent["decision"] for intent in intents(scene)]
        assert decided == ["allow", "allow", "deny"]


async def test_what_is_allowed_whatever_the_arguments_is_decided_anew_once_more_was_met():
    async with open_scene({}, web={"bad": {}}) as scene, scene.client("handshake") as client:
        write_policy(scene, TAINTS)
        assert said(await client.call("bad__echo", {"text": "one"})) == "echo"
        # The server is no known one, so that its output may be private: that was met by now.
        refused = await client.call("bad__echo", {"text": "two"})
        assert "it knows too much" in said(refused)
