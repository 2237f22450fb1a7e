"""Calls made side by side end as one call does: by their error, or cancelled with the run."""

import asyncio
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from host.agents.gateway_tools import GatewayTools
from host.domain.errors import OutputError, StaleRunError, StoreError
from host.domain.jsonrpc import Json
from host.domain.wait import unbroken
from host.events.run import Event
from tests.agents.scene import open_agents

pytestmark = pytest.mark.anyio

LOOKS: Json = {"calls": [{"tool": "notes__look"}] * 2}


async def test_run_that_was_overtaken_in_calls_made_side_by_side_says_so(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("looker", [LOOKS, {"reply": "done"}])
        active = await scene.start("looker")

        def overtake(event: Event) -> None:
            if event.kind == "call":
                active.log.stale = True

        stop = scene.host.agents.hub.listen(active.run.id, overtake)
        outcome = await active.wait()
        stop()
    assert outcome.status == "failed"
    assert "was taken up by another process" in str(outcome.error)
    assert "host runs follow" in str(outcome.error)


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ([OutputError("first"), StoreError("second")], "first"),
        ([KeyError("key"), StoreError("known")], "known"),
        ([StoreError("gone"), StaleRunError("overtaken")], "overtaken"),
    ],
)
async def test_of_errors_of_calls_made_side_by_side_the_most_telling_ends_the_run(
    store_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    faults: list[Exception],
    told: str,
) -> None:
    left = iter(faults)

    async def fails(tools: GatewayTools, *given: object, **named: object) -> None:
        raise next(left)

    monkeypatch.setattr(GatewayTools, "call", fails)
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("looker", [LOOKS, {"reply": "done"}])
        outcome = await scene.ask("looker")
    assert (outcome.status, outcome.error) == ("failed", told)


@pytest.mark.parametrize("failed", [False, True])
async def test_run_cancelled_in_calls_made_side_by_side_is_cancelled_whatever_they_raise_then(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failed: bool
) -> None:
    made: list[str] = []
    both, ending, ended = anyio.Event(), anyio.Event(), asyncio.Event()

    async def waits(tools: GatewayTools, name: str, *given: object, **named: object) -> None:
        made.append(name)
        if len(made) == 2:
            both.set()
            if failed:  # so the other one is being given up when the run is cancelled
                raise StoreError("gone")
        try:
            await anyio.sleep_forever()
        finally:
            ending.set()
            if failed:
                await unbroken(ended.wait())
            raise StaleRunError("at the end")

    monkeypatch.setattr(GatewayTools, "call", waits)
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("looker", [LOOKS, {"reply": "done"}])
        active = await scene.start("looker")
        await both.wait()
        if failed:
            await ending.wait()
        assert active.task is not None
        active.task.cancel()
        await anyio.lowlevel.checkpoint()
        ended.set()
        outcome = await active.wait()
    assert (outcome.status, outcome.error) == ("cancelled", "The run was cancelled.")
