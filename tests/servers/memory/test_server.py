"""The memory server through real clients, as a child process over stdio."""

import json
import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp import Client
from fastmcp.exceptions import ToolError

from servers.launch import SettingsError, read_settings
from servers.memory.server import create_server
from servers.memory.settings import Settings
from tests.fakes.mcp_call import ask, ask_text
from tests.servers.memory.opening import open_inside, open_server

pytestmark = pytest.mark.anyio
READ_ONLY = {
    "recall", "search", "list", "history", "stats", "links", "core_read", "export_memory",
    "read_graph", "search_nodes", "open_nodes",
}  # fmt: skip
DESTRUCTIVE = {"forget", "unlink", "delete_entities", "delete_observations", "delete_relations"}
ADDING = {
    "remember", "update", "restore", "link", "core_write", "import_memory", "create_entities",
    "create_relations", "add_observations",
}  # fmt: skip


async def test_a_memory_lives_longer_than_the_server(store_folder: Path):
    async with open_server(store_folder, "keeper") as client:
        written = await ask(client, "remember", text="Ann keeps bees.", tags=["hobby"])
        await client.call_tool("core_write", {"label": "human", "text": "Name: Ann"})

    async with open_server(store_folder, "keeper") as client:
        found = await ask(client, "search", query="bee keeping")
        context = await ask_text(client, "recall", query="What does Ann do with bees?")

    assert [m["id"] for m in found["memories"]] == [written["memory"]["id"]]
    assert found["ways"] == ["lexical"]
    assert "words were searched" in found["notes"][0]
    assert "<human>\nName: Ann\n</human>" in context
    assert "Ann keeps bees." in context


async def test_a_record_goes_through_its_life(store_folder: Path, monkeypatch: pytest.MonkeyPatch):
    async with open_inside(monkeypatch, store_folder) as client:
        first = await ask(client, "remember", text="The train leaves at 8:10.", kind="event")
        record = first["memory"]["id"]
        again = await ask(client, "remember", text="the train leaves at 8:10", kind="event")
        assert (first["outcome"], again["outcome"]) == ("new", "known")

        await client.call_tool("update", {"id": record, "text": "The train leaves at 8:25."})
        versions = await ask(client, "history", id=record)
        assert [m["text"][-5:-1] for m in versions["memories"]] == ["8:25", "8:10"]

        await client.call_tool("forget", {"ids": [record]})
        assert (await ask(client, "list"))["memories"] == []
        hidden = await ask(client, "list", forgotten=True)
        assert [m["id"] for m in hidden["memories"]] == [record]
        await client.call_tool("restore", {"ids": [record]})
        assert (await ask(client, "stats"))["records"] == 1


async def test_lists_and_exports_come_in_pages(store_folder: Path, monkeypatch: pytest.MonkeyPatch):
    async with open_inside(monkeypatch, store_folder) as client:
        for number in range(5):
            await client.call_tool("remember", {"text": f"Item {number}.", "merge": False})
        seen: list[str] = []
        cursor = None
        while True:
            page = await ask(client, "list", limit=2, cursor=cursor)
            seen += [m["text"] for m in page["memories"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == [f"Item {n}." for n in reversed(range(5))]

        part = await ask(client, "export_memory", limit=3)
        rest = await ask(client, "export_memory", limit=3, cursor=part["next_cursor"])
        assert part["count"] + rest["count"] == 5
        lines = f"{part['lines']}\n{rest['lines']}"
        done = await ask(client, "import_memory", lines=lines)
        assert (done["records"], done["skipped"]) == (0, 5)


async def test_what_is_recalled_fits_the_room_given(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    async with open_inside(monkeypatch, store_folder) as client:
        for number in range(9):
            text = f"Note {number} about the river: " + f"word{number} " * 20
            await client.call_tool("remember", {"text": text, "kind": "note"})

        small = await client.call_tool("recall", {"query": "river", "max_chars": 600})

        content = small.structured_content or {}
        assert len(small.content[0].text) <= 600  # type: ignore[union-attr]
        assert 0 < len(content["memories"]) < 9
        assert content["left_out"] == 9 - len(content["memories"])


REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("update", {"id": "nope", "text": "x"}, "no memory named 'nope'"),
    ("remember", {"text": "x", "scope": "agent"}, "Give `agent`"),
    ("remember", {"text": ""}, "text: String should have at least 1 character"),
    ("remember", {"text": "x", "kind": "rumour"}, "kind: Input should be 'fact'"),
    ("forget", {"ids": []}, "ids: List should have at least 1 item"),
    ("list", {"cursor": "x"}, "cursor 'x' is not one of ours"),
    ("import_memory", {"lines": "{"}, "Line 1 of the import is not JSON"),
    ("core_write", {"label": "a", "text": "b", "old": "c"}, "no core block named 'a'"),
]


async def test_a_refusal_says_what_to_try(store_folder: Path, monkeypatch: pytest.MonkeyPatch):
    async with open_inside(monkeypatch, store_folder) as client:
        for tool, arguments, said in REFUSALS:
            with pytest.raises(ToolError, match=re.escape(said)):
                await client.call_tool(tool, arguments)


async def test_processes_of_one_user_share_the_memory_and_those_of_two_do_not(store_folder: Path):
    ann, again, bob = (open_server(store_folder, user) for user in ("ann", "ann", "bob"))
    async with ann, again, bob:
        written = await ask(ann, "remember", text="The safe's code is 4711.")
        await ann.call_tool("create_entities", {"entities": [
            {"name": "Safe", "entityType": "thing", "observations": []}]})  # fmt: skip

        found = await ask(again, "search", query="safe code")
        assert written["memory"]["id"] in {m["id"] for m in found["memories"]}
        assert (await ask(bob, "search", query="safe code"))["memories"] == []
        assert (await ask(bob, "list", everything=True))["memories"] == []
        assert (await ask(bob, "read_graph"))["entities"] == []
        with pytest.raises(ToolError, match="no memory named"):
            await bob.call_tool("history", {"id": written["memory"]["id"]})


async def test_the_handshake_and_the_list_of_tools_need_no_database(tmp_path: Path):
    blocked = tmp_path / "a file, not a folder"
    blocked.write_text("")
    async with open_server(blocked) as client:
        assert {tool.name for tool in await client.list_tools()} == READ_ONLY | DESTRUCTIVE | ADDING
        with pytest.raises(ToolError, match=r"data folder .* cannot be used"):
            await client.call_tool("stats", {})


async def test_a_first_call_waits_for_the_store_and_tells_how_far_it_is(data_folder: Path):
    told: list[str | None] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with open_server(data_folder) as client:
        await client.list_tools()
        with anyio.fail_after(110):
            done = await client.call_tool("stats", {}, progress_handler=note)

    assert (done.structured_content or {})["records"] == 0
    assert all((message or "").startswith("The store: ") for message in told)


async def test_annotations_and_labels_say_what_a_tool_does():
    async with Client(create_server(Settings())) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}

    for name, tool in tools.items():
        hints, labels = tool.annotations, set((tool.meta or {})["host/labels"])
        assert hints is not None
        assert "private" in labels
        assert bool(hints.read_only_hint) is (name in READ_ONLY)
        assert bool(hints.destructive_hint) is (name in DESTRUCTIVE)
        assert ("changes" in labels) is (name not in READ_ONLY)
        assert ("destructive" in labels) is (name in DESTRUCTIVE)
        assert tool.output_schema is not None
        assert hints.open_world_hint is False


async def test_tools_called_read_only_change_no_row(
    store_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    user = "looker"
    async with open_inside(monkeypatch, store_folder, user) as client:
        record = (await ask(client, "remember", text="Ann has a cat."))["memory"]["id"]
        before = await ask(client, "export_memory")
        arguments: dict[str, dict[str, Any]] = {
            "recall": {"query": "cat"}, "search": {"query": "cat"}, "history": {"id": record},
            "links": {"id": record}, "search_nodes": {"query": "a"}, "open_nodes": {"names": ["a"]},
        }  # fmt: skip
        for name in sorted(READ_ONLY):
            await client.call_tool(name, arguments.get(name, {}))
        assert await ask(client, "export_memory") == before


def test_wrong_settings_are_named():
    environ = {"HOST_SERVER_SETTINGS": json.dumps({"embedder": {"type": "magic"}})}
    with pytest.raises(SettingsError, match="embedder"):
        read_settings(Settings, environ, {})
