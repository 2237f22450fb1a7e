"""What holds for every bundled server: honest declarations and pages made from them."""

import tempfile
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from mcp_types import CallToolRequestParams
from typing_extensions import override

from servers.bundled import BundledServer
from servers.docs import FOLDER, render_page
from servers.launch import create_server, load_settings_model

NAMES = ("files", "search", "memory", "weather", "database")
EXAMPLES: dict[str, dict[str, Any]] = {
    "files": {"roots": [tempfile.gettempdir()]},
    "search": {"documents": [tempfile.gettempdir()]},
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize("name", NAMES)
async def test_every_tool_says_what_it_does_and_answers_by_a_schema(name: str):
    settings = load_settings_model(name).model_validate(EXAMPLES.get(name, {}))
    async with Client(create_server(name, settings)) as client:
        tools = await client.list_tools()

    assert tools
    for tool in tools:
        hints, labels = tool.annotations, set((tool.meta or {})["host/labels"])
        assert hints is not None
        assert hints.title
        assert tool.description
        assert (tool.output_schema or {}).get("type") == "object", tool.name
        assert ("changes" in labels) is (hints.read_only_hint is False), tool.name
        assert ("destructive" in labels) is (hints.destructive_hint is True), tool.name
        assert ("egress" in labels) is (hints.open_world_hint is True), tool.name
        for argument, about in tool.input_schema.get("properties", {}).items():
            assert about, (tool.name, argument)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_a_server_is_the_one_it_generates(name: str):
    page = (FOLDER / f"{name}.md").read_text("utf-8")
    assert render_page(name, page) == page, f"run: python -m servers.docs {name}"


@pytest.mark.anyio
async def test_a_call_that_fails_is_an_answer_and_middleware_still_sees_every_call():
    seen: list[str] = []

    class Note(Middleware):
        @override
        async def on_call_tool(
            self,
            context: MiddlewareContext[CallToolRequestParams],
            call_next: CallNext[CallToolRequestParams, ToolResult],
        ) -> ToolResult:
            seen.append(context.message.name)
            return await call_next(context)

    def fail(number: int) -> str:
        raise RuntimeError(f"no {number}")

    plain, watched = BundledServer("plain"), BundledServer("watched", middleware=[Note()])
    for server in (plain, watched):
        server.tool(fail)
        async with Client(server) as client:
            for name, arguments, said in (
                ("fail", {"number": 3}, "no 3"),
                ("fail", {"number": "x"}, "The arguments of 'fail' do not fit: number: Input"),
                ("absent", {}, "Unknown tool: 'absent'"),
            ):
                with pytest.raises(ToolError, match=said):
                    await client.call_tool(name, arguments)
    assert seen == ["fail", "fail", "absent"]
