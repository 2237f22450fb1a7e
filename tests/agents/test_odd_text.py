"""Texts that PostgreSQL does not take are kept without what it cannot."""

from pathlib import Path

import pytest

from tests.agents.scene import open_agents

pytestmark = pytest.mark.anyio


async def test_nul_and_half_a_surrogate_pair_stop_no_run_and_the_rest_is_kept(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("echo", [{"reply": "Well\x00 done"}])
        outcome = await scene.ask("echo", "Say\x00 \ud83d it")
        run = await scene.host.agents.runs.get(scene.principal, outcome.run.id)
        kinds = await scene.kinds(run.id)
    assert outcome.status == run.status == "succeeded"
    assert run.title.startswith("Say")
    assert run.title.endswith("it")
    assert kinds == ["started", "request", "reply", "finished"]


async def test_error_with_a_nul_is_stored_without_it(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("echo", [{"reply": "Done"}], model="scripted:not\x00there")
        outcome = await scene.ask("echo")
        run = await scene.host.agents.runs.get(scene.principal, outcome.run.id)
    assert run.status == "failed"
    assert "not" in str(run.error)
    assert "\x00" not in str(run.error)
