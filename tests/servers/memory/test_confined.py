"""What the memory server's process can still do when it is confined, tried in a real one."""

import json
import os
import socket
import sys
from pathlib import Path

import anyio
import pytest

from servers.confine import landlock_version
from tests.servers.memory.opening import PROJECT

needs_landlock = pytest.mark.skipif(landlock_version() < 4, reason="Landlock before version 4")

# Confines itself as the server does, uses the store, and prints what each attempt came to.
ATTEMPTS = """
import anyio, json, os, pathlib, socket, sys
from servers.launch import confine_server
from servers.memory.settings import Settings
data, port = pathlib.Path(sys.argv[1]), int(sys.argv[2])
embedder = {"type": "ollama", "url": f"http://127.0.0.1:{port}"} if port else None
confine_server("memory", Settings.model_validate({"embedder": embedder}))

from host.domain.principal import Principal
from host.domain.errors import StoreError
from host.memory.config import MemoryConfig
from host.memory.memory import Memory
from host.storage.store import open_store

found = {}

def note(name, attempt):
    try:
        attempt()
        found[name] = "ok"
    except (OSError, StoreError) as error:
        found[name] = type(error).__name__

def connect(number):
    socket.create_connection(("127.0.0.1", number), 10).close()

async def main():
    store = await open_store(None, data)
    memory = Memory(store, Principal("ann", "test"), MemoryConfig())
    await memory.remember_many([])
    ids = [hit.record.text for hit in (await memory.search("bees")).hits]
    for role in ("owner", "super"):
        try:
            await store.connect(role)
            found[f"role {role}"] = "ok"
        except StoreError as error:
            found[f"role {role}"] = "StoreError"
    found["search"] = ids
    await store.close()

anyio.run(main)
note("passwords", (data / "store" / "passwords.json").read_text)
note("list the data folder", lambda: os.listdir(data))
note("write the data folder", lambda: (data / "new").write_text("x"))
note("the home folder", lambda: os.listdir(pathlib.Path.home()))
note("secrets of the host", lambda: open(f"/proc/{os.getppid()}/environ", "rb").read())
if port:
    note("the embedder", lambda: connect(port))
with socket.socket() as other:
    note("listen", lambda: other.bind(("127.0.0.1", 0)))
note("another port", lambda: connect(int(sys.argv[3])))
print(json.dumps(found))
"""


@needs_landlock
@pytest.mark.anyio
@pytest.mark.parametrize("embedding", [False, True])
async def test_a_confined_memory_reaches_its_store_and_embedder_and_nothing_else(
    store_folder: Path, *, embedding: bool
):
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        ports = [int(listener.getsockname()[1]) for listener in (one, other)]
        given = [str(ports[0] if embedding else 0), str(ports[1])]
        done = await anyio.run_process(
            [sys.executable, "-c", ATTEMPTS, str(store_folder), *given],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(PROJECT),
                "HOME": os.environ.get("HOME", "/"),
                "HOST_DATA_DIR": str(store_folder),
            },
            check=False,
        )

    assert done.stderr == b""
    found = json.loads(done.stdout)
    assert found.pop("search") == []
    assert found.pop("the embedder", "ok") == "ok"
    refused = {"PermissionError", "StoreError"}
    assert {name for name, outcome in found.items() if outcome not in refused} == set()
    assert len(found) == 9
