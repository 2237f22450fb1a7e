"""What ends with a run, and what does not: approvals, runs inside, and runs that it only began."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from host.agents.active import Active
from host.agents.endings import Endings
from host.events.run import Event, Run
from host.orchestrator.own_tools import OrchestratorProvider
from tests.agents.scene import Scene, open_agents
from tests.agents.test_life import crash
from tests.agents.test_loop import call
from tests.agents.test_parked import ADD, OUTER, answer, parked, waiting

pytestmark = pytest.mark.anyio


async def until_parked(active: Active) -> None:
    while True:
        if active.log.status == "parked":
            return
        await asyncio.sleep(0.02)


async def taken_up(scene: Scene, active: Active) -> Active:
    """Crash a run and those inside it, take it up, and return it once it waits again."""
    for run_id in list(scene.runner.active):
        await crash(scene, run_id)
    again = await scene.runner.resume(scene.exchange(), active.run.id)
    await until_parked(again)
    await parked(scene, again)
    return again


async def test_run_that_is_cancelled_twice_while_it_ends_has_ended(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_back, there = Endings.take_back, asyncio.Event()

    async def seen(self: Endings, run: Run, events: Sequence[Event]) -> None:
        there.set()
        await take_back(self, run, events)

    monkeypatch.setattr(Endings, "take_back", seen)
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", ADD)
        active = await scene.start("keeper")
        await parked(scene, active)
        again = await taken_up(scene, active)
        assert again.task is not None
        again.task.cancel()
        await there.wait()
        again.task.cancel()
        await asyncio.wait([again.task])
        run = await scene.host.agents.runs.get(scene.principal, active.run.id)
        assert run.id not in scene.runner.active
    assert run.status == "cancelled"


@pytest.mark.parametrize("goes_on", [False, True])
async def test_approved_call_of_a_run_that_another_only_began_is_made(
    store_folder: Path, tmp_path: Path, goes_on: bool
) -> None:
    begin = call("orchestrator__start_run", agent="keeper", message="x")
    then = [call("notes__look")] if goes_on else []
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.host.own["orchestrator"] = OrchestratorProvider(scene.host)
        scene.agent("keeper", ADD)
        tools = ["orchestrator__start_run", "notes"]
        scene.agent("fan", [begin, *then, {"reply": "begun"}], tools=tools)
        fan = await scene.start("fan")
        approval = await waiting(scene)
        [begun] = [one for one in scene.runner.active.values() if one.run.name == "keeper"]
        await (scene.notes.begun.wait() if goes_on else fan.wait())
        await answer(scene, approval)
        assert (await begun.wait()).text.startswith("It said: add: ")
        scene.notes.gate.set()
        await fan.wait()
    assert ("add", {"text": "x"}) in scene.notes.calls


async def test_approval_that_two_runs_wait_for_stays_when_one_is_cancelled(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", ADD)
        one = await scene.start("keeper")
        approval = await parked(scene, one)
        other = await scene.start("keeper")
        await until_parked(other)
        await scene.runner.cancel(scene.principal, one.run.id)
        await answer(scene, approval)
        outcome = await other.wait()
    assert outcome.text.startswith("It said: add: ")
    assert len(scene.notes.calls) == 1


async def test_run_around_one_that_was_taken_up_and_ended_waits_no_more(
    store_folder: Path, tmp_path: Path
) -> None:
    turns = [*OUTER, call("notes__look"), {"reply": "done"}]
    turns[1] = call("notes__look")
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", ADD)
        scene.agent("outer", turns, agents=["keeper"])
        active = await scene.start("outer")
        await parked(scene, active)
        again = await taken_up(scene, active)
        await answer(scene, await waiting(scene), approve=False)
        await scene.notes.begun.wait()
        assert (again.log.status, again.log.waits_for) == ("running", {})
        scene.notes.gate.set()
        await again.wait()
