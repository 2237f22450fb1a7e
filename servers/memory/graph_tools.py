"""The nine tools of the reference memory server, under its names and with its answers."""

from typing import Annotated, Any

from fastmcp import FastMCP
from fastmcp.tools import ToolResult
from mcp_types import TextContent
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from host.memory.graph import Entity, Subgraph
from host.memory.link import Link
from servers.memory.service import Service
from servers.tool import answer, declare

_MODEL = ConfigDict(frozen=True, use_attribute_docstrings=True, serialize_by_alias=True)


class EntityItem(BaseModel):
    """A node of the graph."""

    model_config = _MODEL
    name: str = Field(min_length=1)
    """Its name, unique in the graph."""
    entityType: str  # noqa: N815 - the reference server's name
    """What it is, such as person."""
    observations: list[str]
    """What is known about it."""


class RelationItem(BaseModel):
    """An arrow between two entities."""

    model_config = _MODEL
    origin: str = Field(alias="from")
    """Name of the entity it starts at."""
    to: str
    """Name of the entity it ends at."""
    relationType: str  # noqa: N815 - the reference server's name
    """What it means, in active voice."""


class Addition(BaseModel):
    """Observations to add to an entity."""

    model_config = _MODEL
    entityName: str  # noqa: N815 - the reference server's name
    """The entity."""
    contents: list[str]
    """The observations."""


class Added(BaseModel):
    """Observations that were new."""

    model_config = _MODEL
    entityName: str  # noqa: N815 - the reference server's name
    """The entity."""
    addedObservations: list[str]  # noqa: N815 - the reference server's name
    """Those that it did not have."""


class Deletion(BaseModel):
    """Observations to remove from an entity."""

    model_config = _MODEL
    entityName: str  # noqa: N815 - the reference server's name
    """The entity."""
    observations: list[str]
    """The observations, word for word."""


class EntityList(BaseModel):
    """Entities."""

    model_config = _MODEL
    entities: list[EntityItem]
    """Those that are new."""


class RelationList(BaseModel):
    """Relations."""

    model_config = _MODEL
    relations: list[RelationItem]
    """Those that are new."""


class AdditionResults(BaseModel):
    """What was added."""

    model_config = _MODEL
    results: list[Added]
    """One for each entity given."""


class Done(BaseModel):
    """A change that has no other answer."""

    model_config = _MODEL
    success: bool
    """Always true; failures are errors."""
    message: str
    """What was done."""


class GraphItem(BaseModel):
    """A graph, or a part of one."""

    model_config = _MODEL
    entities: list[EntityItem]
    """Its nodes."""
    relations: list[RelationItem]
    """Its arrows; one end may lie outside the part."""


Names = Annotated[list[str], Field(description="Names of entities")]


def register_graph_tools(server: FastMCP[Any], service: Service) -> None:
    """Add the graph's tools to a server."""
    _add_creating(server, service)
    _add_deleting(server, service)
    _add_reading(server, service)


def _add_creating(server: FastMCP[Any], service: Service) -> None:
    @server.tool(**declare("Create entities", EntityList, "private", changes="adds"))
    async def create_entities(entities: list[EntityItem]) -> ToolResult:
        """Add entities to the knowledge graph; those whose names are there stay as they are."""
        given = [Entity(e.name, e.entityType, e.observations) for e in entities]
        new = await service.run(lambda m: m.graph.create_entities(given))
        fresh = [entity.data() for entity in new]
        return _answer({"entities": fresh}, fresh)

    @server.tool(**declare("Create relations", RelationList, "private", changes="adds"))
    async def create_relations(relations: list[RelationItem]) -> ToolResult:
        """Add relations between entities, in active voice; those that are there stay single."""
        given = [_link(relation) for relation in relations]
        new = await service.run(lambda m: m.graph.create_relations(given))
        added = [_relation_data(link) for link in new]
        return _answer({"relations": added}, added)

    @server.tool(**declare("Add observations", AdditionResults, "private", changes="adds"))
    async def add_observations(observations: list[Addition]) -> ToolResult:
        """Add observations to entities; if one of the entities is missing, nothing is added."""
        given = [(addition.entityName, addition.contents) for addition in observations]
        new = await service.run(lambda m: m.graph.add_observations(given))
        results = [
            {"entityName": name, "addedObservations": texts}
            for (name, _), texts in zip(given, new, strict=True)
        ]
        return _answer({"results": results}, results)


def _add_deleting(server: FastMCP[Any], service: Service) -> None:
    @server.tool(**declare("Delete entities", Done, "private", changes="destroys"))
    async def delete_entities(entityNames: Names) -> ToolResult:  # noqa: N803 - the reference's name
        """Remove entities and the relations that touch them; `restore` can undo it."""
        await service.run(lambda m: m.graph.delete_entities(entityNames))
        return _done("Entities deleted successfully")

    @server.tool(**declare("Delete observations", Done, "private", changes="destroys"))
    async def delete_observations(deletions: list[Deletion]) -> ToolResult:
        """Remove observations from entities; `history` keeps the former version."""
        given = [(deletion.entityName, deletion.observations) for deletion in deletions]
        await service.run(lambda m: m.graph.delete_observations(given))
        return _done("Observations deleted successfully")

    @server.tool(**declare("Delete relations", Done, "private", changes="destroys"))
    async def delete_relations(relations: list[RelationItem]) -> ToolResult:
        """Remove relations."""
        given = [_link(relation) for relation in relations]
        await service.run(lambda m: m.graph.delete_relations(given))
        return _done("Relations deleted successfully")


def _add_reading(server: FastMCP[Any], service: Service) -> None:
    @server.tool(**declare("Read the graph", GraphItem, "private", "untrusted"))
    async def read_graph() -> ToolResult:
        """The whole knowledge graph."""
        return _graph(await service.run(lambda m: m.graph.read()))

    @server.tool(**declare("Search nodes", GraphItem, "private", "untrusted"))
    async def search_nodes(
        query: Annotated[str, Field(description="Text in a name, a type or an observation")],
    ) -> ToolResult:
        """Entities in which a text occurs; `search` ranks by words and meaning instead."""
        return _graph(await service.run(lambda m: m.graph.search(query)))

    @server.tool(**declare("Open nodes", GraphItem, "private", "untrusted"))
    async def open_nodes(names: Names) -> ToolResult:
        """Entities by name, with the relations that touch them."""
        return _graph(await service.run(lambda m: m.graph.open(names)))


def _graph(found: Subgraph) -> ToolResult:
    graph = {
        "entities": [entity.data() for entity in found.entities],
        "relations": [_relation_data(link) for link in found.relations],
    }
    return _answer(graph, graph)


def _answer(structured: dict[str, Any], shown: dict[str, Any] | list[dict[str, Any]]) -> ToolResult:
    """Answer with the reference server's text: the JSON, indented by two.

    The values are plain, not models: a graph may have thousands of nodes.
    """
    text = to_json(shown, indent=2).decode()
    return ToolResult([TextContent(type="text", text=text)], structured)


def _done(message: str) -> ToolResult:
    return answer(message, Done(success=True, message=message))


def _link(relation: RelationItem) -> Link:
    return Link(relation.origin, relation.to, relation.relationType)


def _relation_data(link: Link) -> dict[str, Any]:
    return {"from": link.origin, "to": link.target, "relationType": link.kind}
