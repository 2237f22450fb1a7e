"""Agents as tasks: what a client that declares the extension gets in place of a slow answer."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from host.domain.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND, Json, RpcError
from host.domain.protocol import TASKS_EXTENSION
from host.gateway.local import _NoChannel
from host.gateway.upstream.connection import Connection
from host.orchestrator.own_tools import OrchestratorProvider
from tests.agents.test_face import write_agent
from tests.fakes.gateway_scene import Scene, open_scene
from tests.fakes.raw_client import ALL

pytestmark = pytest.mark.anyio

KNOWS: Json = {**ALL, "extensions": {TASKS_EXTENSION: {}}}
ENDED = ("completed", "failed", "cancelled")
TOUR = "turns: [{calls: [{tool: memory__remember, arguments: {text: tea}}]}, {reply: Kept.}]"
MEMORY: dict[str, Json] = {"memory": {"bundled": "memory"}}


async def until(client: Any, task_id: str, *wanted: str) -> Json:
    """Poll a task until it is in one of some states; the scene's patience is the limit."""
    while True:
        found: Json = await client.request("tasks/get", {"taskId": task_id})
        if found["status"] in wanted:
            return found
        await asyncio.sleep(0.02)


async def begin(client: Any, agent: str) -> Json:
    created: Json = await client.call(f"agent__{agent}", {"message": "Hello"})
    assert created["resultType"] == "task"
    return created


async def test_declaring_client_gets_a_task_whose_result_is_the_run(
    empty_store_folder: Path,
) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "quick", "turns: [{reply: hi}]")
        async with scene.stateless(**KNOWS, bare=True) as client:
            created = await begin(client, "quick")
            done = await until(client, created["taskId"], *ENDED)
    body = done["result"]["structuredContent"]
    assert (done["status"], body["text"], body["status"]) == ("completed", "hi", "succeeded")
    assert created["taskId"] == f"agent:{body['run']}"
    assert "result" not in created


async def test_client_that_declares_nothing_waits_and_has_no_tasks(
    empty_store_folder: Path,
) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "quick", "turns: [{reply: hi}]")
        async with scene.stateless() as client:
            result = await client.call("agent__quick", {"message": "Hello"})
            with pytest.raises(RpcError) as caught:
                await client.request("tasks/get", {"taskId": "agent:none"})
    assert result["structuredContent"]["text"] == "hi"
    assert caught.value.code == -32021
    assert caught.value.data == {"requiredCapabilities": {"extensions": {TASKS_EXTENSION: {}}}}


async def test_approval_is_a_question_of_the_task_and_its_answer_lets_the_run_go_on(
    empty_store_folder: Path,
) -> None:
    async with open_scene(
        MEMORY, policy="default", data=empty_store_folder, agents=True, auth="token"
    ) as scene:
        write_agent(scene, "keeper", TOUR, tools=["memory"])
        token = scene.host.tokens.create("ide", attended=True, replace=True)
        async with scene.stateless(**KNOWS, bare=True, token=token) as client:
            created = await begin(client, "keeper")
            task = {"taskId": created["taskId"]}
            waits = await until(client, created["taskId"], "input_required", *ENDED)
            [(key, question)] = waits["inputRequests"].items()
            assert question["method"] == "elicitation/create"
            assert "memory__remember" in question["params"]["message"]
            yes = question["params"]["requestedSchema"]["properties"]["answer"]["enum"][0]
            answer = {"action": "accept", "content": {"answer": yes}}
            await client.request("tasks/update", {**task, "inputResponses": {"other": answer}})
            assert (await client.request("tasks/get", task))["status"] == "input_required"
            await client.request("tasks/update", {**task, "inputResponses": {key: answer}})
            done = await until(client, created["taskId"], *ENDED)
    assert done["result"]["structuredContent"]["text"] == "Kept."
    assert ("memory__remember", "ok") in scene.calls()


async def test_cancelled_task_cancels_its_run(empty_store_folder: Path) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "slow", "turns: [{reply: late, delay: 100}]")
        async with scene.stateless(**KNOWS, bare=True) as client:
            created = await begin(client, "slow")
            [active] = scene.host.agents.runner.active.values()
            assert (await until(client, created["taskId"], "working"))["status"] == "working"
            acknowledged = await client.request("tasks/cancel", {"taskId": created["taskId"]})
            assert "taskId" not in acknowledged
            outcome = await active.wait()
            ended = await until(client, created["taskId"], *ENDED)
            again = await client.request("tasks/cancel", {"taskId": created["taskId"]})
    assert (outcome.status, ended["status"]) == ("cancelled", "cancelled")
    assert again["resultType"] == "complete"


async def test_task_of_somebody_else_does_not_exist(empty_store_folder: Path) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True, auth="token") as scene:
        write_agent(scene, "slow", "turns: [{reply: late, delay: 100}]")
        mine = scene.host.tokens.create("mine", replace=True)
        yours = scene.host.tokens.create("yours", replace=True)
        async with (
            scene.stateless(**KNOWS, bare=True, token=mine) as client,
            scene.stateless(**KNOWS, bare=True, token=yours) as stranger,
        ):
            created = await begin(client, "slow")
            for method in ("tasks/get", "tasks/update", "tasks/cancel"):
                with pytest.raises(RpcError) as caught:
                    await stranger.request(method, {"taskId": created["taskId"]})
                assert caught.value.code == INVALID_PARAMS
            assert (await until(client, created["taskId"], *ENDED, "working"))["status"] == (
                "working"
            )


async def test_task_that_ended_before_a_restart_is_still_told(empty_store_folder: Path) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "quick", "turns: [{reply: hi}]")
        async with scene.stateless(**KNOWS, bare=True) as client:
            created = await begin(client, "quick")
            before = await until(client, created["taskId"], *ENDED)
    async with (
        open_scene({}, data=empty_store_folder, agents=True) as scene,
        scene.stateless(**KNOWS, bare=True) as client,
    ):
        after = await client.request("tasks/get", {"taskId": created["taskId"]})
        async with client.listening({"taskIds": [created["taskId"]]}):
            told = await heard_of(client, "completed")
    assert after["result"] == told["result"] == before["result"]
    assert after["status"] == "completed"


@pytest.mark.parametrize("taken_up", [False, True])
async def test_task_that_waits_is_told_and_ended_after_a_restart(
    empty_store_folder: Path, *, taken_up: bool
) -> None:
    async with open_scene(MEMORY, policy="default", data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "keeper", TOUR, tools=["memory"])
        async with scene.stateless(**KNOWS, bare=True) as client:
            task: Json = {"taskId": (await begin(client, "keeper"))["taskId"]}
            run_id = str(task["taskId"]).removeprefix("agent:")
            principal = scene.host.agents.runner.active[run_id].exchange.session.principal
            async with aclosing(scene.host.agents.runs.follow(principal, run_id)) as events:
                async for event in events:
                    if event.kind == "approval":
                        break
    async with open_scene(MEMORY, policy="default", data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "keeper", TOUR, tools=["memory"])
        async with scene.stateless(**KNOWS, bare=True) as client:
            waits = await client.request("tasks/get", task)
            async with client.listening({"taskIds": [task["taskId"]]}):
                told = await heard_of(client, "working")
                if taken_up:
                    assert await scene.host.agents.take_up() == [run_id]
                await client.request("tasks/cancel", task)
                end = await heard_of(client, "cancelled")
            ended = await client.request("tasks/get", task)
    assert told["statusMessage"] == waits["statusMessage"]
    assert end["taskId"] == task["taskId"]
    assert waits["status"] == "working"
    assert "waits for the approval a-" in waits["statusMessage"]
    assert ended["status"] == "cancelled"


def forge_end(scene: Scene, task_id: str) -> None:
    """Have another server say that a task has ended."""
    server = Connection("evil", _NoChannel(), 0, scene.host.gateway.on_notice)
    said: Json = {"taskId": task_id, "status": "completed", "result": {"content": []}}
    scene.host.gateway.on_notice(server, "notifications/tasks", said)


async def test_listener_hears_of_its_own_tasks_and_of_no_others(empty_store_folder: Path) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True, auth="token") as scene:
        write_agent(scene, "slow", "turns: [{reply: late, delay: 100}]")
        mine = scene.host.tokens.create("mine", replace=True)
        yours = scene.host.tokens.create("yours", replace=True)
        async with (
            scene.stateless(**KNOWS, bare=True, token=mine) as client,
            scene.stateless(**KNOWS, bare=True, token=yours) as stranger,
        ):
            created = await begin(client, "slow")
            wish = {"taskIds": [created["taskId"], "agent:nobodys"]}
            async with client.listening(wish), stranger.listening(wish):
                forge_end(scene, created["taskId"])
                await client.request("tasks/cancel", {"taskId": created["taskId"]})
                [note] = await client.wait_note("notifications/tasks")
                [honoured] = client.noted("notifications/subscriptions/acknowledged")
                [nothing] = stranger.noted("notifications/subscriptions/acknowledged")
        assert stranger.noted("notifications/tasks") == []
    assert (note["taskId"], note["status"]) == (created["taskId"], "cancelled")
    assert honoured["notifications"] == {"taskIds": [created["taskId"]]}
    assert nothing["notifications"] == {}


async def heard_of(client: Any, status: str) -> Json:
    """Wait until a client was told that its task is in a state."""
    count = 1
    while True:
        notes: list[Json] = await client.wait_note("notifications/tasks", count)
        found = [note for note in notes if note["status"] == status]
        if found:
            return found[0]
        count = len(notes) + 1


async def test_listener_hears_of_its_tasks_at_other_servers_and_of_no_others(
    store_folder: Path, empty_store_folder: Path
) -> None:
    async with (
        open_scene({}, data=empty_store_folder, agents=True) as far,
        open_scene(
            {"far": {"url": far.url}}, data=store_folder, auth="token", agents=True
        ) as scene,
    ):
        write_agent(far, "slow", "turns: [{reply: late, delay: 100}]")
        mine = scene.host.tokens.create("mine", replace=True)
        yours = scene.host.tokens.create("yours", replace=True)
        async with (
            scene.stateless(**KNOWS, bare=True, token=mine) as client,
            scene.stateless(**KNOWS, bare=True, token=yours) as stranger,
        ):
            created = await client.call("far__agent__slow", {"message": "Hello"})
            task_id = created["taskId"]
            assert task_id.startswith("far:agent:")  # the host's own begin with agent:
            state = await client.request("tasks/get", {"taskId": task_id})
            assert (state["taskId"], state["status"]) == (task_id, "working")
            async with (
                client.listening({"taskIds": [task_id, "agent:nobodys"]}),
                stranger.listening({"taskIds": [task_id]}),
            ):
                await heard_of(client, "working")
                forge_end(scene, task_id)
                with pytest.raises(RpcError, match="There is no task"):
                    await stranger.request("tasks/cancel", {"taskId": task_id})
                await client.request("tasks/cancel", {"taskId": task_id})
                note = await heard_of(client, "cancelled")
                [honoured] = client.noted("notifications/subscriptions/acknowledged")
        assert stranger.noted("notifications/tasks") == []
        calls, told = scene.calls(), {one["status"] for one in client.noted("notifications/tasks")}
    assert honoured["notifications"] == {"taskIds": [task_id]}
    assert note["taskId"] == task_id
    assert "completed" not in told
    assert ("tasks/get", "ok") in calls


async def test_agent_that_an_agent_calls_is_no_task_to_it(empty_store_folder: Path) -> None:
    turns = "turns: [{calls: [{tool: agent__inner, arguments: {message: Hi}}]}, {reply: done}]"
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "inner", "turns: [{reply: from inside}]")
        write_agent(scene, "outer", turns, agents=["inner"])
        async with scene.stateless(**KNOWS, bare=True) as client:
            created = await begin(client, "outer")
            done = await until(client, created["taskId"], *ENDED)
            run = done["result"]["structuredContent"]["run"]
            told = await client.request("resources/read", {"uri": f"run://{run}"})
    assert "from inside" in told["contents"][0]["text"]


async def test_methods_that_the_extension_dropped_are_unknown(empty_store_folder: Path) -> None:
    async with (
        open_scene({}, data=empty_store_folder, agents=True) as scene,
        scene.stateless(**KNOWS, bare=True) as client,
    ):
        for method in ("tasks/list", "tasks/result"):
            with pytest.raises(RpcError) as caught:
                await client.request(method, {})
            assert caught.value.code == METHOD_NOT_FOUND


async def test_run_that_the_host_starts_for_any_agent_is_a_task_as_well(
    empty_store_folder: Path,
) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "quick", "turns: [{reply: hi}]")
        offer_orchestrator(scene)
        async with scene.stateless(**KNOWS, bare=True) as client:
            created = await client.call(
                "orchestrator__run_agent", {"message": "Hello", "agent": "quick"}
            )
            done = await until(client, created["taskId"], *ENDED)
    assert done["result"]["structuredContent"]["text"] == "hi"


def offer_orchestrator(scene: Scene) -> None:
    scene.host.own["orchestrator"] = OrchestratorProvider(scene.host)
