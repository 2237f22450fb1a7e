"""What a confined process can still do, tried in real child processes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from fastmcp.exceptions import ToolError

from servers.confine import landlock_version
from servers.database.settings import Settings as DatabaseServerSettings
from servers.files.settings import Settings as FilesSettings
from servers.memory.settings import Settings as MemorySettings
from servers.search.settings import Settings as SearchSettings
from tests.fakes.mcp_call import ask

PROJECT = Path(__file__).parents[2]
needs_landlock = pytest.mark.skipif(landlock_version() < 1, reason="this kernel has no Landlock")

# Each attempt prints `ok` or the name of the error.
ATTEMPTS = """
import json, os, pathlib, socket, subprocess, sys
from servers.confine import confine, program_paths, refuse_local_sockets, system_paths
allowed, outside, local = sys.argv[1:]
confine(read=[*program_paths(), *system_paths()], write=[allowed, "/dev/null"])
refuse_local_sockets()
def connect():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(local)
def listen():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
attempts = {
    "read outside": lambda: pathlib.Path(outside, "secret").read_text(),
    "list outside": lambda: os.listdir(outside),
    "write outside": lambda: pathlib.Path(outside, "new").write_text("x"),
    "remove outside": lambda: os.unlink(os.path.join(outside, "secret")),
    "link in": lambda: os.link(os.path.join(outside, "secret"), os.path.join(allowed, "l")),
    "read by a child": lambda: subprocess.run(
        ["cat", os.path.join(outside, "secret")], check=True, stderr=subprocess.DEVNULL),
    "local socket": connect,
    "socket pair": socket.socketpair,
    "environment of the parent": lambda: open(f"/proc/{os.getppid()}/environ", "rb").read(),
    "memory of the parent": lambda: open(f"/proc/{os.getppid()}/mem", "rb"),
    "tcp": listen,
    "write inside": lambda: pathlib.Path(allowed, "new").write_text("x"),
    "read inside": lambda: pathlib.Path(allowed, "new").read_text(),
    "resolver": lambda: pathlib.Path("/etc/hosts").read_text(),
}
found = {}
for name, attempt in attempts.items():
    try:
        attempt()
        found[name] = "ok"
    except (OSError, subprocess.CalledProcessError) as error:
        found[name] = type(error).__name__
print(json.dumps(found))
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@needs_landlock
def test_a_confined_process_reaches_its_folders_and_no_others(tmp_path: Path):
    allowed, outside = tmp_path / "allowed", tmp_path / "outside"
    allowed.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("hidden")
    local = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(local)
        listener.listen()
        done = subprocess.run(
            [sys.executable, "-c", ATTEMPTS, str(allowed), str(outside), local],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.stderr == ""
    found = json.loads(done.stdout)
    refused = {name for name, outcome in found.items() if outcome != "ok"}
    assert refused == {
        "read outside", "list outside", "write outside", "remove outside", "link in",
        "read by a child", "local socket", "environment of the parent", "memory of the parent",
    }  # fmt: skip
    assert (outside / "secret").read_text() == "hidden"


@needs_landlock
@pytest.mark.anyio
async def test_a_confined_files_server_works_in_its_roots(tmp_path: Path):
    root, shown, trash = tmp_path / "root", tmp_path / "shown", tmp_path / "away" / "trash"
    for folder in (root, shown):
        folder.mkdir()
    (shown / "note.txt").write_text("a needle\n")
    settings = {"roots": [str(root), f"ro:{shown}"], "trash": str(trash)}
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT),
        "HOST_SERVER_CONFINE": "1",
        "HOST_SERVER_SETTINGS": json.dumps(settings),
    }
    words = ["-P", "-m", "servers.files"]
    transport = StdioTransport(
        sys.executable, words, env=environment, cwd=str(tmp_path), keep_alive=False
    )
    async with Client(transport) as client:
        await client.call_tool("write", {"path": "root:new.txt", "content": "one\n"})
        edits = [{"old": "one", "new": "two"}]
        await client.call_tool("edit", {"path": "root:new.txt", "edits": edits})
        found = await ask(client, "search", pattern="needle", path="shown:")
        await client.call_tool("delete", {"path": "root:new.txt"})
        with pytest.raises(ToolError):
            await client.call_tool("write", {"path": "shown:x", "content": "x"})

    assert len(found["matches"]) == 1
    assert any(trash.rglob("*"))


def test_the_store_and_an_embedder_are_what_a_memory_reaches(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    embedder = {"type": "openai", "url": "http://10.0.0.5:8080/v1"}
    alone = MemorySettings()
    assert (alone.reach().ports, alone.reach().local_sockets) == ((), True)
    assert alone.reach().read == alone.reach().write == ()
    asking = MemorySettings.model_validate({"embedder": embedder})
    assert asking.reach().ports == (8080, 53)
    local = MemorySettings.model_validate({"embedder": {"type": "fastembed", "model": "/models/m"}})
    assert Path("/models/m") in local.reach().read
    assert Path("~/.cache/huggingface") in local.reach().made

    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@db.example:6000/d?sslrootcert=/ca.pem")
    shared = asking.reach()
    assert set(shared.ports or ()) == {6000, 8080, 53}
    assert not shared.local_sockets
    assert Path("/ca.pem") in shared.read
    searching = SearchSettings(documents=(Path("/papers"),)).reach()
    assert (searching.ports, searching.write) == (None, ())
    assert Path("/papers") in searching.read


def test_a_server_reaches_what_its_settings_name(tmp_path: Path):
    files = FilesSettings.model_validate({"roots": [f"ro:{tmp_path}/a", f"rw:{tmp_path}/b"]})
    reach = files.reach()
    assert (reach.read, reach.write) == ((tmp_path / "a",), (tmp_path / "b",))

    urls = {
        "one": {"url": f"sqlite:///{tmp_path}/x.db"},
        "two": {"url": f"sqlite:///{tmp_path}/sub/y.db", "access": "rw"},
    }
    databases = DatabaseServerSettings.model_validate({"databases": urls})
    reach = databases.reach()
    assert tmp_path / "x.db" in reach.read
    assert tmp_path not in (*reach.read, *reach.write)
    assert reach.write == (tmp_path / "sub",)
    assert not reach.local_sockets
    remote = DatabaseServerSettings.model_validate({"databases": {"p": {"url": "mysql://h/d"}}})
    assert remote.reach().local_sockets
