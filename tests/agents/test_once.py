"""A call that was let through is made once, however that was, over crashes and cancels."""

from pathlib import Path

import pytest

from host.agents.active import Active
from host.agents.replay import replay_run
from host.approvals import grants
from host.approvals.approval import Approval
from host.approvals.grant import GrantTerms
from tests.agents.scene import Scene, open_agents
from tests.agents.test_life import crash
from tests.agents.test_loop import call
from tests.agents.test_parked import BOSS, parked

pytestmark = pytest.mark.anyio

TURNS = [call("notes__wait"), {"reply": "It said: ${result}"}]


async def asked(scene: Scene) -> tuple[Active, Approval]:
    """Return a run whose call waits for an approval."""
    scene.agent("waiter", TURNS)
    active = await scene.start("waiter")
    return active, await parked(scene, active)


async def allow(scene: Scene, approval: Approval) -> None:
    """Give a grant for such calls, which lets waiting ones through."""
    terms = GrantTerms(scope="always", exact=False)
    async with scene.host.store.transaction(scene.principal) as database:
        await grants.add(database, approval, terms, by=BOSS, destructive=False)


async def after_a_crash(scene: Scene, active: Active) -> tuple[list[str], bool]:
    """Crash the run in the middle of its call and take it up.

    Returns:
        The tools that were called in all, and whether the model was told that it is not known
        what became of its call.
    """
    await scene.notes.begun.wait()
    await crash(scene, active.run.id)
    scene.notes.gate.set()
    outcome = await (await scene.runner.resume(scene.exchange(), active.run.id)).wait()
    return [name for name, _ in scene.notes.calls], "is not known" in outcome.text


async def test_call_that_a_grant_let_through_is_not_made_again(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        active, approval = await asked(scene)
        await allow(scene, approval)
        assert await after_a_crash(scene, active) == (["wait"], True)


async def test_call_that_had_to_be_asked_about_once_and_no_more_is_not_made_again(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        user = scene.principal.user
        active, _ = await asked(scene)
    async with open_agents(store_folder, tmp_path, policy="permissive", user=user) as scene:
        again = await scene.runner.resume(scene.exchange(), active.run.id, parked=True)
        assert await after_a_crash(scene, again) == (["wait"], True)


async def test_call_of_a_cancelled_run_that_a_grant_lets_through_later_is_not_made_again(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        active, approval = await asked(scene)
        await scene.runner.cancel(scene.principal, active.run.id)
        await allow(scene, approval)
        again = await scene.runner.resume(scene.exchange(), active.run.id)
        assert await after_a_crash(scene, again) == (["wait"], True)


@pytest.mark.usefixtures("one_id_for_all")
async def test_every_call_is_made_where_a_model_gives_all_one_id(
    store_folder: Path, tmp_path: Path
) -> None:
    both = [{"tool": "notes__add", "arguments": {"text": text}} for text in "ab"]
    turns = [{"calls": both}, call("notes__add", text="c"), {"reply": "It said: ${result}"}]
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("writer", turns)
        outcome = await scene.ask("writer")
        replayed = await replay_run(scene.host.agents.runs, scene.principal, outcome.run.id)
    assert [given["text"] for _, given in scene.notes.calls] == ["a", "b", "c"]
    assert outcome.text == 'It said: add: {"text": "c"}'
    assert replayed.differences == []
