"""Calls tools of an in-memory or stdio MCP server and reads what they answer."""

from typing import Any

from fastmcp import Client
from mcp_types import TextContent

Caller = Client[Any]


async def ask(client: Caller, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return the structured output; a tool error is raised as ToolError."""
    result = await client.call_tool(tool, arguments)
    assert result.structured_content is not None
    return result.structured_content


async def ask_text(client: Caller, tool: str, **arguments: Any) -> str:
    """Return the readable text."""
    block = (await client.call_tool(tool, arguments)).content[0]
    assert isinstance(block, TextContent)
    return block.text


async def labels_of(client: Caller) -> dict[str, list[str]]:
    """Return the labels of every tool by its name."""
    return {t.name: (t.meta or {})["host/labels"] for t in await client.list_tools()}
