"""The model `client`: the connected client's own, asked by sampling, with the real SDK's client."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError, types

from host.gateway import rounds
from host.orchestrator.own_tools import OrchestratorProvider
from tests.agents.test_face import write_agent
from tests.fakes.gateway_scene import PATIENCE, Scene, open_scene, stdio

pytestmark = pytest.mark.anyio

LOOK = types.ToolUseContent(type="tool_use", id="t1", name="bad__echo", input={"text": "marmot"})


class Sampler:
    """A person's chat program with a model of its own: it calls a tool, then answers."""

    def __init__(self, *, tools: bool = False) -> None:
        self.asked: list[types.CreateMessageRequestParams] = []
        self._tools = tools

    async def __call__(self, context: object, params: types.CreateMessageRequestParams) -> Any:
        self.asked.append(params)
        if self._tools and len(self.asked) == 1:
            return types.CreateMessageResultWithTools(
                role="assistant", content=[LOOK], model="theirs", stop_reason="toolUse"
            )
        text = types.TextContent(type="text", text="The client's model says hello.")
        return types.CreateMessageResult(
            role="assistant", content=text, model="theirs", stop_reason="endTurn"
        )


def connect(scene: Scene, mode: str, sampler: Any) -> Client:
    capability = types.SamplingCapability(tools=types.SamplingToolsCapability())
    return Client(
        scene.url,
        mode=mode,
        cache=None,
        sampling_callback=sampler,
        sampling_capabilities=capability if sampler else None,
        read_timeout_seconds=PATIENCE,
    )


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_agent_thinks_with_the_model_of_the_client_that_calls_it(
    empty_store_folder: Path, mode: str
) -> None:
    sampler = Sampler()
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "guest", "{turns: [{reply: x}]}", model="client", instructions="Be kind")
        async with connect(scene, mode, sampler) as client:
            assert (client.session.initialize_result is None) is (mode == "auto")
            result = await client.call_tool("agent__guest", {"message": "Say hello"})
    assert result.structured_content is not None, result
    assert result.structured_content["status"] == "succeeded", result
    assert result.structured_content["text"] == "The client's model says hello."
    [params] = sampler.asked
    assert params.system_prompt == "Be kind"
    assert "Say hello" in str(params.messages)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_model_of_the_client_calls_tools_of_the_host(
    empty_store_folder: Path, mode: str
) -> None:
    sampler = Sampler(tools=True)
    async with open_scene({"bad": stdio()}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "guest", "{turns: [{reply: x}]}", model="client", tools=[LOOK.name])
        async with connect(scene, mode, sampler) as client:
            result = await client.call_tool("agent__guest", {"message": "Who is there?"})
    assert result.structured_content is not None, result
    assert (result.structured_content["status"], result.structured_content["steps"]) == (
        "succeeded",
        2,
    )
    assert [tool.name for tool in sampler.asked[0].tools or []] == [LOOK.name]
    assert "marmot" in str(sampler.asked[1].messages)


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_client_without_sampling_is_told_so(empty_store_folder: Path, mode: str) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "guest", "{turns: [{reply: x}]}", model="client")
        async with connect(scene, mode, None) as client:
            try:
                result = await client.call_tool("agent__guest", {"message": "Say hello"})
                told = str(result.content) if result.is_error else ""
            except MCPError as error:  # the protocol's own answer, where there is no handshake
                told = error.message
    assert "sampling" in told


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_route_goes_on_from_a_client_without_sampling_to_its_next_model(
    empty_store_folder: Path, mode: str
) -> None:
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        routes = {"routes": {"either": {"models": ["client", "scripted:demo"]}}}
        (scene.host.paths.config / "models.yaml").write_text(json.dumps(routes))
        write_agent(scene, "guest", "{turns: [{reply: x}]}", model="either")
        async with connect(scene, mode, None) as client:
            result = await client.call_tool("agent__guest", {"message": "Say hello"})
    assert result.structured_content is not None, result
    assert result.structured_content["status"] == "succeeded", result


async def told(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(f"orchestrator__{tool}", arguments)
    assert result.structured_content is not None, result
    return result.structured_content


async def test_run_whose_client_never_answers_ends(
    empty_store_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def declines(_: object, __: types.CreateMessageRequestParams) -> types.ErrorData:
        return types.ErrorData(code=-1, message="User said no.")  # the SDK then does not call again

    monkeypatch.setattr(rounds, "PARKED_LIFE", 0.5)
    async with open_scene({}, data=empty_store_folder, agents=True) as scene:
        write_agent(scene, "guest", "{turns: [{reply: x}]}", model="client")
        scene.host.own["orchestrator"] = OrchestratorProvider(scene.host)
        async with connect(scene, "auto", declines) as client:
            with pytest.raises(MCPError, match="User said no"):
                await client.call_tool("agent__guest", {"message": "Say hello"})
            async with asyncio.timeout(PATIENCE):
                after, runs, run = 0, [], {"run": {"status": "running"}}
                while not runs:
                    runs = (await told(client, "list_runs"))["runs"]
                while run["run"]["status"] == "running":
                    run = await told(client, "follow_run", run=runs[0]["id"], after=after)
                    after += len(run["events"])
    assert run["run"]["status"] == "failed", run
    assert "did not answer in time" in run["run"]["error"]
