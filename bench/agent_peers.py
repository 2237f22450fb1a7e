"""The ways to run an agent that are compared: each yields a function that runs one."""

import asyncio
import contextlib
import json
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.agents import STEPS

One = Callable[[], Awaitable[None]]

SAID = "That is all that there is to say about it."


def turns(delay: float) -> list[dict[str, Any]]:
    """Return the script of a run: calls of a tool, and an answer."""
    calls = [
        {"calls": [{"tool": "notes__read", "arguments": {"title": f"{number}"}}], "delay": delay}
        for number in range(STEPS - 1)
    ]
    return [*calls, {"reply": SAID, "delay": delay}]


@contextlib.asynccontextmanager
async def host(delay: float) -> AsyncGenerator[One]:
    """The host: gateway, policy, audit, events in PostgreSQL."""
    from host.agents.order import Order
    from host.app import Host
    from host.config.load import load_settings
    from host.config.paths import Paths
    from host.domain.principal import Principal
    from host.gateway.exchange import QuietExchange, QuietSession
    from host.gateway.local import LocalProvider, text_result

    class Notes(LocalProvider):
        """One tool that reads."""

        async def tools(self) -> list[Any]:
            schema = {"type": "object", "properties": {"title": {"type": "string"}}}
            hints = {"readOnlyHint": True, "openWorldHint": False}
            return [{"name": "read", "inputSchema": schema, "annotations": hints}]

        async def call(self, exchange: Any, name: str, arguments: Any) -> Any:
            return text_result("a note")

    with tempfile.TemporaryDirectory(prefix="mcph-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        paths = Paths(folder / "config", folder / "data", folder / "run")
        scripts, agents = paths.config / "models" / "scripts", paths.config / "agents"
        for one in (scripts, agents):
            one.mkdir(parents=True)
        (scripts / "reader.yaml").write_text(json.dumps({"turns": turns(delay)}))
        (agents / "reader.yaml").write_text(
            json.dumps({"model": "scripted:reader", "tools": ["notes"]})
        )
        file = folder / "host.yaml"
        file.write_text(json.dumps({"servers": {}}))
        loaded = load_settings(file, paths=paths, environ={})
        async with Host.open(loaded, paths) as found:
            found.own["notes"] = Notes("notes", found.gateway.on_notice)
            principal = Principal("local", "bench")

            async def run_one() -> None:
                exchange = QuietExchange(QuietSession(principal, "cli"), None)
                order = Order(agent="reader", content="Read them")
                outcome = await (await found.agents.runner.start(exchange, order)).wait()
                assert outcome.status == "succeeded", outcome
                assert outcome.run.steps == STEPS

            yield run_one


@contextlib.asynccontextmanager
async def pydantic_ai(delay: float) -> AsyncGenerator[One]:
    """Bare pydantic-ai: `Agent.run` with a function for a model and one for a tool."""
    from pydantic_ai import Agent
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart
    from pydantic_ai.models.function import FunctionModel

    async def answer(messages: Any, info: Any) -> ModelResponse:
        await asyncio.sleep(delay)
        said = sum(1 for message in messages if message.kind == "response")
        if said < STEPS - 1:
            return ModelResponse(parts=[ToolCallPart("read", {"title": str(said)})])
        return ModelResponse(parts=[TextPart(SAID)])

    agent = Agent(FunctionModel(answer))

    @agent.tool_plain
    async def read(title: str) -> str:
        """Read a note."""
        return "a note"

    async def run_one() -> None:
        result = await agent.run("Read them")
        assert result.output.startswith("That is all")

    yield run_one


@contextlib.asynccontextmanager
async def langgraph(delay: float) -> AsyncGenerator[One]:
    """LangGraph's own agent, without a checkpointer."""
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import ChatGeneration, ChatResult
    from langchain_core.tools import tool
    from langgraph.prebuilt import create_react_agent

    class Scripted(BaseChatModel):
        """Answers by how much was said."""

        @property
        def _llm_type(self) -> str:
            return "scripted"

        def bind_tools(self, tools: Any, **options: Any) -> Any:
            return self

        def _generate(self, messages: Any, stop: Any = None, run: Any = None, **more: Any) -> Any:
            raise NotImplementedError

        async def _agenerate(
            self, messages: Any, stop: Any = None, run_manager: Any = None, **more: Any
        ) -> Any:
            await asyncio.sleep(delay)
            said = sum(1 for message in messages if isinstance(message, AIMessage))
            if said < STEPS - 1:
                call = {"name": "read", "args": {"title": str(said)}, "id": str(said)}
                message = AIMessage(content="", tool_calls=[call])
            else:
                message = AIMessage(content=SAID)
            return ChatResult(generations=[ChatGeneration(message=message)])

    @tool
    async def read(title: str) -> str:
        """Read a note."""
        return "a note"

    agent = create_react_agent(Scripted(), [read])

    async def run_one() -> None:
        result = await agent.ainvoke({"messages": [("user", "Read them")]})
        assert result["messages"][-1].content.startswith("That is all")

    yield run_one
