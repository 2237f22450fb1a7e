"""Plugins that hang, flood, die or leak: the caller is told, the record shows it, others go on."""

import os
import signal
from pathlib import Path
from typing import Any

import anyio
import pytest

from host.domain.jsonrpc import Json, RpcError
from tests.fakes.gateway_scene import Scene, open_scene
from tests.gateway.approvals.scenes import one_waiting
from tests.plugins.shop import install

pytestmark = pytest.mark.anyio

FINE = "@tool\ndef fine():\n    return 'well'\n"
BAD = """
@tool
def wait():
    return host.call_tool("bad__hang")

@tool
def leak():
    kept = []
    while True:
        kept.append("x" * 1_000_000)

@tool
def print_much():
    for _ in range(100_000):
        print("x" * 100)
    return "printed"

@tool
def log_much():
    while True:
        host.log("x")

@tool
def ask_much():
    count = 0
    while True:
        try:
            host.call_tool("bad__echo", text="x")
            count += 1
        except host.CallError as error:
            return f"{count}: {error}"

@tool
def return_much():
    return "x" * 2_000_000

@tool
def recurse(depth: int = 0):
    return recurse(depth + 1)

@tool
def big_number():
    return 10 ** 10 ** 10

@tool
def back_track():
    import re
    return bool(re.match(r"(a+)+$", "a" * 40 + "b"))
"""


def said(result: Json) -> str:
    return result["content"][0]["text"]


async def others_do_not_notice(scene: Scene, client: Any, pids: list[int]) -> None:
    assert said(await client.call("other__fine")) == "well"
    assert crew(scene, "other").pids == pids, "the other plugin's process was replaced"


def crew(scene: Scene, name: str) -> Any:
    provider = scene.host.plugins.provider(name)
    assert provider is not None
    assert provider.version is not None
    return provider.version.crew


CASES = {
    "leak": "MemoryError",
    "log_much": "more than 1000 log and progress messages in one call",
    "return_much": "a message of 2000",
    "recurse": "RecursionError",
    "big_number": "did not finish in time",
    "back_track": "did not finish in time",
}


@pytest.mark.parametrize("function", CASES)
async def test_the_caller_is_told_what_went_wrong(function: str):
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        await install(scene.host, "other", FINE)
        await client.call("other__fine")
        pids = crew(scene, "other").pids
        limits = {"timeout": 0.5 if "time" in CASES[function] else 30, "memory_mb": 64}
        await install(scene.host, "evil", BAD, tools=["bad__*"], limits=limits)
        try:
            result = await client.call(f"evil__{function}")
            assert result["isError"] is True
            message = said(result)
        except RpcError as error:
            message = error.message
        assert CASES[function] in message
        name, outcome = scene.calls()[-1]
        assert name == f"evil__{function}"
        assert outcome in {"tool_error", "error", "timeout"}
        await others_do_not_notice(scene, client, pids)
        if limits["timeout"] == 30:  # half a second may be too little on a busy machine
            assert said(await client.call("evil__print_much")) == "printed"


async def test_printing_without_end_fills_no_log():
    async with open_scene({}) as scene, scene.stateless() as client:
        await install(scene.host, "evil", BAD)
        await client.call("evil__print_much")
        log = (scene.host.paths.logs / "plugin-evil.log").read_text()
        assert len(log) < 20_000


async def test_more_brokered_calls_than_allowed_are_refused():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        await install(scene.host, "evil", BAD, tools=["bad__*"], limits={"calls": 3})
        assert said(await client.call("evil__ask_much")).startswith("3: More than 3 brokered calls")


async def test_a_plugin_killed_in_a_brokered_call_fails_its_caller_and_ends_the_call():
    async with open_scene({}, web={"bad": {}}) as scene, scene.stateless() as client:
        await install(scene.host, "other", FINE)
        await install(scene.host, "evil", BAD, tools=["bad__*"])
        messages: list[str] = []

        async def call() -> None:
            with pytest.raises(RpcError) as raised:
                await client.call("evil__wait")
            messages.append(raised.value.message)

        await client.call("other__fine")
        pids = crew(scene, "other").pids
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            await scene.server().wait_seen("hanging")
            (pid,) = crew(scene, "evil").pids
            os.kill(pid, signal.SIGKILL)
        assert "evil died during wait" in messages[0]
        await scene.server().wait_seen("cancelled")
        with anyio.fail_after(60):
            while len(scene.calls()) < 3:  # noqa: ASYNC110 - the journal tells nobody
                await anyio.sleep(0.02)
        outcomes = dict(scene.calls())
        assert outcomes == {"other__fine": "ok", "bad__hang": "cancelled", "evil__wait": "error"}
        await others_do_not_notice(scene, client, pids)
        assert said(await client.call("evil__print_much")) == "printed"


async def test_a_call_that_waits_for_a_person_ends_with_the_plugin_that_made_it(
    empty_store_folder: Path,
):
    async with (
        open_scene(
            {}, web={"bad": {}}, data=empty_store_folder, approvals={"wait": 60, "progress": 0.05}
        ) as scene,
        scene.stateless() as client,
    ):
        folder = scene.host.paths.config / "policies"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "mine.yaml").write_text(
            "default: allow\nrules: [{name: bad, action: ask, match: {name: 'bad__*'}}]\n"
        )
        await install(scene.host, "evil", BAD, tools=["bad__*"])

        async def call() -> None:
            with pytest.raises(RpcError, match="evil died during wait"):
                await client.call("evil__wait")

        asked: list[str] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call)
            asked.append((await one_waiting(scene)).id)
            (pid,) = crew(scene, "evil").pids
            os.kill(pid, signal.SIGKILL)
        with anyio.fail_after(60):
            while (await scene.host.inbox.find(asked[0])).state == "pending":  # noqa: ASYNC110 - the board tells of other ends only
                await anyio.sleep(0.02)
        assert (await scene.host.inbox.find(asked[0])).state == "withdrawn"
        assert dict(scene.calls()) == {"bad__hang": "cancelled", "evil__wait": "error"}
