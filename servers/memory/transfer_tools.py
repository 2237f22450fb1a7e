"""The tools that take memory out and bring it in, as JSON lines."""

from dataclasses import asdict
from typing import Annotated, Any

from fastmcp import FastMCP
from fastmcp.tools import ToolResult
from pydantic import Field

from host.memory.memory import Memory
from host.memory.transfer import Imported, export_part, import_lines
from servers.memory.find_tools import parse_cursor
from servers.memory.results import MemoryImported, MemoryLines
from servers.memory.service import Service
from servers.tool import answer, declare


def register_transfer_tools(server: FastMCP[Any], service: Service) -> None:
    """Add export and import to a server."""

    @server.tool(**declare("Export memory", MemoryLines, "private", "untrusted"))
    async def export_memory(
        limit: Annotated[int, Field(ge=1, le=1000, description="Most records in one part")] = 200,
        cursor: Annotated[str | None, Field(description="next_cursor of the part before")] = None,
    ) -> ToolResult:
        """The whole memory with its history, as JSON lines, in parts; links come last."""
        place = parse_cursor(cursor)
        part = await service.run(lambda m: export_part(m.access, after=place, most=limit))
        after = None if part.after is None else str(part.after)
        page = MemoryLines(lines="\n".join(part.lines), count=len(part.lines), next_cursor=after)
        more = f"\n[more: cursor={after}]" if after else ""
        return answer(page.lines + more, page)

    @server.tool(**declare("Import memory", MemoryImported, "private", changes="adds"))
    async def import_memory(
        lines: Annotated[str, Field(max_length=5_000_000, description="JSON lines of an export")],
    ) -> ToolResult:
        """Add what an export has, or the file of the reference memory server; nothing is replaced.

        Records that are there already are skipped, so that it may be repeated.
        """

        async def work(memory: Memory) -> Imported:
            return await import_lines(memory.access, lines.splitlines())

        done = await service.run(work)
        text = (
            f"{done.records} records, {done.links} links, {done.entities} entities and"
            f" {done.relations} relations added; {done.skipped} lines were there already."
        )
        return answer(text, MemoryImported(**asdict(done)))
