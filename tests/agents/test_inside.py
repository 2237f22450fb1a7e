"""A run inside a run, after a crash: it is taken up with the one around it, and nothing is lost."""

from pathlib import Path

import pytest

from host.agents.runner import Active
from host.domain.errors import RunStateError
from host.domain.jsonrpc import Json
from host.events.run import Run, new_run_id
from tests.agents.scene import Scene, open_agents
from tests.agents.test_life import crash
from tests.agents.test_loop import call

pytestmark = pytest.mark.anyio

INNER: list[Json] = [call("notes__add", text="x"), call("notes__look"), {"reply": "Seen."}]
OUTER: list[Json] = [call("agent__inner", message="Look"), {"reply": "Inside: ${result}"}]


async def begun(scene: Scene) -> tuple[Active, Run]:
    """Return a run and the one inside it, which is in its second call."""
    scene.agent("inner", INNER)
    scene.agent("outer", OUTER, tools=[], agents=["inner"])
    active = await scene.start("outer")
    await scene.notes.begun.wait()
    [inner] = [one for one in scene.runner.active.values() if one.run.parent == active.run.id]
    return active, inner.run


async def interrupted(scene: Scene) -> tuple[Active, Run]:
    """Do what `begun` does, and leave both as a killed process would."""
    active, inner = await begun(scene)
    await crash(scene, active.run.id)
    await crash(scene, inner.id)
    return active, inner


async def resumed(scene: Scene, active: Active) -> str:
    outcome = await (await scene.runner.resume(scene.exchange(), active.run.id)).wait()
    assert outcome.status == "succeeded"
    return outcome.text


async def test_run_that_was_at_work_inside_a_run_goes_on_with_it(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        active, inner = await interrupted(scene)
        scene.notes.gate.set()
        assert await resumed(scene, active) == "Inside: Seen."
        family = await scene.host.agents.runs.family(scene.principal, active.run.id)
        assert [(run.id, run.status) for run in family] == [(inner.id, "succeeded")]
        # What changes was made once; what only reads was asked for again.
        assert [name for name, _ in scene.notes.calls] == ["add", "look", "look"]


async def test_result_of_a_run_that_had_ended_inside_is_not_lost_with_the_one_around(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        active, inner = await begun(scene)
        rest = scene.runner.active[inner.id]
        await crash(scene, active.run.id)
        scene.notes.gate.set()
        assert (await rest.wait()).status == "succeeded"
        assert await resumed(scene, active) == "Inside: Seen."
        assert [name for name, _ in scene.notes.calls] == ["add", "look"]
        assert "inside" in await scene.kinds(active.run.id)


async def test_run_inside_of_which_nothing_was_stored_is_begun_again(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        active, inner = await begun(scene)
        active.log.add("inside", {"id": "call_0_0", "run": new_run_id()})
        await crash(scene, active.run.id)
        await crash(scene, inner.id)
        scene.notes.gate.set()
        assert await resumed(scene, active) == "Inside: Seen."
        family = await scene.host.agents.runs.family(scene.principal, active.run.id)
        assert [run.status for run in family if run.id != inner.id] == ["succeeded"]


async def test_run_inside_ends_with_the_one_around_it_after_both_were_taken_up(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        active, inner = await interrupted(scene)
        scene.notes.begun.clear()
        await scene.runner.resume(scene.exchange(), active.run.id)
        await scene.notes.begun.wait()
        live = scene.runner.active[inner.id]
        assert (await scene.runner.cancel(scene.principal, active.run.id)).status == "cancelled"
        assert (await live.wait()).status == "cancelled"


async def test_run_inside_that_is_given_up_ends(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("inner", INNER)
        scene.agent("outer", OUTER, tools=[], agents=["inner"], limits={"tool_seconds": 2})
        active = await scene.start("outer")
        await scene.notes.begun.wait()
        [inner] = [one for one in scene.runner.active.values() if one.run.parent == active.run.id]
        assert "was given up" in (await active.wait()).text
        assert (await inner.wait()).status == "cancelled"
        with pytest.raises(RunStateError, match="has ended"):
            active.log.add("approval")


@pytest.mark.usefixtures("ids_of_each_reply")
async def test_call_with_the_id_of_an_earlier_one_does_not_get_its_answer(
    store_folder: Path, tmp_path: Path
) -> None:
    turns = [call("agent__inner", message="Hi"), call("notes__wait"), {"reply": "It: ${result}"}]
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("inner", [{"reply": "the inner one's words"}], tools=[])
        scene.agent("outer", turns, agents=["inner"])
        active = await scene.start("outer")
        await scene.notes.begun.wait()
        await crash(scene, active.run.id)
        text = await resumed(scene, active)
        assert "the inner one's words" not in text
        assert "is not known" in text


async def test_run_inside_whose_agent_is_gone_is_not_begun_again(
    store_folder: Path, tmp_path: Path
) -> None:
    first = [call("notes__add", text="x"), call("hand_over_to_helper"), {"reply": "never"}]
    async with open_agents(store_folder, tmp_path) as scene:
        # A script goes by how many replies there were: these are the third and the fourth.
        helper = [{"reply": "a"}, {"reply": "b"}, call("notes__wait"), {"reply": "helped"}]
        scene.agent("helper", helper)
        scene.agent("inner", first, handoffs=["helper"])
        scene.agent("outer", OUTER, tools=[], agents=["inner"])
        active = await scene.start("outer")
        await scene.notes.begun.wait()
        [inner] = [one for one in scene.runner.active.values() if one.run.parent == active.run.id]
        await crash(scene, active.run.id)
        await crash(scene, inner.run.id)
        agents = scene.folder / "config" / "agents"
        (agents / "helper.yaml").unlink()
        scene.agent("inner", first)
        assert "helper" in await resumed(scene, active)
        assert [name for name, _ in scene.notes.calls] == ["add", "wait"]
        run = await scene.host.agents.runs.get(scene.principal, inner.run.id)
        assert (run.status, run.ended is None) == ("failed", False)
