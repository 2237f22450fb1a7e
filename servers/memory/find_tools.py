"""The tools that find: recall, search, list, history, stats."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastmcp import FastMCP
from fastmcp.tools import ToolResult
from pydantic import Field

from host.memory.memory import Memory
from host.memory.record import Filter, Hit, Kind, Record, Scope, Tier
from servers.memory.results import (
    MemoriesFound,
    MemoryContext,
    MemoryItem,
    MemoryPage,
    MemoryStats,
    item_of,
    render,
)
from servers.memory.service import Service
from servers.memory.write_tools import Id
from servers.tool import RefusalError, answer, declare

Query = Annotated[str, Field(min_length=1, max_length=4000, description="Words or a question")]
AgentArgument = Annotated[str, Field(description="Also this agent's own memories", max_length=200)]
SessionArgument = Annotated[str, Field(description="Also this session's memories", max_length=200)]
Everything = Annotated[bool, Field(description="Memories of all agents and sessions")]
Kinds = Annotated[list[Kind], Field(description="Only these kinds")]
Tiers = Annotated[list[Tier], Field(description="Only these tiers")]
Scopes = Annotated[list[Scope], Field(description="Only these scopes")]
TagFilter = Annotated[list[str], Field(description="Only with all of these tags")]
Since = Annotated[datetime | None, Field(description="Written at or after")]
Until = Annotated[datetime | None, Field(description="Written before")]
At = Annotated[datetime | None, Field(description="What was true then, instead of now")]
Superseded = Annotated[bool, Field(description="Also versions that were replaced")]


def register_find_tools(server: FastMCP[Any], service: Service) -> None:
    """Add the finding tools to a server."""
    _add_recall(server, service)
    _add_search(server, service)
    _add_list(server, service)
    _add_history(server, service)
    _add_stats(server, service)


def _add_recall(server: FastMCP[Any], service: Service) -> None:
    @server.tool(**declare("Recall", MemoryContext, "private", "untrusted"))
    async def recall(
        query: Query,
        agent: AgentArgument = "",
        session: SessionArgument = "",
        max_chars: Annotated[
            int, Field(ge=200, le=100_000, description="Longest answer, in characters")
        ] = 6000,
    ) -> ToolResult:
        """What is known about something, ready for a prompt: core memory and what fits best.

        Hits are chosen to be unlike each other; `search` gives more, with filters and scores.
        """

        async def work(memory: Memory) -> tuple[list[Record], list[Hit], list[str]]:
            wanted = Filter(agent=agent, session=session, tiers=("recall", "archival"))
            diversity = memory.access.config.ranking.diversity
            found = await memory.search(query, wanted, most=20, diversity=diversity)
            return await memory.core.read(agent), found.hits, found.notes

        core, hits, notes = await service.run(work)
        return _context([item_of(r) for r in core], hits, notes, max_chars)


def _context(
    core: list[MemoryItem], hits: list[Hit], notes: list[str], max_chars: int
) -> ToolResult:
    lines = [f"<{block.label}>\n{block.text}\n</{block.label}>" for block in core]
    room = max_chars - sum(len(line) + 1 for line in lines)
    chosen: list[MemoryItem] = []
    for hit in hits:
        item = item_of(hit.record, hit)
        line = render(item)
        if len(line) + 1 <= room:
            room -= len(line) + 1
            chosen.append(item)
            lines.append(line)
    page = MemoryContext(core=core, memories=chosen, left_out=len(hits) - len(chosen), notes=notes)
    return answer("\n".join(lines) or "Nothing is known about that.", page)


def _add_search(server: FastMCP[Any], service: Service) -> None:
    @server.tool(**declare("Search memory", MemoriesFound, "private", "untrusted"))
    async def search(  # noqa: PLR0913 - a tool's arguments are its interface
        query: Query,
        limit: Annotated[int, Field(ge=1, le=100, description="Most memories")] = 10,
        *,
        kinds: Kinds = [],  # noqa: B006 - never changed
        tiers: Tiers = [],  # noqa: B006 - never changed
        scopes: Scopes = [],  # noqa: B006 - never changed
        tags: TagFilter = [],  # noqa: B006 - never changed
        agent: AgentArgument = "",
        session: SessionArgument = "",
        everything: Everything = False,
        source: Annotated[str, Field(description="Only from this source")] = "",
        min_importance: Annotated[float, Field(ge=0, le=1)] = 0.0,
        since: Since = None,
        until: Until = None,
        at: At = None,
        superseded: Superseded = False,
        diversity: Annotated[
            float, Field(ge=0, le=1, description="0: the best; 1: as different as can be")
        ] = 0.0,
    ) -> ToolResult:
        """Find memories by words and, with an embedder, by meaning; best first."""
        wanted = Filter(
            agent=agent,
            session=session,
            everything=everything,
            scopes=tuple(scopes),
            kinds=tuple(kinds),
            tiers=tuple(tiers),
            tags=tuple(tags),
            source=source,
            min_importance=min_importance,
            since=since,
            until=until,
            at=at,
            superseded=superseded,
        )
        found = await service.run(
            lambda m: m.search(query, wanted, most=limit, diversity=diversity)
        )
        items = [item_of(hit.record, hit) for hit in found.hits]
        lines = [render(item) for item in items] or ["Nothing was found."]
        page = MemoriesFound(memories=items, ways=list(found.ways), notes=found.notes)
        return answer("\n".join([*lines, *found.notes]), page)


def _add_list(server: FastMCP[Any], service: Service) -> None:
    async def list_(  # noqa: PLR0913 - a tool's arguments are its interface
        limit: Annotated[int, Field(ge=1, le=500, description="Most memories")] = 50,
        cursor: Annotated[str | None, Field(description="next_cursor of the page before")] = None,
        *,
        kinds: Kinds = [],  # noqa: B006 - never changed
        tiers: Tiers = [],  # noqa: B006 - never changed
        scopes: Scopes = [],  # noqa: B006 - never changed
        tags: TagFilter = [],  # noqa: B006 - never changed
        agent: AgentArgument = "",
        session: SessionArgument = "",
        everything: Everything = False,
        since: Since = None,
        until: Until = None,
        superseded: Superseded = False,
        forgotten: Annotated[bool, Field(description="Only what was forgotten")] = False,
    ) -> ToolResult:
        """Memories by time, newest first, in pages."""
        wanted = Filter(
            agent=agent,
            session=session,
            everything=everything,
            scopes=tuple(scopes),
            kinds=tuple(kinds),
            tiers=tuple(tiers),
            tags=tuple(tags),
            since=since,
            until=until,
            superseded=superseded,
            forgotten=forgotten,
        )
        place = parse_cursor(cursor)
        page = await service.run(lambda m: m.page(wanted, most=limit, cursor=place))
        items = [item_of(record) for record in page.records]
        after = None if page.next_cursor is None else str(page.next_cursor)
        lines = [render(item) for item in items] or ["There are no such memories."]
        if after:
            lines.append(f"[more: cursor={after}]")
        return answer("\n".join(lines), MemoryPage(memories=items, next_cursor=after))

    server.tool(list_, name="list", **declare("List memories", MemoryPage, "private", "untrusted"))


def _add_history(server: FastMCP[Any], service: Service) -> None:
    @server.tool(**declare("History of a memory", MemoryPage, "private", "untrusted"))
    async def history(id: Id) -> ToolResult:  # noqa: A002 - what it is
        """All versions of a memory, newest first."""
        items = [item_of(record) for record in await service.run(lambda m: m.history(id))]
        lines = [f"{item.version}. {render(item)}" for item in items]
        return answer("\n".join(lines), MemoryPage(memories=items, next_cursor=None))


def _add_stats(server: FastMCP[Any], service: Service) -> None:
    @server.tool(**declare("Memory statistics", MemoryStats, "private"))
    async def stats() -> ToolResult:
        """How much is remembered, and whether it is searched by meaning or by words alone."""
        found = await service.run(lambda m: m.stats())
        notes: list[str] = []
        if found.embedder is None:
            notes.append("No embedder is configured: words are searched, not meaning.")
        if service.progress:
            notes.append("Vectors are being made: {} of {}.".format(*service.progress))
        if service.trouble:
            notes.append(f"Vectors wait: {service.trouble}")
        if found.other_language:
            notes.append(
                f"{found.other_language} memories are indexed for another language;"
                " `host memory reindex` renews them."
            )
        known = {k: v for k, v in asdict(found).items() if k in MemoryStats.model_fields}
        page = MemoryStats(**known, notes=notes)
        lines = [f"{found.records} memories of {found.user}, {found.forgotten} forgotten."]
        return answer("\n".join([*lines, *notes]), page)


def parse_cursor(cursor: str | None) -> int | None:
    """Return the place that a cursor names.

    Raises:
        RefusalError: It is not one that this server gave.
    """
    if cursor is None:
        return None
    if not cursor.isdecimal():
        raise RefusalError(f"The cursor {cursor!r} is not one of ours.", "Start without one.")
    return int(cursor)
