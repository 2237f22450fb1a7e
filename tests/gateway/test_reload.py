import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from host.config.load import load_settings
from host.domain.jsonrpc import RpcError
from host.pins.book import Choice
from tests.fakes.gateway_scene import Scene, open_scene, stdio

pytestmark = pytest.mark.anyio

CHANGED = "notifications/tools/list_changed"


async def reload(scene: Scene, servers: dict[str, object]) -> None:
    folder = scene.host.paths.data.parent
    file = folder / "host.yaml"
    file.write_text(json.dumps({"servers": servers, "policy": {"base": "permissive"}}))
    await scene.host.apply(load_settings(file, paths=scene.host.paths, environ={}))


async def names(client: Any) -> set[str]:
    tools = (await client.request("tools/list"))["tools"]
    return {tool["name"].partition("__")[0] for tool in tools}


async def test_servers_are_added_removed_and_changed_while_clients_stay():
    async with open_scene({"a": stdio(), "b": stdio()}) as scene, scene.client("line") as client:
        assert await names(client) == {"a", "b"}
        kept = (await client.call("a__answer"))["content"]
        gone = (await client.call("b__spawn"))["structuredContent"]["pids"]
        await reload(scene, {"a": stdio(), "c": stdio(tools=1)})
        assert await client.wait_note(CHANGED)
        assert await names(client) == {"a", "c"}
        assert (await client.call("a__answer"))["content"] == kept
        assert not any(is_alive(pid) for pid in gone)
        await reload(scene, {"a": stdio({"trust": "follow"}, tools=2), "c": stdio(tools=1)})
        assert (await client.call("a__answer"))["content"] != kept


async def test_call_on_a_server_that_is_taken_away_ends_with_an_error():
    async with open_scene({"a": stdio(), "b": stdio()}) as scene, scene.client("line") as client:
        task = asyncio.ensure_future(client.call("b__hang"))
        await client.call("b__heard", {"kind": "hanging"})
        await reload(scene, {"a": stdio()})
        with pytest.raises(RpcError, match=r"closed|ended"):
            await task


async def test_server_taken_away_while_it_starts_leaves_no_process(tmp_path: Path):
    slow = stdio({"connect_timeout": 60}, hang="server/discover")
    async with open_scene({"a": stdio(), "slow": slow}) as scene, scene.client("line") as client:
        task = asyncio.ensure_future(client.call("slow__answer"))
        while scene.host.servers["slow"].state != "starting":  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
        await reload(scene, {"a": stdio()})
        with pytest.raises(RpcError, match="closed while it started"):
            await task
        while children := descendants_named("misbehaving_stdio", '"hang": "server/discover"'):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
        assert children == []


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def descendants_named(*words: str) -> list[int]:
    """Return this process's descendants whose command line has all these words."""
    parents: dict[int, int] = {}
    commands: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                commands[int(entry.name)] = (entry / "cmdline").read_text()
                parents[int(entry.name)] = int(stat[1])
            except OSError:
                continue

    def is_ours(pid: int) -> bool:
        while pid not in (0, 1):
            pid = parents.get(pid, 0)
            if pid == os.getpid():
                return True
        return False

    return [
        pid
        for pid, line in commands.items()
        if all(word in line for word in words) and is_ours(pid)
    ]


async def test_a_changed_command_starts_nothing_before_somebody_accepts_it():
    async with open_scene({"a": stdio()}) as scene, scene.client("line") as client:
        before = (await client.call("a__answer"))["content"]
        await reload(scene, {"a": stdio(tools=2)})
        with pytest.raises(RpcError, match="host tools accept a/source"):
            await client.call("a__answer")
        [(server, pin)] = scene.host.pins.waiting()
        assert pin.offered is not None
        scene.host.pins.accept([Choice(server, f"source:{pin.name}", pin.offered.digest)], "ann")
        assert (await client.call("a__answer"))["content"] != before
