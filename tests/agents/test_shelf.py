"""Runs that wait for a person and that nobody waits for hold nothing, and go on when answered."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from host.agents import shelf
from host.agents.active import Active
from host.agents.replay import replay_run
from host.agents.shelf import Shelf
from host.approvals import grants
from host.approvals.approval import Answer, Approval
from host.approvals.grant import GrantTerms
from host.domain.errors import RunStateError
from host.domain.jsonrpc import Json
from host.events.run import Run
from tests.agents.scene import Scene, open_agents
from tests.agents.test_loop import call
from tests.agents.test_parked import ADD, BOSS, OUTER, answer, parked, waiting
from tests.fakes.gateway_scene import read_journal

pytestmark = pytest.mark.anyio


def holding(scene: Scene, seconds: float = 0.0) -> None:
    """Let runs go that have waited for so long."""
    board = scene.host.board
    board.config = board.config.model_copy(update={"hold": seconds})


async def let_go(active: Active) -> None:
    """Return when a run has left the memory; the scene's patience is the limit."""
    assert active.task is not None
    await asyncio.wait([active.task])


@asynccontextmanager
async def open_letting_go(
    store_folder: Path, tmp_path: Path, *, user: str | None = None
) -> AsyncGenerator[Scene]:
    """Open a host that lets waiting runs go at once, with an agent that has to ask."""
    async with open_agents(store_folder, tmp_path, policy="default", user=user) as scene:
        holding(scene)
        scene.agent("keeper", ADD)
        yield scene


async def left(scene: Scene, agent: str = "keeper") -> tuple[str, Approval]:
    """Start a run and return its id and what it waits for, once it was let go."""
    active = await scene.start(agent)
    approval = await waiting(scene)
    await let_go(active)
    return active.run.id, approval


async def left_with_one_inside(scene: Scene) -> tuple[str, Approval]:
    """Do what `left` does with a run around the one that asks."""
    scene.agent("outer", OUTER, tools=[], agents=["keeper"])
    return await left(scene, "outer")


async def ended(scene: Scene, run_id: str) -> Run:
    """Return a run when it has ended."""
    runs = scene.host.agents.runs
    async with aclosing(runs.follow(scene.principal, run_id)) as events:
        async for _ in events:
            pass
    return await runs.get(scene.principal, run_id)


async def test_run_that_waits_holds_nothing_and_goes_on_when_it_is_answered(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_letting_go(store_folder, tmp_path) as scene:
        run_id, approval = await left(scene)
        kept = await scene.host.agents.runs.get(scene.principal, run_id)
        assert (kept.status, len(scene.runner.shelf)) == ("parked", 1)
        assert scene.runner.active == {}
        assert scene.notes.calls == []
        await answer(scene, approval)
        run = await ended(scene, run_id)
        kinds = await scene.kinds(run_id)
        replayed = await replay_run(scene.host.agents.runs, scene.principal, run.id)
    written = [
        line["name"] if line["kind"] == "note" else line.get("outcome", "intent")
        for line in read_journal(store_folder / "journal")
        if line.get("user") == run.user_id
    ]
    assert written == ["approval.asked", "approval.used", "intent", "ok"]
    assert (run.status, run.client) == ("succeeded", "test")
    assert (replayed.differences, replayed.steps) == ([], 2)
    assert scene.notes.calls == [("add", {"text": "x"})]
    assert kinds.count("call") - kinds.count("result") in (0, 1)
    assert kinds.count("result") == 1
    assert kinds.index("approval") < kinds.index("resumed") < kinds.index("result")


async def test_refusal_of_a_run_that_was_let_go_reaches_its_model(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_letting_go(store_folder, tmp_path) as scene:
        run_id, approval = await left(scene)
        await answer(scene, approval, approve=False)
        run = await ended(scene, run_id)
        result = next(e for e in await scene.events(run.id) if e.kind == "result")
    assert run.status == "succeeded"
    assert result.data["error"]
    assert scene.notes.calls == []


async def test_runs_inside_are_let_go_and_go_on_with_the_run_around_them(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_letting_go(store_folder, tmp_path) as scene:
        run_id, approval = await left_with_one_inside(scene)
        assert scene.runner.active == {}
        await answer(scene, approval)
        run = await ended(scene, run_id)
        family = await scene.host.agents.runs.family(scene.principal, run.id)
    assert [one.status for one in (run, *family)] == ["succeeded", "succeeded"]
    assert scene.notes.calls == [("add", {"text": "x"})]


async def test_run_that_was_let_go_can_be_cancelled_and_nobody_is_asked_any_more(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_letting_go(store_folder, tmp_path) as scene:
        run_id, approval = await left(scene)
        holding(scene, 60)
        run = await scene.runner.cancel(scene.principal, run_id)
        found = await scene.host.inbox.find(approval.id)
    assert (run.status, found.state) == ("cancelled", "withdrawn")
    assert scene.notes.calls == []


async def test_cancelling_a_run_that_was_let_go_makes_no_call_that_came_to_be_allowed(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_letting_go(store_folder, tmp_path) as scene:
        run_id, approval = await left(scene)
        terms = GrantTerms(scope="always", exact=False)
        async with scene.host.store.transaction(scene.principal) as database:
            await grants.add(database, approval, terms, by=BOSS, destructive=False)
        run = await scene.runner.cancel(scene.principal, run_id)
        assert (run.status, (await scene.kinds(run_id))[-1]) == ("cancelled", "finished")
        assert len(scene.runner.shelf) == 0
        with pytest.raises(RunStateError, match="not going on"):
            await scene.runner.cancel(scene.principal, run_id)
    assert scene.notes.calls == []


async def test_run_that_was_let_go_goes_on_by_a_grant_that_was_given_for_another(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_letting_go(store_folder, tmp_path) as scene:
        turns: list[Json] = [
            {"when": {"asked": True, "prompt": text}, **call("notes__add", text=text)}
            for text in ("x", "y")
        ]
        scene.script("keeper", [*turns, {"reply": "Kept."}], loop=True)
        waits = [await scene.start("keeper", text) for text in ("x", "y")]
        for active in waits:
            await let_go(active)
        approval = await waiting(scene)
        terms = GrantTerms(scope="always", exact=False)
        said = Answer(approve=True, by=BOSS, channel="cli", digest=approval.digest, grant=terms)
        await scene.host.inbox.answer(approval.id, said)
        runs = [await ended(scene, active.run.id) for active in waits]
    assert [run.status for run in runs] == ["succeeded", "succeeded"]
    assert sorted(arguments["text"] for _, arguments in scene.notes.calls) == ["x", "y"]


async def test_runs_inside_one_that_was_let_go_are_cancelled_with_it(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_letting_go(store_folder, tmp_path) as scene:
        run_id, approval = await left_with_one_inside(scene)
        run = await scene.runner.cancel(scene.principal, run_id)
        family = await scene.host.agents.runs.family(scene.principal, run_id)
        found = await scene.host.inbox.find(approval.id)
    assert [one.status for one in (run, *family)] == ["cancelled", "cancelled"]
    assert found.state == "withdrawn"


async def test_run_whose_agent_is_gone_can_be_cancelled_while_it_waits(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_letting_go(store_folder, tmp_path) as scene:
        run_id, approval = await left(scene)
        (tmp_path / "config" / "agents" / "keeper.yaml").unlink()
        await answer(scene, approval)
        run = await scene.runner.cancel(scene.principal, run_id)
    assert run.status == "cancelled"
    assert scene.notes.calls == []


async def test_run_whose_agents_file_is_wrong_when_it_is_answered_goes_on_once_it_is_right(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "LOOK_AGAIN", 0.05)
    async with open_letting_go(store_folder, tmp_path) as scene:
        run_id, approval = await left(scene)
        file = tmp_path / "config" / "agents" / "keeper.yaml"
        right = file.read_text()
        file.write_text("model: [")
        await answer(scene, approval)
        while not scene.runner.shelf.told:  # noqa: ASYNC110  that it cannot go on is heard nowhere
            await asyncio.sleep(0.01)
        file.write_text(right)
        assert (await ended(scene, run_id)).status == "succeeded"
    assert scene.notes.calls == [("add", {"text": "x"})]


async def test_run_that_was_let_go_goes_on_in_the_next_host(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_letting_go(store_folder, tmp_path) as scene:
        user = scene.principal.user
        run_id, approval = await left(scene)
    async with open_letting_go(store_folder, tmp_path, user=user) as scene:
        assert await scene.host.agents.take_up() == [run_id]
        await let_go(scene.runner.active[run_id])
        await answer(scene, approval)
        run = await ended(scene, run_id)
        kinds = await scene.kinds(run.id)
        replayed = await replay_run(scene.host.agents.runs, scene.principal, run.id)
    assert (kinds.count("resumed"), replayed.differences) == (2, [])
    assert run.status == "succeeded"
    assert scene.notes.calls == [("add", {"text": "x"})]


@pytest.mark.parametrize("needed", ["somebody waits", "its time is limited"])
async def test_run_that_is_needed_is_not_let_go(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, needed: str
) -> None:
    looks = asyncio.Queue[str]()
    later = Shelf._look_later

    def counted(self: Shelf, root: str) -> None:
        looks.put_nowait(root)
        later(self, root)

    monkeypatch.setattr(Shelf, "_look_later", counted)
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        holding(scene)
        scene.agent("keeper", ADD, limits={"seconds": 600.0 if "time" in needed else 0.0})
        active = await scene.start("keeper")
        end = asyncio.create_task(active.wait()) if "waits" in needed else active.task
        approval = await parked(scene, active)
        for _ in range(3):  # when it begins to wait, and twice that it is not let go
            assert await looks.get() == active.run.id
        await answer(scene, approval)
        assert end is not None
        outcome = await end
    assert outcome.status == "succeeded"
    assert scene.notes.calls == [("add", {"text": "x"})]
