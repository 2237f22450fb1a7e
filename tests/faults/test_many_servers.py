"""Many servers at once: their interpreters start side by side."""

import asyncio

import pytest

from host.gateway import patience
from tests.fakes.gateway_scene import open_scene, stdio

pytestmark = pytest.mark.anyio


async def test_sixty_four_servers_start_side_by_side(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(patience, "FIRST_WAIT", 3600.0)
    servers = {f"s{number}": stdio() for number in range(64)}
    async with open_scene(servers) as scene, scene.client("line") as client:
        listed = asyncio.ensure_future(client.request("tools/list"))
        most = 0
        while most < 64 and not listed.done():
            most = max(most, sum(s.state == "starting" for s in scene.host.servers.values()))
            await asyncio.sleep(0)
        assert most == 64
        owners = {tool["name"].partition("__")[0] for tool in (await listed)["tools"]}
        assert owners == set(servers)
