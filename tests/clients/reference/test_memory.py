"""The reference memory server's calls, answered by both servers side by side."""

import os
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from tests.fakes.mcp_call import ask
from tests.fakes.reference_server import find_reference
from tests.servers.memory.opening import open_server

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(400)]
Call = tuple[str, dict[str, Any]]


def entity(name: str, kind: str, *observations: str) -> dict[str, Any]:
    return {"name": name, "entityType": kind, "observations": list(observations)}


def relation(start: str, end: str, kind: str) -> dict[str, str]:
    return {"from": start, "to": end, "relationType": kind}


# Every tool; each answer, its text and its structure, must be the same as the reference's.
CALLS: list[Call] = [
    ("read_graph", {}),
    ("create_entities", {"entities": [
        entity("Ann", "person", "likes tea", "lives in Rome"),
        entity("Zürich Büro", "place", "größer als früher"),
        entity("Acme", "company")]}),
    ("create_entities", {"entities": [
        entity("Ann", "robot", "x"), entity("Bob", "person", "b", "b")]}),
    ("create_entities", {"entities": []}),
    ("create_relations", {"relations": [
        relation("Ann", "Acme", "works at"), relation("Ann", "Bob", "knows"),
        relation("Ghost", "Nowhere", "haunts")]}),
    ("create_relations", {"relations": [
        relation("Ann", "Acme", "works at"), relation("Acme", "Ann", "employs")]}),
    ("add_observations", {"observations": [
        {"entityName": "Ann", "contents": ["likes tea", "plays chess", "has a cat"]},
        {"entityName": "Bob", "contents": []}]}),
    ("read_graph", {}),
    ("search_nodes", {"query": "TEA"}),
    ("search_nodes", {"query": "person"}),
    ("search_nodes", {"query": "zürich"}),
    ("search_nodes", {"query": "no such thing"}),
    ("search_nodes", {"query": ""}),
    ("search_nodes", {"query": "%_\\"}),
    ("open_nodes", {"names": ["Bob", "Nobody", "Acme"]}),
    ("open_nodes", {"names": []}),
    ("delete_observations", {"deletions": [
        {"entityName": "Ann", "observations": ["lives in Rome", "never said"]},
        {"entityName": "Nobody", "observations": ["x"]}]}),
    ("read_graph", {}),
    ("delete_relations", {"relations": [
        relation("Ann", "Bob", "knows"), relation("a", "b", "c")]}),
    ("read_graph", {}),
    ("delete_entities", {"entityNames": ["Acme", "Nobody", "Ghost"]}),
    ("read_graph", {}),
    ("create_entities", {"entities": [entity("Acme", "company", "founded again")]}),
    ("create_relations", {"relations": [relation("Ann", "Acme", "works at")]}),
    ("read_graph", {}),
]  # fmt: skip

# What the reference refuses.
REFUSED: list[Call] = [
    ("add_observations", {"observations": [
        {"entityName": "Ann", "contents": ["new"]}, {"entityName": "Nobody", "contents": ["x"]}]}),
    ("create_entities", {"entities": [{"name": "x"}]}),
    ("open_nodes", {}),
]  # fmt: skip


@pytest.fixture(scope="module")
def entry() -> Path:
    found = find_reference("memory")
    if isinstance(found, str):
        pytest.fail(found)
    return found


def open_reference(entry: Path, file: Path) -> Client[Any]:
    environment = {"PATH": os.environ["PATH"], "MEMORY_FILE_PATH": str(file)}
    return Client(StdioTransport("node", [str(entry)], env=environment, keep_alive=False))


def seen(answer: Any) -> tuple[Any, Any]:
    """The structure, and the text as data where it is JSON."""
    text = answer.content[0].text
    return answer.structured_content, text


async def compare_tools(reference: Client[Any], ours: Client[Any]) -> None:
    """The names, arguments, annotations and results of the tools are those of the reference."""
    own = {tool.name: tool for tool in await ours.list_tools()}
    for tool in await reference.list_tools():
        properties = set(tool.input_schema.get("properties", {}))
        assert set(own[tool.name].input_schema.get("properties", {})) == properties
        theirs, hints = tool.annotations, own[tool.name].annotations
        assert theirs is not None
        assert hints is not None
        assert hints.read_only_hint == theirs.read_only_hint
        assert hints.destructive_hint == theirs.destructive_hint
        names = set((tool.output_schema or {}).get("properties", {}))
        assert set((own[tool.name].output_schema or {}).get("properties", {})) == names


async def test_tools_and_calls_of_the_reference_are_answered_the_same(
    entry: Path, store_folder: Path, tmp_path: Path
):
    reference, ours = open_reference(entry, tmp_path / "memory.jsonl"), open_server(store_folder)
    async with reference, ours:
        await compare_tools(reference, ours)
        for name, arguments in CALLS:
            expected = seen(await reference.call_tool(name, arguments))
            assert seen(await ours.call_tool(name, arguments)) == expected, (name, arguments)
        for name, arguments in REFUSED:
            theirs = await reference.call_tool(name, arguments, raise_on_error=False)
            answer = await ours.call_tool(name, arguments, raise_on_error=False)
            assert (answer.is_error, theirs.is_error) == (True, True), (name, arguments)
        after = seen(await reference.call_tool("read_graph", {}))
        assert seen(await ours.call_tool("read_graph", {})) == after


async def test_the_file_of_the_reference_is_taken_over(
    entry: Path, store_folder: Path, tmp_path: Path
):
    file = tmp_path / "memory.jsonl"
    async with open_reference(entry, file) as reference:
        for name, arguments in CALLS:
            await reference.call_tool(name, arguments)
        expected = (await reference.call_tool("read_graph", {})).structured_content or {}

    async with open_server(store_folder) as ours:
        done = await ask(ours, "import_memory", lines=file.read_text("utf-8"))
        graph = await ask(ours, "read_graph")
        found = await ask(ours, "search", query="who plays chess?")

    assert graph == expected
    assert (done["entities"], done["relations"]) == (
        len(expected["entities"]),
        len(expected["relations"]),
    )
    assert found["memories"][0]["label"] == "Ann"
