"""Agents as real MCP clients of either era meet them: tools, progress, approvals, resources."""

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client, types
from mcp.client.streamable_http import streamable_http_client

from host.approvals.approval import Answer
from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from host.orchestrator.own_tools import OrchestratorProvider
from tests.fakes.gateway_scene import PATIENCE, Scene, open_scene
from tests.fakes.raw_client import ALL

pytestmark = pytest.mark.anyio

BOSS = Principal("boss", "desk", role="admin", attended=True)


def write_agent(scene: Scene, name: str, script: str, **config: Any) -> None:
    folder = scene.host.paths.config
    (folder / "agents").mkdir(parents=True, exist_ok=True)
    (folder / "models" / "scripts").mkdir(parents=True, exist_ok=True)
    (folder / "models" / "scripts" / f"{name}.yaml").write_text(script)
    body = {"model": f"scripted:{name}", **config}
    (folder / "agents" / f"{name}.json").write_text(json.dumps(body))


def chosen(schema: Json) -> str:
    """Return the first answer that a question offers, which is yes."""
    return str(schema["properties"]["answer"]["enum"][0])


async def raw_tour(scene: Scene, kind: str, token: str) -> None:
    """Take the tour with a client that sees every message."""
    asked: list[str] = []

    async def person(method: str, params: Json) -> Json:
        asked.append(str(params.get("message")))
        return {"action": "accept", "content": {"answer": chosen(params["requestedSchema"])}}

    async with getattr(scene, kind)(person, bare=True, token=token, **ALL) as client:
        result = await client.call(
            "agent__demo", {"message": "The tour, please"}, _meta={"progressToken": "p"}
        )
        notes = client.noted("notifications/progress")
    assert len(asked) == 1
    assert "memory__remember" in asked[0]
    body = result["structuredContent"]
    assert (body["status"], body["steps"]) == ("succeeded", 3)
    assert "That was the tour" in body["text"]
    kinds = [note["_meta"]["mcp-agent-host/event"]["kind"] for note in notes if "_meta" in note]
    assert kinds.index("call") < kinds.index("result") < kinds.index("delta")
    counts = [note["progress"] for note in notes]
    assert counts == sorted(counts)


async def sdk_tour(scene: Scene, mode: Any, token: str) -> None:
    """Take the tour with the SDK's own client."""
    asked: list[str] = []
    heard: list[str] = []

    async def person(context: object, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert isinstance(params, types.ElicitRequestFormParams)
        asked.append(params.message)
        choices: Any = params.requested_schema
        return types.ElicitResult(action="accept", content={"answer": chosen(choices)})

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message or "")

    web = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE)
    async with (
        web,
        Client(
            streamable_http_client(scene.url, http_client=web),
            mode=mode,
            cache=None,
            elicitation_callback=person,
            read_timeout_seconds=PATIENCE,
        ) as client,
    ):
        result = await client.call_tool(
            "agent__demo", {"message": "The tour, please"}, progress_callback=hear
        )
    assert result.structured_content is not None
    assert result.structured_content["status"] == "succeeded", result
    assert "That was the tour" in result.structured_content["text"]
    assert len(asked) == 1
    assert "memory__remember" in asked[0]
    assert "calls files__list" in heard
    assert "That was the tour" in "".join(heard)


@pytest.mark.parametrize(("kind", "mode"), [("handshake", "legacy"), ("stateless", "auto")])
async def test_demo_uses_two_servers_asks_once_streams_and_returns_structured_output(
    empty_store_folder: Path, tmp_path: Path, kind: str, mode: str
) -> None:
    (tmp_path / "notes.txt").write_text("milk")
    servers: dict[str, Json] = {
        "files": {"bundled": "files", "settings": {"roots": [str(tmp_path)]}},
        "memory": {"bundled": "memory"},
    }
    async with open_scene(
        servers, policy="default", data=empty_store_folder, agents=True, auth="token"
    ) as scene:
        token = scene.host.tokens.create("ide", attended=True, replace=True)
        await raw_tour(scene, kind, token)
        assert "notes.txt" in str(scene.entries())
        names = [name for name, outcome in scene.calls() if outcome == "ok"]
        assert {"files__list", "memory__remember", "agent__demo"} <= set(names)
        await sdk_tour(scene, mode, token)


async def test_run_is_a_resource_with_all_its_events(empty_store_folder: Path) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "quick", "turns: [{reply: hi}]")
        async with scene.handshake() as client:
            result = await client.call("agent__quick", {"message": "Hello"})
            uri = f"run://{result['structuredContent']['run']}"
            read = await client.request("resources/read", {"uri": uri})
        body = json.loads(read["contents"][0]["text"])
        assert body["run"]["status"] == "succeeded"
        assert [event["kind"] for event in body["events"]][-1] == "finished"


async def test_run_goes_on_when_its_client_is_lost_and_ends_when_it_cancels(
    empty_store_folder: Path,
) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "slow", "turns: [{reply: late, delay: 100}]")
        runner = scene.host.agents.runner
        message, token = {"message": "Hello"}, {"progressToken": "p"}
        async with scene.line() as client:
            await client.initialize()
            lost = asyncio.ensure_future(client.call("agent__slow", message, _meta=token))
            await client.wait_note("notifications/progress")
        lost.cancel()
        [active] = runner.active.values()
        assert active.task is not None
        assert not active.task.done()
        async with scene.line() as client:
            await client.initialize()
            second = asyncio.ensure_future(client.call("agent__slow", message, _meta=token))
            await client.wait_note("notifications/progress")
            other = next(one for one in runner.active.values() if one is not active)
            await client.post(
                {
                    "jsonrpc": "2.0",
                    "method": "notifications/cancelled",
                    "params": {"requestId": max(client.waiting)},
                }
            )
            assert (await other.wait()).status == "cancelled"
            second.cancel()
        assert active.run.id in runner.active
        assert not active.task.done()


async def test_prompt_of_the_library_is_listed_and_filled_in(empty_store_folder: Path) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        async with scene.handshake() as client:
            listed = (await client.request("prompts/list"))["prompts"]
            assert "agent__summary" in [prompt["name"] for prompt in listed]
            got = await client.request(
                "prompts/get",
                {"name": "agent__summary", "arguments": {"audience": "a child", "text": "Cells."}},
            )
        assert "for a child" in got["messages"][0]["content"]["text"]


async def test_wrong_arguments_of_an_agent_are_refused_with_what_is_wrong(
    empty_store_folder: Path,
) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "quick", "turns: [{reply: hi}]")
        async with scene.handshake() as client:
            with pytest.raises(Exception, match="message"):
                await client.call("agent__quick", {"mesage": "Hello"})


async def test_prompts_arguments_are_completed(empty_store_folder: Path) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "quick", "turns: [{reply: hi}]")
        folder = scene.host.paths.config / "prompts"
        folder.mkdir()
        (folder / "ask.md").write_text(
            "{# tone: kind | Curt #}Ask {{ agent }} in a {{ tone }} way."
        )

        async def values(prompt: str, argument: str, value: str) -> list[str]:
            ref = {"type": "ref/prompt", "name": f"agent__{prompt}"}
            params = {"ref": ref, "argument": {"name": argument, "value": value}}
            return (await client.request("completion/complete", params))["completion"]["values"]

        async with scene.handshake() as client:
            assert await values("ask", "tone", "") == ["kind", "Curt"]
            assert await values("ask", "tone", "cu") == ["Curt"]
            assert await values("ask", "agent", "qu") == ["quick"]
            assert await values("ask", "other", "") == []
            assert "an expert" in await values("summary", "audience", "an")


@pytest.mark.parametrize("kind", ["handshake", "stateless"])
async def test_subscriber_of_a_run_hears_of_its_events_and_a_stranger_does_not(
    empty_store_folder: Path, kind: str
) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "slow", "turns: [{reply: late, delay: 100}]")
        scene.host.own["orchestrator"] = OrchestratorProvider(scene.host)
        async with scene.client("line") as stranger:
            await stranger.request("ping")
            [listener] = scene.host.gateway.notices
            listener.session.principal = Principal("stranger", "x")
            async with getattr(scene, kind)() as client:
                started = await client.call(
                    "orchestrator__start_run", {"agent": "slow", "message": "Hello"}
                )
                uri = started["structuredContent"]["uri"]
                await stranger.request("resources/subscribe", {"uri": uri})
                async with subscribed(client, uri):
                    run = {"run": started["structuredContent"]["run"]}
                    await client.call("orchestrator__cancel_run", run)
                    notes = await client.wait_note("notifications/resources/updated")
                    read = await client.request("resources/read", {"uri": uri})
        assert '"cancelled"' in read["contents"][0]["text"]
        assert notes[0]["uri"] == uri
        assert stranger.noted("notifications/resources/updated") == []


@contextlib.asynccontextmanager
async def subscribed(client: Any, uri: str) -> AsyncGenerator[None]:
    if client.stateless:
        async with client.listening({"resourceSubscriptions": [uri]}):
            yield
        return
    await client.request("resources/subscribe", {"uri": uri})
    yield


async def test_events_and_text_of_a_run_inside_a_run_reach_the_outermost_client(
    empty_store_folder: Path,
) -> None:
    def call(agent: str) -> str:
        calls = f"[{{tool: agent__{agent}, arguments: {{message: x}}}}]"
        return f"turns: [{{calls: {calls}}}, {{reply: up}}]"

    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "deep", "turns: [{reply: from the depth}]")
        write_agent(scene, "middle", call("deep"), agents=["deep"])
        write_agent(scene, "top", call("middle"), agents=["middle"])
        async with scene.handshake() as client:
            result = await client.call(
                "agent__top", {"message": "Hello"}, _meta={"progressToken": "p"}
            )
            notes = client.noted("notifications/progress")
    events = [note["_meta"]["mcp-agent-host/event"] for note in notes]
    top = result["structuredContent"]["run"]
    deltas = [one for one in events if one["kind"] == "delta"]
    assert "".join(one["data"]["text"] for one in deltas if one.get("inside")).startswith(
        "from the depth"
    )
    assert {one["run"] == top for one in deltas} == {True, False}
    assert all((one["run"] == top) == ("inside" not in one) for one in events)
    counts = [note["progress"] for note in notes]
    assert counts == sorted(counts)


@pytest.mark.parametrize("kind", ["handshake", "stateless"])
async def test_client_where_nobody_can_say_yes_is_told_what_its_run_waits_for(
    empty_store_folder: Path, kind: str
) -> None:
    tour = "turns: [{calls: [{tool: memory__remember, arguments: {text: tea}}]}, {reply: Kept.}]"
    servers: dict[str, Json] = {"memory": {"bundled": "memory"}}
    async with open_scene(
        servers,
        policy="default",
        data=empty_store_folder,
        agents=True,
        auth="token",
        approvals={"wait": 0.1},
    ) as scene:
        write_agent(scene, "keeper", tour, tools=["memory"])
        token = scene.host.tokens.create("job", attended=False, replace=True)
        async with getattr(scene, kind)(bare=True, token=token) as client:
            result = await client.call("agent__keeper", {"message": "Keep it"})
        [active] = scene.host.agents.runner.active.values()
        [approval] = [one for one in await scene.host.inbox.approvals() if one.state == "pending"]
        answer = Answer(approve=True, by=BOSS, channel="cli", digest=approval.digest)
        await scene.host.inbox.answer(approval.id, answer)
        outcome = await active.wait()
    assert result["isError"] is True
    assert result["structuredContent"]["status"] == "parked"
    assert result["structuredContent"]["run"] == active.run.id
    assert f"host approvals approve {approval.id}" in result["content"][0]["text"]
    assert (outcome.status, outcome.text) == ("succeeded", "Kept.")
