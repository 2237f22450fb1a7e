"""The tools for core memory: the few blocks that are always known."""

from typing import Annotated, Any

from fastmcp import FastMCP
from fastmcp.tools import ToolResult
from pydantic import Field

from host.memory.core import Edit
from host.memory.memory import Memory
from servers.memory.results import CoreBlocks, item_of
from servers.memory.service import Service
from servers.tool import answer, declare

AgentBlock = Annotated[
    str, Field(description="Whose block; empty: the user's, for all agents", max_length=200)
]


def register_core_tools(server: FastMCP[Any], service: Service) -> None:
    """Add the tools for core memory to a server."""

    @server.tool(**declare("Read core memory", CoreBlocks, "private", "untrusted"))
    async def core_read(agent: AgentBlock = "") -> ToolResult:
        """The core blocks: the user's, and an agent's own."""
        return await service.run(lambda m: _blocks(m, agent))

    @server.tool(
        **declare("Write core memory", CoreBlocks, "private", changes="adds", idempotent=False)
    )
    async def core_write(
        label: Annotated[str, Field(min_length=1, max_length=100, description="The block's name")],
        text: Annotated[str, Field(description="What it is to say; empty removes it")],
        old: Annotated[
            str | None, Field(description="Replace only this piece, which occurs once")
        ] = None,
        append: Annotated[bool, Field(description="Add the text on a line of its own")] = False,
        agent: AgentBlock = "",
    ) -> ToolResult:
        """Write a core block, edit a piece of it, or extend it; former texts stay in history."""

        async def work(memory: Memory) -> ToolResult:
            await memory.core.write(label, Edit(text, old, append), agent=agent)
            return await _blocks(memory, agent)

        return await service.run(work)


async def _blocks(memory: Memory, agent: str) -> ToolResult:
    blocks = [item_of(record) for record in await memory.core.read(agent)]
    length = sum(len(block.text) for block in blocks)
    most = memory.access.config.core_chars
    lines = [f"<{block.label}>\n{block.text}\n</{block.label}>" for block in blocks]
    lines.append(f"{length} of {most} characters.")
    page = CoreBlocks(blocks=blocks, characters=length, most_characters=most)
    return answer("\n".join(lines), page)
