"""The server through real clients: in memory, over stdio and over HTTP, in both eras."""

import base64
import logging
import os
import subprocess
import sys
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import Process
from fastmcp import Client
from fastmcp.client.transports import StdioTransport, StreamableHttpTransport
from fastmcp.exceptions import ToolError
from mcp.shared.exceptions import MCPError
from mcp_types import ResourceTemplateReference

from servers.docs import FOLDER, render_page
from servers.files.server import create_server
from tests.conformance.host_process import free_port
from tests.servers.files.opening import settings_for

pytestmark = pytest.mark.anyio
PROJECT = Path(__file__).parents[3]
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
READ_ONLY = {
    "read_text", "read_many", "read_media", "list", "tree", "info", "roots", "find", "search",
    "list_trash",
}  # fmt: skip
DESTRUCTIVE = {"write", "edit", "move", "delete"}
STRANGERS_WORDS = READ_ONLY - {"roots"} | {"edit"}
"""What returns names or contents of files."""
ADDING = {"append", "create_directory", "copy", "restore"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    top = tmp_path / "root"
    (top / "sub").mkdir(parents=True)
    (top / "a.txt").write_text("one\ntwo\nthree\n")
    (top / "sub" / "b.py").write_text("def f():\n    return 1\n")
    (top / "pixel.png").write_bytes(PNG)
    (top / "blob.bin").write_bytes(bytes(range(256)))
    return top


def data(answer: Any) -> dict[str, Any]:
    return answer.structured_content


async def test_annotations_and_labels_say_what_the_tools_do(root: Path):
    async with Client(create_server(settings_for(root))) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
    assert set(tools) == READ_ONLY | DESTRUCTIVE | ADDING
    for name, tool in tools.items():
        labels = (tool.meta or {})["host/labels"]
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint == (name in READ_ONLY)
        assert tool.annotations.destructive_hint == (name in DESTRUCTIVE)
        assert tool.annotations.open_world_hint is False
        assert ("changes" in labels) == (name not in READ_ONLY)
        assert ("destructive" in labels) == (name in DESTRUCTIVE)
        assert ("untrusted" in labels) == (name in STRANGERS_WORDS)
        assert tool.output_schema is not None
        assert tool.description


async def test_a_file_goes_through_its_whole_life(root: Path):
    async with Client(create_server(settings_for(root))) as client:
        made = data(await client.call_tool("write", {"path": "n/x.txt", "content": "1\n2\n"}))
        read = data(await client.call_tool("read_text", {"path": "n/x.txt"}))
        assert read["digest"] == made["digest"]
        edited = data(
            await client.call_tool(
                "edit",
                {
                    "path": "n/x.txt",
                    "edits": [{"old": "2", "new": "two"}],
                    "if_digest": read["digest"],
                },
            )
        )
        assert "-2\n+two\n" in edited["diff"]
        await client.call_tool("append", {"path": "n/x.txt", "content": "3\n"})
        await client.call_tool("copy", {"source": "n/x.txt", "target": "n/y.txt"})
        await client.call_tool("move", {"source": "n/y.txt", "target": "m/z.txt"})
        gone = data(await client.call_tool("delete", {"path": "m"}))
        with pytest.raises(ToolError, match="Did you mean"):
            await client.call_tool("read_text", {"path": "n/x.tx"})
        await client.call_tool("restore", {"id": gone["id"]})
        last = data(await client.call_tool("read_text", {"path": "m/z.txt", "first_line": -1}))
    assert last["text"] == "3\n"
    assert (root / "n" / "x.txt").read_text() == "1\ntwo\n3\n"


async def test_media_come_as_what_they_are(root: Path):
    async with Client(create_server(settings_for(root))) as client:
        image = await client.call_tool("read_media", {"path": "pixel.png"})
        blob = await client.call_tool("read_media", {"path": "blob.bin", "offset": 250})
        refused = await client.call_tool("read_text", {"path": "blob.bin"}, raise_on_error=False)
    assert [block.type for block in image.content] == ["text", "image"]
    assert base64.b64decode(image.content[1].data) == PNG  # type: ignore[union-attr]
    resource = blob.content[1].resource  # type: ignore[union-attr]
    assert base64.b64decode(resource.blob) == bytes(range(250, 256))  # type: ignore[union-attr]
    assert "read_media" in str(refused.content)


async def test_listings_and_reads_are_paged(root: Path):
    settings = settings_for(root, max_read_bytes=8, max_entries=2)
    async with Client(create_server(settings)) as client:
        page = data(await client.call_tool("list", {}))
        rest = data(await client.call_tool("list", {"cursor": page["next_cursor"]}))
        names = [e["name"] for e in page["entries"] + rest["entries"]]
        text = data(await client.call_tool("read_text", {"path": "a.txt"}))
        more = data(
            await client.call_tool("read_text", {"path": "a.txt", "first_line": text["next_line"]})
        )
        tree = data(await client.call_tool("tree", {}))
        bad = await client.call_tool("list", {"cursor": "nonsense"}, raise_on_error=False)
    assert names == ["a.txt", "blob.bin", "pixel.png", "sub"]
    assert text["text"] + more["text"] == "one\ntwo\nthree\n"
    assert not tree["complete"]
    assert "is not a cursor" in str(bad.content)


async def test_several_roots_are_told_apart(root: Path, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "c.txt").write_text("c")
    settings = settings_for(root, roots=[str(root), {"path": str(other), "access": "ro"}])
    async with Client(create_server(settings)) as client:
        by_name = data(await client.call_tool("read_text", {"path": "other:c.txt"}))
        by_path = data(await client.call_tool("read_text", {"path": str(other / "c.txt")}))
        by_uri = data(await client.call_tool("read_text", {"path": (other / "c.txt").as_uri()}))
        first = data(await client.call_tool("read_text", {"path": "a.txt"}))
        refused = await client.call_tool("delete", {"path": "other:c.txt"}, raise_on_error=False)
        across = await client.call_tool("copy", {"source": "other:c.txt", "target": "c.txt"})
    assert by_name == by_path == by_uri
    assert by_name["path"] == "other:c.txt"
    assert first["path"] == "root:a.txt"
    assert refused.is_error
    assert not across.is_error
    assert (root / "c.txt").read_text() == "c"


async def test_wrong_arguments_are_named(root: Path):
    async with Client(create_server(settings_for(root))) as client:
        answer = await client.call_tool("read_text", {"pth": "a"}, raise_on_error=False)
    assert "pth: Unexpected keyword argument" in str(answer.content)
    assert "pydantic" not in str(answer.content)


async def test_a_resource_that_is_refused_is_no_fault_of_the_server(
    root: Path, caplog: pytest.LogCaptureFixture
):
    async with Client(create_server(settings_for(root))) as client:
        with pytest.raises(MCPError, match="There is no 'nope'"):
            await client.read_resource(root.as_uri() + "/nope")
    assert [record.message for record in caplog.records if record.levelno >= logging.INFO] == []


@pytest.mark.skipif(sys.platform != "linux", reason="the status tells it elsewhere")
async def test_info_tells_when_a_file_was_made(root: Path):
    before = datetime.now(UTC).replace(microsecond=0)
    (root / "a-link").symlink_to("a.txt")
    async with Client(create_server(settings_for(root))) as client:
        made = [
            data(await client.call_tool("info", {"path": path}))["created"]
            for path in (".", "a.txt", "a-link")
        ]
    # A file system that keeps none answers null for all of them.
    kept = [datetime.fromisoformat(one) for one in made if one is not None]
    assert len(kept) in (0, 3)
    assert all(abs(one - before) < timedelta(hours=1) for one in kept)
    assert kept == sorted(kept)


async def test_resources_and_completion_reach_what_the_tools_reach(root: Path, tmp_path: Path):
    (tmp_path / "secret").write_text("s")
    async with Client(create_server(settings_for(root))) as client:
        listing = await client.read_resource(root.as_uri())
        text = await client.read_resource((root / "sub" / "b.py").as_uri())
        blob = await client.read_resource((root / "blob.bin").as_uri())
        template = (await client.list_resource_templates())[0]
        reference = ResourceTemplateReference(type="ref/resource", uri=template.uri_template)
        top = await client.complete(reference, {"name": "path", "value": "S"})
        deep = await client.complete(reference, {"name": "path", "value": "sub/"})
        out = await client.complete(reference, {"name": "path", "value": "../"})
        for path in ("/%2e%2e/secret", "/sub/%2e%2e/%2e%2e/secret", "/none"):
            with pytest.raises(Exception, match=r"climbs|There is no|not found"):
                await client.read_resource(root.as_uri() + path)
    assert '"name": "sub"' in listing[0].text  # type: ignore[union-attr]
    assert text[0].text.startswith("def f")  # type: ignore[union-attr]
    assert base64.b64decode(blob[0].blob) == bytes(range(256))  # type: ignore[union-attr]
    assert (top.values, deep.values, out.values) == (["sub/"], ["sub/b.py"], [])


async def test_a_handshake_client_hears_of_changes(root: Path):
    uri = (root / "a.txt").as_uri()
    heard = anyio.Event()

    async def listen(message: Any) -> None:
        if getattr(message, "method", "") == "notifications/resources/updated":
            assert str(message.params.uri) == uri
            heard.set()

    client = Client(create_server(settings_for(root)), message_handler=listen, mode="legacy")
    async with client:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            await client.session.subscribe_resource(uri)  # pyright: ignore[reportDeprecated]
        await client.call_tool("append", {"path": "a.txt", "content": "four\n"})
        with anyio.fail_after(20):
            await heard.wait()


async def test_a_stateless_client_hears_of_changes(root: Path):
    from mcp import Client as SdkClient  # noqa: PLC0415 - the other client, for this alone

    server = create_server(settings_for(root))
    async with server._lifespan_manager(), SdkClient(server._mcp_server) as client:
        assert await _heard(client, root / "a.txt") == (root / "a.txt").as_uri()


async def _heard(client: Any, file: Path) -> str:
    """Change a file and return what the client hears of."""
    async with client.listen(resource_subscriptions=[file.as_uri()]) as events:
        file.write_text("changed outside")  # noqa: ASYNC240 - one small file
        with anyio.fail_after(20):
            event = await anext(aiter(events))
    return event.uri


@pytest.mark.parametrize(
    ("declared", "works", "fails"),
    [
        (["sub"], "b.py", "a.txt"),
        ([""], "a.txt", "none"),
        (["..", "sub"], "a.txt", "none"),
        (["none"], None, "a.txt"),
    ],
)
async def test_roots_of_the_client_narrow_what_is_served(
    root: Path, declared: list[str], works: str | None, fails: str
):
    settings = settings_for(root, client_roots="narrow")
    uris = [Path(os.path.normpath(root / name)).as_uri() for name in declared]  # noqa: ASYNC240
    server = create_server(settings)
    async with Client(server, roots=uris, mode="legacy") as client:
        if works:
            assert not (await client.call_tool("read_text", {"path": works})).is_error
        refused = await client.call_tool("read_text", {"path": fails}, raise_on_error=False)
        outside = await client.call_tool(
            "read_text", {"path": str(root / "a.txt")}, raise_on_error=False
        )
    assert refused.is_error
    assert outside.is_error == (works != "a.txt")


async def test_a_client_that_declares_no_roots_gets_nothing_when_narrowed(root: Path):
    async with Client(create_server(settings_for(root, client_roots="narrow"))) as client:
        refused = await client.call_tool("read_text", {"path": "a.txt"}, raise_on_error=False)
    assert refused.is_error
    assert "three" not in str(refused.content)
    assert "did not say which folders" in str(refused.content)


def environment(**more: str) -> dict[str, str]:
    return {"PYTHONPATH": str(PROJECT), "PATH": os.environ["PATH"], **more}


async def test_the_server_runs_alone_over_stdio_with_the_settings_of_the_host(root: Path):
    settings = f'{{"roots": [{{"path": "{root}", "name": "work", "access": "ro"}}]}}'
    transport = StdioTransport(
        sys.executable,
        ["-m", "servers.files"],
        env=environment(HOST_SERVER_SETTINGS=settings),
        keep_alive=False,
    )
    async with Client(transport) as client:
        roots = data(await client.call_tool("roots", {}))
        read = await client.call_tool("read_text", {"path": "a.txt"})
        searched = data(await client.call_tool("search", {"pattern": "return"}))
        refused = await client.call_tool("delete", {"path": "a.txt"}, raise_on_error=False)
    assert roots["roots"][0]["name"] == "work"
    assert data(read)["total_lines"] == 3
    assert searched["matches"][0]["path"] == "sub/b.py"
    assert "read-only" in str(refused.content)


async def test_the_server_runs_alone_over_http_behind_a_token(root: Path):
    port = free_port()
    words = [str(root), "--http", "--port", str(port), "--log-level", "info"]
    token = {"HOST_SERVER_TOKEN": "right"}
    async with await anyio.open_process(
        [sys.executable, "-m", "servers.files", *words], env=environment(**token)
    ) as child:
        try:
            with anyio.fail_after(60):
                await _wait_for(child, b"running on")
            url = f"http://127.0.0.1:{port}/mcp"
            async with Client(StreamableHttpTransport(url, auth="right")) as client:
                assert len(await client.list_tools()) == 18
            for header in (b"", b"Authorization: Bearer wrong\r\n"):
                assert await _status(port, header) == b"401"
        finally:
            child.kill()


async def _wait_for(child: Process, text: bytes) -> None:
    assert child.stderr is not None
    said = b""
    while text not in said:
        said += await child.stderr.receive()


async def _status(port: int, header: bytes) -> bytes:
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        start = b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n"
        await stream.send(start + header + b"\r\n")
        return (await stream.receive()).split(b" ")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/nowhere/at/all"], "root '/nowhere/at/all': No such file or directory"),
        ([], "roots: Field required"),
        (["/usr", "--max-read-bytes", "none"], "max_read_bytes: Input should be a valid integer"),
        (["/usr", "--http", "--host", "10.0.0.1"], "will not listen on 10.0.0.1"),
        (["/usr", "/usr"], "two roots are named 'usr'"),
    ],
)
def test_a_wrong_command_line_ends_with_one_line(words: list[str], said: str):
    done = subprocess.run(
        [sys.executable, "-m", "servers.files", *words],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_reference_page_is_what_the_server_says():
    page = (FOLDER / "files.md").read_text("utf-8")
    assert render_page("files", page) == page, "run: python -m servers.docs files"
