"""What a client sees depends on the folder it works in, once that folder is trusted."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from host.app import TERMINAL
from host.approvals.approval import Answer
from host.config.trust import TrustStore
from host.domain.errors import AccessError
from host.gateway import folders
from tests.fakes.gateway_scene import Scene, open_scene, stdio

pytestmark = pytest.mark.anyio


def write_project(folder: Path, servers: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "host.yaml").write_text(json.dumps({"servers": servers}))


async def servers_seen(scene: Scene, folder: Path | None) -> set[str]:
    hello = {"hello": "mcp"} | ({"folder": str(folder)} if folder else {})
    async with scene.line(hello=hello) as client:
        await client.initialize()
        tools = (await client.request("tools/list"))["tools"]
        return {tool["name"].partition("__")[0] for tool in tools}


@pytest.fixture(autouse=True)
def always_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "LOOK_INTERVAL", -1.0)


async def test_a_trusted_projects_server_is_seen_in_its_folder_and_nowhere_else(tmp_path: Path):
    async with open_scene({"mine": stdio()}) as scene:
        write_project(tmp_path / "a", {"theirs": stdio()})
        assert await servers_seen(scene, tmp_path / "a") == {"mine"}
        TrustStore(scene.host.paths.trust).pin(tmp_path / "a")
        assert await servers_seen(scene, tmp_path / "a") == {"mine", "theirs"}
        assert await servers_seen(scene, tmp_path) == {"mine"}
        assert await servers_seen(scene, None) == {"mine"}


async def test_an_edit_of_a_trusted_project_makes_it_inert_again(tmp_path: Path):
    async with open_scene({"mine": stdio()}) as scene:
        write_project(tmp_path / "a", {"theirs": stdio()})
        TrustStore(scene.host.paths.trust).pin(tmp_path / "a")
        assert await servers_seen(scene, tmp_path / "a") == {"mine", "theirs"}
        write_project(tmp_path / "a", {"worse": stdio()})
        assert await servers_seen(scene, tmp_path / "a") == {"mine"}


async def test_a_project_can_turn_a_server_of_the_users_off_for_its_folder(tmp_path: Path):
    async with open_scene({"mine": stdio(), "other": stdio()}) as scene:
        write_project(tmp_path / "a", {"mine": {"enabled": False}})
        TrustStore(scene.host.paths.trust).pin(tmp_path / "a")
        assert await servers_seen(scene, tmp_path / "a") == {"other"}
        assert await servers_seen(scene, None) == {"mine", "other"}


async def test_servers_that_a_folder_does_not_change_are_shared_with_everybody(tmp_path: Path):
    async with open_scene({"mine": stdio()}) as scene:
        write_project(tmp_path / "a", {"theirs": stdio()})
        TrustStore(scene.host.paths.trust).pin(tmp_path / "a")
        seen = scene.host.folders.servers(tmp_path / "a")
        assert seen["mine"] is scene.host.servers["mine"]
        assert [server.name for server in scene.host.folders.own()] == ["theirs"]


async def test_a_projects_policy_tightens_in_its_folder_only(tmp_path: Path):
    async with open_scene({"mine": stdio()}) as scene:
        (tmp_path / "a").mkdir()
        rule = "rules: [{name: quiet, action: deny, match: {name: mine__echo}}]\n"
        (tmp_path / "a" / "host.policy.yaml").write_text(rule)
        TrustStore(scene.host.paths.trust).pin(tmp_path / "a")
        outcomes: list[bool] = []
        for folder in (tmp_path / "a", tmp_path):
            async with scene.line(hello={"hello": "mcp", "folder": str(folder)}) as client:
                await client.initialize()
                result = await client.call("mine__echo", {"text": "x"})
                outcomes.append(result.get("isError", False))
        assert outcomes == [True, False]


async def test_an_edit_is_judged_by_the_policy_of_the_callers_folder(
    empty_store_folder: Path, tmp_path: Path
):
    waits: dict[str, Any] = {"wait": 60}
    async with open_scene(
        {"mine": stdio()}, policy="default", data=empty_store_folder, approvals=waits
    ) as scene:
        (tmp_path / "a").mkdir()
        rule = "{name: quiet, action: deny, because: not here,"
        match = " match: {name: mine__echo, arguments: {/text: {in: [loud]}}}}"
        (tmp_path / "a" / "host.policy.yaml").write_text(f"rules: [{rule}{match}]\n")
        TrustStore(scene.host.paths.trust).pin(tmp_path / "a")
        hello = {"hello": "mcp", "folder": str(tmp_path / "a")}
        async with scene.line(bare=True, hello=hello) as client:
            await client.initialize()
            call = asyncio.ensure_future(client.call("mine__echo", {"text": "hi"}))
            version, waiting = 0, await scene.host.inbox.approvals()
            while not waiting:
                version = await scene.host.board.changed(version, limit=60)
                waiting = await scene.host.inbox.approvals()
            said = Answer(approve=True, by=TERMINAL, channel="cli", digest=waiting[0].digest)
            loud = replace(said, arguments={"text": "loud"})
            with pytest.raises(AccessError, match="not here"):
                await scene.host.inbox.answer(waiting[0].id, loud)
            await scene.host.inbox.answer(waiting[0].id, replace(said, arguments={"text": "soft"}))
            assert (await call)["structuredContent"] == {"text": "soft"}
