"""The host's own tools as a client with a token meets them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from host.domain.errors import StoreError
from host.domain.jsonrpc import Json, RpcError
from host.events.run_log import RunLog
from host.orchestrator.own_tools import OrchestratorProvider
from tests.agents.test_face import write_agent
from tests.fakes.gateway_scene import Scene, open_scene
from tests.fakes.raw_client import ALL

pytestmark = pytest.mark.anyio

HELLO = "turns: [{reply: hi}]\nloop: true"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def open_client(
    store: Path, servers: dict[str, Json] | None = None, *, policy: str = "permissive"
) -> AsyncGenerator[tuple[Scene, Any]]:
    """Yield a host and a client of it at which nobody sits."""
    async with open_scene(
        servers or {}, policy=policy, data=store, agents=True, auth="token"
    ) as scene:
        scene.host.own["orchestrator"] = OrchestratorProvider(scene.host)
        token = scene.host.tokens.create("ide", replace=True)
        async with scene.handshake(token=token, bare=True, **ALL) as client:
            yield scene, client


async def failure(client: Any, tool: str, arguments: Json) -> str:
    """Return why a call failed, whichever way that is said."""
    try:
        result = await client.call(tool, arguments)
    except RpcError as error:
        return str(error)
    assert result["isError"] is True
    return str(result["content"][0]["text"])


async def test_models_are_listed_in_words(empty_store_folder: Path) -> None:
    async with open_client(empty_store_folder) as (_, client):
        listed = await client.call("orchestrator__list_models", {})
    text = listed["content"][0]["text"]
    assert "anthropic:claude-haiku-4-5: key absent" in text
    assert "ModelCard" not in text
    assert {"name", "key", "input"} <= listed["structuredContent"]["cards"][0].keys()


@pytest.mark.parametrize(
    ("tool", "more"), [("agent__plain", {}), ("orchestrator__run_agent", {"agent": "plain"})]
)
async def test_script_of_any_path_is_refused_to_clients(
    empty_store_folder: Path, tmp_path: Path, tool: str, more: Json
) -> None:
    there = tmp_path / "secret.yaml"
    there.write_text("password: hunter2\n")
    async with open_client(empty_store_folder) as (scene, client):
        write_agent(scene, "plain", HELLO)
        said = [
            await failure(client, tool, {"message": "x", "model": f"scripted:{path}", **more})
            for path in (there, tmp_path / "absent.yaml")
        ]
    assert said[0] == said[1]
    assert "by its path" in said[0]


@pytest.mark.parametrize(
    ("tool", "more"), [("agent__plain", {}), ("orchestrator__run_agent", {"agent": "plain"})]
)
async def test_client_may_choose_only_a_model_that_the_agents_file_allows(
    empty_store_folder: Path, tool: str, more: Json
) -> None:
    async with open_client(empty_store_folder) as (scene, client):
        write_agent(scene, "other", "{turns: [{reply: The other one}]}")
        write_agent(scene, "plain", HELLO, models=["scripted:oth*"])
        asked = {"message": "x", **more}
        allowed = await client.call(tool, {**asked, "model": "scripted:other"})
        own = await client.call(tool, {**asked, "model": "scripted:plain"})
        refused = await failure(client, tool, {**asked, "model": "scripted:demo"})
    assert allowed["structuredContent"]["text"] == "The other one"
    assert own["structuredContent"]["status"] == "succeeded"
    assert "may not choose the model 'scripted:demo'" in refused
    assert "It allows scripted:oth*" in refused


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("orchestrator__list_runs", {"thread": "a\x00"}),
        ("orchestrator__follow_run", {"run": "\x00"}),
        ("orchestrator__search_memory", {"query": "tea\x00"}),
        ("orchestrator__save_thread", {"name": "\ud83d", "thread": "x"}),
        ("orchestrator__start_run", {"message": "x", "agent": "plain", "thread": "\x00"}),
        ("agent__plain", {"message": "x", "thread": "\udfff"}),
    ],
)
async def test_name_that_no_store_takes_is_refused_in_words(
    empty_store_folder: Path, tool: str, arguments: Json
) -> None:
    async with open_client(empty_store_folder) as (scene, client):
        write_agent(scene, "plain", HELLO)
        said = await failure(client, tool, arguments)
    assert "it has a NUL, or half of a surrogate pair" in said


async def test_run_that_could_not_be_stored_yet_is_told_and_not_begun_twice(
    empty_store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_log: RunLog) -> None:
        raise StoreError("PostgreSQL cannot be reached.")

    async with open_client(empty_store_folder) as (scene, client):
        write_agent(scene, "plain", HELLO)
        with monkeypatch.context() as patched:
            patched.setattr(RunLog, "settle", away)
            asked = {"agent": "plain", "message": "x"}
            begun = await client.call("orchestrator__start_run", asked)
        run = begun["structuredContent"]["run"]
        status = ""
        while status != "succeeded":
            told = await client.call("orchestrator__follow_run", {"run": run})
            status = told["structuredContent"]["run"]["status"]
    assert "It is not stored yet: PostgreSQL cannot be reached." in begun["content"][0]["text"]


async def test_conversation_that_does_not_exist_gets_no_name(empty_store_folder: Path) -> None:
    async with open_client(empty_store_folder) as (_, client):
        ghost = {"name": "mine", "thread": "ghost"}
        assert "ghost" in await failure(client, "orchestrator__save_thread", ghost)
        assert "ghost" in await failure(client, "orchestrator__list_runs", {"thread": "ghost"})


async def test_named_conversation_is_listed_by_its_name(empty_store_folder: Path) -> None:
    async with open_client(empty_store_folder) as (scene, client):
        write_agent(scene, "plain", HELLO)
        done = await client.call("agent__plain", {"message": "x"})
        await client.call("agent__plain", {"message": "something else"})
        run = done["structuredContent"]["run"]
        await client.call("orchestrator__save_thread", {"name": "mine", "thread": run})
        listed = await client.call("orchestrator__list_runs", {"thread": "mine"})
        threads = await client.call("orchestrator__list_threads", {})
    assert [one["id"] for one in listed["structuredContent"]["runs"]] == [run]
    assert f"{run}  plain: x  (called mine)" in threads["content"][0]["text"].splitlines()


async def test_tools_of_an_agent_are_those_that_it_can_call(
    empty_store_folder: Path, tmp_path: Path
) -> None:
    files = {"bundled": "files", "settings": {"roots": [str(tmp_path)]}}
    async with open_client(empty_store_folder, {"files": files}) as (scene, client):
        write_agent(scene, "one", HELLO, tools=["files__list"])
        write_agent(scene, "none", HELLO)
        write_agent(scene, "all", HELLO, tools=["*"])
        write_agent(scene, "boss", HELLO, agents=["none"])
        write_agent(scene, "owner", HELLO, servers={"mine": files})
        found: dict[str, list[str]] = {}
        for agent in ("one", "none", "all", "boss", "owner"):  # `*` waits for no server
            listed = await client.call("orchestrator__list_tools", {"agent": agent})
            found[agent] = [one["name"] for one in listed["structuredContent"]["tools"]]
    assert found["one"] == ["files__list"]
    assert (found["none"], found["boss"]) == ([], ["agent__none"])
    assert "files__list" in found["all"]
    assert not [name for name in found["all"] if name.startswith(("agent__", "orchestrator__"))]
    assert "mine__list" in found["owner"]
    assert {name.partition("__")[0] for name in found["owner"]} == {"mine"}


async def test_progress_names_the_approval_that_is_waited_for(empty_store_folder: Path) -> None:
    script = "turns: [{calls: [{tool: memory__remember, arguments: {text: tea}}]}, {reply: done}]"
    servers: dict[str, Json] = {"memory": {"bundled": "memory"}}
    async with open_client(empty_store_folder, servers, policy="default") as (scene, client):
        write_agent(scene, "keeper", script, tools=["memory"])
        call = asyncio.ensure_future(
            client.call("agent__keeper", {"message": "x"}, _meta={"progressToken": "p"})
        )
        said: list[str] = []
        while not any("host approvals approve a-" in text for text in said):
            await asyncio.sleep(0.02)
            assert not call.done()
            said = [str(one.get("message")) for one in client.noted("notifications/progress")]
        call.cancel()
        await asyncio.wait([call])


async def test_cost_of_a_conversation_counts_the_runs_inside(empty_store_folder: Path) -> None:
    usage = "usage: {input: 10, output: 5}"
    outer = (
        f"turns: [{{calls: [{{tool: agent__inner, arguments: {{message: go}}}}], {usage}}}, "
        f"{{reply: done, {usage}}}]"
    )
    async with open_client(empty_store_folder) as (scene, client):
        write_agent(scene, "inner", f"turns: [{{reply: hi, {usage}}}]")
        write_agent(scene, "outer", outer, agents=["inner"])
        done = await client.call("agent__outer", {"message": "x"})
        name = {"name": done["structuredContent"]["thread"]}
        found = await client.call("orchestrator__find_thread", name)
    assert done["structuredContent"]["status"] == "succeeded"
    assert found["structuredContent"]["tokens"] == 45
