"""The tools that write: remember, update, forget, restore, link."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastmcp import FastMCP
from fastmcp.tools import ToolResult
from pydantic import Field

from host.memory.link import Link
from host.memory.memory import Remembered
from host.memory.record import Change, Draft, Kind, Scope
from servers.memory.results import (
    LinkList,
    MemoriesChanged,
    MemoryWritten,
    item_of,
    link_items,
    render,
)
from servers.memory.service import Service
from servers.tool import answer, declare

Id = Annotated[str, Field(description="A memory's id, such as `search` gives", max_length=100)]
Ids = Annotated[list[str], Field(description="Ids of memories", min_length=1, max_length=1000)]
Tags = Annotated[list[str], Field(description="Tags, to filter by", max_length=50)]
Importance = Annotated[float, Field(ge=0, le=1, description="0 trivial, 0.5 usual, 1 vital")]
Source = Annotated[str, Field(description="Where it is known from", max_length=500)]
Agent = Annotated[str, Field(description="The agent, for scope agent", max_length=200)]
Session = Annotated[str, Field(description="The session, for scope session", max_length=200)]


def register_write_tools(server: FastMCP[Any], service: Service) -> None:
    """Add the writing tools to a server."""
    _add_remember(server, service)
    _add_update(server, service)
    _add_forget(server, service)
    _add_links(server, service)


def _add_remember(server: FastMCP[Any], service: Service) -> None:
    @server.tool(**declare("Remember", MemoryWritten, "private", changes="adds", idempotent=False))
    async def remember(  # noqa: PLR0913 - a tool's arguments are its interface
        text: Annotated[str, Field(min_length=1, description="One statement, clear by itself")],
        kind: Kind = "fact",
        importance: Importance = 0.5,
        tags: Tags = [],  # noqa: B006 - never changed
        source: Source = "",
        *,
        scope: Annotated[
            Scope,
            Field(description="Who finds it; shared: every user of this store"),
        ] = "user",
        agent: Agent = "",
        session: Session = "",
        tier: Annotated[
            Literal["recall", "archival"],
            Field(description="recall: a turn of the conversation; archival: anything else"),
        ] = "archival",
        valid_from: Annotated[
            datetime | None, Field(description="Since when it is true; default: now")
        ] = None,
        valid_until: Annotated[
            datetime | None, Field(description="Until when; default: no end")
        ] = None,
        merge: Annotated[bool, Field(description="Merge into a memory that says the same")] = True,
    ) -> ToolResult:
        """Keep a statement for later; one that is there already is not written twice.

        The answer lists similar memories: if one of them is outdated by this one, `forget` it, or
        `update` it instead.
        """
        draft = Draft(
            text,
            kind,
            scope,
            agent,
            session,
            tier,
            importance=importance,
            source=source,
            tags=tuple(tags),
            valid_from=valid_from,
            valid_until=valid_until,
        )
        return _written(await service.run(lambda m: m.remember(draft, merge=merge)))


def _add_update(server: FastMCP[Any], service: Service) -> None:
    declared = declare(
        "Update a memory", MemoryWritten, "private", changes="adds", idempotent=False
    )

    @server.tool(**declared)
    async def update(  # noqa: PLR0913 - a tool's arguments are its interface
        id: Id,  # noqa: A002 - what it is
        text: Annotated[str | None, Field(description="The statement as it is now")] = None,
        kind: Kind | None = None,
        importance: Annotated[float | None, Field(ge=0, le=1)] = None,
        tags: Annotated[list[str] | None, Field(description="All tags it is to have")] = None,
        *,
        source: Annotated[str | None, Field(max_length=500)] = None,
        valid_from: Annotated[datetime | None, Field(description="Since when it is so")] = None,
        valid_until: Annotated[datetime | None, Field(description="When it ended")] = None,
    ) -> ToolResult:
        """Replace a memory by a newer version; `history` keeps the older ones."""
        change = Change(
            text,
            kind,
            None if tags is None else tuple(tags),
            importance,
            source,
            valid_from,
            valid_until,
        )
        return _written(await service.run(lambda m: m.update(id, change)))


def _add_forget(server: FastMCP[Any], service: Service) -> None:
    @server.tool(
        **declare("Forget", MemoriesChanged, "private", changes="destroys", idempotent=False)
    )
    async def forget(ids: Ids) -> ToolResult:
        """Take memories out of sight, with their history; `restore` undoes it for some weeks."""
        done = await service.run(lambda m: m.forget(ids))
        found = [record.id for record in done.records]
        text = f"Forgotten: {', '.join(found)}. `restore` with these ids brings them back."
        return answer(text, MemoriesChanged(ids=found, relations=done.links))

    @server.tool(
        **declare("Undo forgetting", MemoriesChanged, "private", changes="adds", idempotent=False)
    )
    async def restore(ids: Ids) -> ToolResult:
        """Bring back what was forgotten; `list` with forgotten=true shows what can be."""
        done = await service.run(lambda m: m.restore(ids))
        found = [record.id for record in done.records]
        text = f"Restored: {', '.join(found)}."
        return answer(text, MemoriesChanged(ids=found, relations=done.links))


KindOfLink = Annotated[str, Field(min_length=1, max_length=200, description="What it means")]
"""What a link says."""


def _add_links(server: FastMCP[Any], service: Service) -> None:
    @server.tool(**declare("Link memories", LinkList, "private", changes="adds"))
    async def link(origin: Id, target: Id, kind: KindOfLink = "related to") -> ToolResult:
        """Link one memory to another, such as `because of`, `part of`, `contradicts`."""
        made = await service.run(lambda m: m.link(origin, target, kind))
        return answer(f"{origin} —{kind}→ {target}", LinkList(links=link_items([made])))

    @server.tool(**declare("Unlink memories", LinkList, "private", changes="destroys"))
    async def unlink(origin: Id, target: Id, kind: KindOfLink = "related to") -> ToolResult:
        """Remove a link; both memories stay."""
        was = await service.run(lambda m: m.unlink(origin, target, kind))
        gone = link_items([Link(origin, target, kind)]) if was else []
        return answer("Removed." if was else "There was no such link.", LinkList(links=gone))

    @server.tool(**declare("Links of a memory", LinkList, "private", "untrusted"))
    async def links(id: Id) -> ToolResult:  # noqa: A002 - what it is
        """The links from and to a memory."""
        found = link_items(await service.run(lambda m: m.links([id])))
        lines = [f"{x.origin} —{x.kind}→ {x.target}" for x in found]
        return answer("\n".join(lines) or "No links.", LinkList(links=found))


def _written(done: Remembered) -> ToolResult:
    item = item_of(done.record)
    similar = [item_of(hit.record, hit) for hit in done.similar]
    page = MemoryWritten(memory=item, outcome=done.outcome, similar=similar, notes=done.notes)
    heads = {"known": "Already known", "merged": "Merged into", "updated": "Updated"}
    lines = [f"{heads.get(done.outcome, 'Remembered')}: {render(item)}"]
    if similar:
        lines += ["Similar:", *(render(other) for other in similar)]
    return answer("\n".join([*lines, *done.notes]), page)
