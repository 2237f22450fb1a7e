"""The reference filesystem server's calls, answered by both servers side by side."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport

from tests.fakes.reference_server import find_reference
from tests.servers.files.opening import names_in
from tests.servers.files.test_server import environment

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(400)]
Answer = Any
Normal = Callable[[Answer], Any]
Same = tuple[str, dict[str, Any], str, dict[str, Any], Normal, Normal]


@pytest.fixture(scope="module")
def entry() -> Path:
    found = find_reference("filesystem")
    if isinstance(found, str):
        pytest.fail(found)
    return found


def make_tree(top: Path) -> Path:
    (top / "sub" / "deep").mkdir(parents=True)
    (top / "a.txt").write_text("one\ntwo\nthree\n")
    (top / "ümlaut.md").write_text("# Überschrift\n")
    (top / "sub" / "b.py").write_text("def f():\n    return 1\n")
    (top / "sub" / "deep" / "c.txt").write_text("deep")
    (top / "blob.bin").write_bytes(bytes(range(256)))
    (top / "sound.wav").write_bytes(b"RIFFxxxx")
    return top


def text(answer: Answer) -> str:
    return answer.content[0].text


def text_without_end(answer: Answer) -> str:
    return text(answer).removesuffix("\n")


def lines_of(answer: Answer) -> set[str]:
    return set(text(answer).splitlines())


def entries(answer: Answer) -> set[str]:
    """`[FILE] name` lines, sizes and totals left out."""
    return {line.split("  ")[0] for line in lines_of(answer) if line.startswith("[")}


def tree_by_reference(answer: Answer) -> Any:
    def norm(nodes: list[dict[str, Any]]) -> Any:
        return {n["name"]: norm(n["children"]) if "children" in n else None for n in nodes}

    return norm(json.loads(text(answer)))


def tree_by_us(answer: Answer) -> Any:
    def norm(nodes: list[dict[str, Any]]) -> Any:
        return {
            n["name"]: norm(n["children"]) if n["children"] is not None else None for n in nodes
        }

    return norm(answer.structured_content["children"])


def media(answer: Answer) -> str:
    block = answer.content[-1]
    return block.resource.blob if block.type == "resource" else block.data


def changed_lines(answer: Answer) -> list[str]:
    return [
        x for x in text(answer).splitlines() if x[:1] in {"+", "-"} and x[:3] not in {"+++", "---"}
    ]


def file_facts(answer: Answer) -> dict[str, str]:
    pairs = dict(line.split(": ", 1) for line in text(answer).splitlines() if ": " in line)
    kind = {"true": "folder", "false": "file"}.get(pairs.get("isDirectory", ""), pairs.get("kind"))
    return {"size": pairs["size"], "permissions": pairs["permissions"], "kind": str(kind)}


def relative(answer: Answer) -> set[str]:
    return {line.split("/theirs/")[-1] for line in text(answer).splitlines()}


# (the reference's tool, its arguments, ours, our arguments, how each answer is brought to one form)
SAME: list[Same] = [
    ("read_text_file", {"path": "a.txt"}, "read_text", {"path": "a.txt"}, text, text),
    ("read_file", {"path": "ümlaut.md"}, "read_text", {"path": "ümlaut.md"}, text, text),
    ("read_text_file", {"path": "a.txt", "head": 2}, "read_text", {"path": "a.txt", "last_line": 2},
     text, text_without_end),
    ("read_multiple_files", {"paths": ["a.txt", "sub/b.py"]}, "read_many",
     {"paths": ["a.txt", "sub/b.py"]}, text, text),
    ("read_media_file", {"path": "blob.bin"}, "read_media", {"path": "blob.bin"}, media, media),
    ("read_media_file", {"path": "sound.wav"}, "read_media", {"path": "sound.wav"}, media, media),
    ("list_directory", {"path": "."}, "list", {"path": "."}, lines_of, entries),
    ("list_directory", {"path": "sub"}, "list", {"path": "sub"}, lines_of, entries),
    ("directory_tree", {"path": "."}, "tree", {"path": "."}, tree_by_reference, tree_by_us),
    ("directory_tree", {"path": "sub", "excludePatterns": ["*.py"]}, "tree",
     {"path": "sub", "exclude": ["*.py"]}, tree_by_reference, tree_by_us),
    ("search_files", {"path": ".", "pattern": "**/*.txt"}, "find", {"pattern": "**/*.txt"},
     relative, lines_of),
    ("search_files", {"path": ".", "pattern": "*.txt"}, "find", {"pattern": "/*.txt"},
     relative, lines_of),
    ("search_files", {"path": ".", "pattern": "**/deep"}, "find", {"pattern": "**/deep"},
     relative, lines_of),
    ("search_files", {"path": ".", "pattern": "nothing"}, "find", {"pattern": "nothing"},
     lines_of, lines_of),
    ("get_file_info", {"path": "a.txt"}, "info", {"path": "a.txt"}, file_facts, file_facts),
    ("edit_file", {"path": "a.txt", "edits": [{"oldText": "two", "newText": "2"}], "dryRun": True},
     "edit", {"path": "a.txt", "edits": [{"old": "two", "new": "2"}], "dry_run": True},
     changed_lines, changed_lines),
    ("edit_file", {"path": "a.txt", "edits": [{"oldText": "two", "newText": "2"}]},
     "edit", {"path": "a.txt", "edits": [{"old": "two", "new": "2"}]},
     changed_lines, changed_lines),
    ("edit_file", {"path": "sub/b.py", "edits": [{"oldText": "return 1", "newText": "return 2"}]},
     "edit", {"path": "sub/b.py", "edits": [{"old": "return 1", "new": "return 2"}]},
     changed_lines, changed_lines),
]  # fmt: skip

# Calls after which both trees must be the same.
CHANGES: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("write_file", {"path": "new.txt", "content": "hi\n"}, "write",
     {"path": "new.txt", "content": "hi\n"}),
    ("write_file", {"path": "a.txt", "content": "over"}, "write",
     {"path": "a.txt", "content": "over"}),
    ("create_directory", {"path": "x/y/z"}, "create_directory", {"path": "x/y/z"}),
    ("create_directory", {"path": "x/y/z"}, "create_directory", {"path": "x/y/z"}),
    ("move_file", {"source": "new.txt", "destination": "x/moved.txt"}, "move",
     {"source": "new.txt", "target": "x/moved.txt"}),
    ("move_file", {"source": "sub", "destination": "x/sub"}, "move",
     {"source": "sub", "target": "x/sub"}),
    ("edit_file", {"path": "x/sub/b.py", "edits": [{"oldText": "if y:\n  z", "newText": "q"}]},
     "edit", {"path": "x/sub/b.py", "edits": [{"old": "if y:\n  z", "new": "q"}]}),
    ("edit_file",
     {"path": "x/sub/b.py", "edits": [{"oldText": "return 1", "newText": "y = 2\nreturn y"}]},
     "edit", {"path": "x/sub/b.py", "edits": [
         {"old": "return 1", "new": "y = 2\nreturn y"}]}),
]  # fmt: skip

# Refused by both.
REFUSED: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("read_text_file", {"path": "none"}, "read_text", {"path": "none"}),
    ("read_text_file", {"path": "../secret"}, "read_text", {"path": "../secret"}),
    ("read_text_file", {"path": "/etc/passwd"}, "read_text", {"path": "/etc/passwd"}),
    ("read_text_file", {"path": "link"}, "read_text", {"path": "link"}),
    ("write_file", {"path": "link", "content": ""}, "write", {"path": "link", "content": ""}),
    ("move_file", {"source": "a.txt", "destination": "blob.bin"}, "move",
     {"source": "a.txt", "target": "blob.bin"}),
    ("list_directory", {"path": "a.txt"}, "list", {"path": "a.txt"}),
]  # fmt: skip


def clients(entry: Path, theirs: Path, ours: Path) -> tuple[Client[Any], Client[Any]]:
    node = StdioTransport("node", [str(entry), str(theirs)], keep_alive=False)
    words = ["-m", "servers.files", str(ours)]
    python = StdioTransport(sys.executable, words, env=environment(), keep_alive=False)
    return Client(node), Client(python)


def contents(top: Path) -> dict[str, str]:
    return {
        str(p.relative_to(top)): "" if p.is_dir() else p.read_bytes().hex()
        for p in top.rglob("*")
        if not p.is_symlink()
    }


async def test_calls_of_the_reference_have_the_same_answers(entry: Path, tmp_path: Path):
    theirs, ours = make_tree(tmp_path / "theirs"), make_tree(tmp_path / "ours")
    reference, server = clients(entry, theirs, ours)
    async with reference, server:
        for name, args, our_name, our_args, normal, our_normal in SAME:
            expected = normal(await reference.call_tool(name, args))
            assert our_normal(await server.call_tool(our_name, our_args)) == expected, (name, args)
    assert contents(ours) == contents(theirs)


async def test_changes_of_the_reference_have_the_same_effect(entry: Path, tmp_path: Path):
    theirs, ours = make_tree(tmp_path / "theirs"), make_tree(tmp_path / "ours")
    reference, server = clients(entry, theirs, ours)
    async with reference, server:
        for name, args, our_name, our_args in CHANGES:
            expected = await reference.call_tool(name, args, raise_on_error=False)
            answer = await server.call_tool(our_name, our_args, raise_on_error=False)
            assert answer.is_error == expected.is_error, (name, args, answer.content)
            assert contents(ours) == contents(theirs), (name, args)


async def test_what_the_reference_refuses_is_refused(entry: Path, tmp_path: Path):
    theirs, ours = make_tree(tmp_path / "theirs"), make_tree(tmp_path / "ours")
    (tmp_path / "secret").write_text("s")
    for top in (theirs, ours):
        (top / "link").symlink_to(tmp_path / "secret")
    reference, server = clients(entry, theirs, ours)
    async with reference, server:
        for name, args, our_name, our_args in REFUSED:
            assert (await reference.call_tool(name, args, raise_on_error=False)).is_error
            assert (await server.call_tool(our_name, our_args, raise_on_error=False)).is_error
    assert names_in(theirs) == names_in(ours)
    assert (tmp_path / "secret").read_text() == "s"
