"""Every way out of a root, as real files, tried through a real client with every tool."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client

from servers.files.server import create_server
from tests.servers.files.opening import names_in, settings_for, swapping

pytestmark = pytest.mark.anyio
WAYS = ["kernel", "walk"]
SECRET = "the secret outside"  # noqa: S105 - a marker


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a way out of every kind."""
    top = tmp_path / "root"
    top.mkdir()
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text(SECRET)
    (top / "plain.txt").write_text("plain")
    (top / "absolute-link").symlink_to(tmp_path / "secret.txt")
    (top / "climbing-link").symlink_to("../secret.txt")
    (top / "folder-link").symlink_to("../outside")
    os.link(tmp_path / "secret.txt", top / "hard-link")
    os.mkfifo(top / "fifo")
    (top / "device").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(top / "socket"))
    return top


def arguments(tool: str, path: str) -> dict[str, Any]:
    """A call of a tool that would read or change the file at `path`."""
    return {
        "read_text": {"path": path},
        "read_many": {"paths": [path]},
        "read_media": {"path": path},
        "list": {"path": path},
        "tree": {"path": path},
        "info": {"path": path, "digest": True},
        "find": {"pattern": "*", "path": path},
        "search": {"pattern": "secret", "path": path},
        "write": {"path": path, "content": "overwritten"},
        "edit": {"path": path, "edits": [{"old": "the secret", "new": "no"}]},
        "append": {"path": path, "content": "appended"},
        "create_directory": {"path": f"{path}/new"},
        "copy": {"source": path, "target": f"copy-{tool}"},
        "move": {"source": path, "target": f"moved-{tool}"},
        "delete": {"path": path},
    }[tool]


PATHS = [
    "../secret.txt",
    "a/../../secret.txt",
    "./../secret.txt",
    "..",
    "/etc/passwd",
    "~root/.profile",
    "//etc/passwd",
    "file:///etc/passwd",
    "file:///%2e%2e/etc/passwd",
    "file://elsewhere/etc/passwd",
    "absolute-link",
    "climbing-link",
    "folder-link/secret.txt",
    "folder-link/new.txt",
    "hard-link",
    "fifo",
    "socket",
    "device",
    "plain.txt\0.png",
    "..\\secret.txt",
    "x" * 300,
    "y/" * 3000,
    ".host-trash/x",
    ".HOST-TRASH/x",
    ".host-tmp-1",
    "\ud800",
]
TOOLS = ["read_text", "read_many", "read_media", "search", "write", "edit", "append"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("tool", TOOLS)
async def test_no_path_leads_a_tool_out_of_the_root(root: Path, way: str, tool: str):
    settings = settings_for(root, symlink_resolver=way)
    async with Client(create_server(settings)) as client:
        for path in PATHS:
            if "\ud800" in path:
                continue
            answer = await client.call_tool(tool, arguments(tool, path), raise_on_error=False)
            said = str(answer.content)
            refused = answer.is_error or "Error - " in said or "No matches" in said
            assert refused, (path, said)
            assert SECRET not in said
            assert "root:" not in said
    assert (root.parent / "secret.txt").read_text() == SECRET
    assert names_in(root.parent / "outside") == ["secret.txt"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("tool", ["list", "tree", "find", "create_directory", "copy", "move"])
async def test_folders_outside_are_not_listed_or_changed(root: Path, way: str, tool: str):
    settings = settings_for(root, symlink_resolver=way)
    async with Client(create_server(settings)) as client:
        for path in ("..", "folder-link", "/etc", "../outside", "folder-link/.."):
            answer = await client.call_tool(tool, arguments(tool, path), raise_on_error=False)
            if tool == "move" and path == "folder-link":
                continue  # the link itself gets a new name, which harms nothing
            assert answer.is_error, (path, answer)
    assert names_in(root.parent / "outside") == ["secret.txt"]


async def test_deleting_a_link_removes_the_link_alone(root: Path):
    async with Client(create_server(settings_for(root))) as client:
        for name in ("absolute-link", "folder-link", "climbing-link"):
            await client.call_tool("delete", {"path": name})
            assert not (root / name).is_symlink()
    assert (root.parent / "secret.txt").read_text() == SECRET
    assert (root.parent / "outside" / "secret.txt").read_text() == SECRET


async def test_a_walk_shows_ways_out_but_never_what_is_behind(root: Path):
    async with Client(create_server(settings_for(root))) as client:
        tree = await client.call_tool("tree", {})
        found = await client.call_tool("find", {"pattern": "secret.txt"})
        searched = await client.call_tool("search", {"pattern": "secret"})
    assert "folder-link" in str(tree.content)
    assert tree.structured_content is not None
    kinds = {n["name"]: n["kind"] for n in tree.structured_content["children"]}
    assert kinds["fifo"] == "fifo"
    assert kinds["socket"] == "socket"
    assert kinds["folder-link"] == "link"
    assert "secret.txt" not in str(found.content)
    assert SECRET not in str(searched.content)
    assert searched.structured_content is not None
    assert searched.structured_content["skipped"] == {"hard_links": 1}


async def test_hard_links_are_read_only_where_the_settings_let_them_in(root: Path):
    async with Client(create_server(settings_for(root, hard_links="allow"))) as client:
        answer = await client.call_tool("read_text", {"path": "hard-link"})
        await client.call_tool("write", {"path": "hard-link", "content": "new"})
    assert SECRET in str(answer.content)
    assert (root / "hard-link").read_text() == "new"
    # A write replaces, it never changes in place: the other name keeps what it had.
    assert (root.parent / "secret.txt").read_text() == SECRET


@pytest.mark.parametrize(
    "name",
    [
        "aux.txt",
        "COM1",
        "nul",
        "a:b",
        "a|b",
        "what?",
        "end.",
        "end ",
        "line\nend",
        "bell\a",
        "lpt²",
    ],
)
async def test_names_that_other_systems_misread_are_not_made(tmp_path: Path, name: str):
    async with Client(create_server(settings_for(tmp_path))) as client:
        for tool, args in (
            ("write", {"path": name, "content": ""}),
            ("create_directory", {"path": f"{name}/x"}),
        ):
            answer = await client.call_tool(tool, args, raise_on_error=False)
            assert answer.is_error
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("there", "new"), [("README.md", "readme.MD"), ("\u00e9", "e\u0301"), ("ß", "SS")]
)
async def test_names_that_fold_to_an_existing_one_are_not_made(
    tmp_path: Path, there: str, new: str
):
    (tmp_path / there).write_text("kept")
    async with Client(create_server(settings_for(tmp_path))) as client:
        answer = await client.call_tool(
            "write", {"path": new, "content": "x"}, raise_on_error=False
        )
    assert answer.is_error
    assert there in str(answer.content)
    assert names_in(tmp_path) == [there]


async def test_read_only_roots_are_never_changed(root: Path):
    settings = settings_for(root, roots=[f"ro:{root}"])
    before = names_in(root)
    async with Client(create_server(settings)) as client:
        for tool in ("write", "edit", "append", "create_directory", "copy", "move", "delete"):
            answer = await client.call_tool(
                tool, arguments(tool, "plain.txt"), raise_on_error=False
            )
            assert answer.is_error, tool
            assert "read-only" in str(answer.content), (tool, answer.content)
    assert names_in(root) == before
    assert (root / "plain.txt").read_text() == "plain"


@pytest.mark.parametrize("way", WAYS)
async def test_links_swapped_during_writes_and_searches_never_lead_out(root: Path, way: str):
    work = root / "work"
    work.mkdir()
    (work / "file.txt").write_text("inside\n")
    link = root.parent / "link"
    link.symlink_to(root.parent / "outside")
    said: list[str] = []
    async with Client(create_server(settings_for(root, symlink_resolver=way))) as client:
        with swapping(work, link):
            for number in range(60):
                for tool, args in (
                    ("write", {"path": "work/file.txt", "content": f"{number}\n"}),
                    ("read_text", {"path": "work/secret.txt"}),
                    ("search", {"pattern": "secret outside"}),
                    ("delete", {"path": "work/secret.txt"}),
                    ("list", {"path": "work"}),
                ):
                    answer = await client.call_tool(tool, args, raise_on_error=False)
                    said.append(str(answer.content))
    assert not [text for text in said if SECRET in text]
    assert names_in(root.parent / "outside") == ["secret.txt"]
