"""Runs that wait are cancelled for good, whatever else happens to them at that moment."""

import asyncio
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from host.agents import shelf
from host.agents.active import Active, leave_all
from host.agents.attending import attend
from host.agents.endings import Endings
from host.agents.order import Outcome
from host.agents.runner import Runner
from host.approvals.inbox import Inbox
from host.domain.errors import RunStateError, StoreError
from host.domain.principal import Principal
from host.events.run import Event, Run
from host.events.runs import Runs
from host.gateway.exchange import CANCELLED_BY_CLIENT
from tests.agents.scene import open_agents
from tests.agents.test_loop import call
from tests.agents.test_parked import ADD, OUTER, answer, waiting
from tests.agents.test_shelf import (
    ended,
    left,
    left_with_one_inside,
    let_go,
    open_letting_go,
)

pytestmark = pytest.mark.anyio


async def test_run_that_is_cancelled_at_the_moment_of_its_answer_is_not_taken_up(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_letting_go(store_folder, tmp_path) as scene:
        run_id, _ = await left(scene)
        run = await scene.runner.cancel(scene.principal, run_id)
        with pytest.raises(RunStateError, match="does not wait any more: it is cancelled"):
            await scene.runner.resume(scene.exchange(), run_id, parked=True)
        kinds = await scene.kinds(run_id)
    assert (run.status, kinds[-1]) == ("cancelled", "finished")


async def test_run_that_is_cancelled_as_it_is_let_go_has_ended(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get, leaving = Runs.get, list[asyncio.Task[None]]()

    async def get_and_let_go(self: Runs, principal: Principal, run_id: str) -> Run:
        run = await get(self, principal, run_id)
        if scene.runner.active and not leaving:
            leaving.append(asyncio.create_task(leave_all([active])))
            await asyncio.sleep(0)
        return run

    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", ADD)
        active = await scene.start("keeper")
        await waiting(scene)
        monkeypatch.setattr(Runs, "get", get_and_let_go)
        run = await scene.runner.cancel(scene.principal, active.run.id)
        kinds = await scene.kinds(run.id)
        await leaving[0]
    assert (run.status, kinds[-1]) == ("cancelled", "finished")
    assert scene.notes.calls == []


async def test_run_that_is_cancelled_as_it_is_taken_up_has_ended(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, claimed, gate = Runs.claim, asyncio.Event(), asyncio.Event()

    async def slowly(
        self: Runs, principal: Principal, run: Run, *, holder: int | None = None, force: bool
    ) -> Run:
        found = await claim(self, principal, run, holder=holder, force=force)
        claimed.set()
        await gate.wait()
        return found

    async with open_letting_go(store_folder, tmp_path) as scene:
        scene.script("keeper", [ADD[0], call("notes__look"), {"reply": "done"}])
        run_id, approval = await left(scene)
        monkeypatch.setattr(Runs, "claim", slowly)
        await answer(scene, approval)
        await claimed.wait()
        asyncio.get_running_loop().call_later(0.2, gate.set)
        run = await scene.runner.cancel(scene.principal, run_id)
    assert run.status == "cancelled"


async def test_run_that_was_interrupted_is_ended_as_it_stands(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("looker", [call("notes__look"), {"reply": "done"}])
        active = await scene.start("looker")
        await scene.notes.begun.wait()
        await leave_all([active])
        run = await scene.runner.cancel(scene.principal, active.run.id)
        kinds = await scene.kinds(run.id)
    assert (run.status, kinds[-2:]) == ("cancelled", ["call", "finished"])


async def test_run_inside_one_that_waits_is_cancelled_by_way_of_it(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_letting_go(store_folder, tmp_path) as scene:
        run_id, _ = await left_with_one_inside(scene)
        [inner] = await scene.host.agents.runs.family(scene.principal, run_id)
        with pytest.raises(RunStateError, match=f"host runs cancel {run_id}"):
            await scene.runner.cancel(scene.principal, inner.id)
        run = await scene.runner.cancel(scene.principal, run_id)
    assert run.status == "cancelled"


async def test_run_inside_one_that_is_cancelled_before_it_comes_to_it_again_ends_as_well(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = asyncio.Event()

    async def never(*_given: object) -> None:
        began.set()
        await asyncio.get_running_loop().create_future()

    async with open_letting_go(store_folder, tmp_path) as scene:
        run_id, approval = await left_with_one_inside(scene)
        monkeypatch.setattr("host.agents.inside.go_on_inside", never)
        await answer(scene, approval)
        await began.wait()
        run = await scene.runner.cancel(scene.principal, run_id)
        family = await scene.host.agents.runs.family(scene.principal, run_id)
    assert [one.status for one in (run, *family)] == ["cancelled", "cancelled"]


async def test_run_whose_client_cancels_it_while_it_is_about_to_be_let_go_has_ended(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pending, looking, looked = Inbox.pending, asyncio.Event(), asyncio.Event()
    withdraw, ending, ended = Inbox.withdraw, asyncio.Event(), asyncio.Event()

    async def look(self: Inbox, approval_ids: Collection[str]) -> frozenset[str]:
        found = await pending(self, approval_ids)
        looking.set()
        await looked.wait()
        return found

    async def take_back(self: Inbox, approval_id: str, *, reason: str) -> None:
        ending.set()
        await ended.wait()
        await withdraw(self, approval_id, reason=reason)

    monkeypatch.setattr(Inbox, "pending", look)
    monkeypatch.setattr(Inbox, "withdraw", take_back)
    async with open_letting_go(store_folder, tmp_path) as scene:
        active = await scene.start("keeper")
        client = asyncio.create_task(attend(scene.runner, active, scene.exchange()))
        await looking.wait()
        client.cancel(CANCELLED_BY_CLIENT)
        await ending.wait()
        looked.set()
        asyncio.get_running_loop().call_later(0.1, ended.set)
        await let_go(active)
        run = await scene.host.agents.runs.get(scene.principal, active.run.id)
    assert run.status == "cancelled"


async def test_run_inside_that_is_being_let_go_ends_with_the_one_around_it(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave, gate = Runner._leave, asyncio.Event()

    async def slowly(self: Runner, active: Active, *, parked: bool) -> Outcome:
        if active.outer is not None:
            await gate.wait()
        return await leave(self, active, parked=parked)

    monkeypatch.setattr(Runner, "_leave", slowly)
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", ADD)
        scene.agent("outer", OUTER, tools=[], agents=["keeper"])
        outer = await scene.start("outer")
        await waiting(scene)
        leaving = asyncio.create_task(leave_all(list(scene.runner.active.values())))
        await let_go(outer)
        asyncio.get_running_loop().call_later(0.2, gate.set)
        run = await scene.runner.cancel(scene.principal, outer.run.id)
        await leaving
        family = await scene.host.agents.runs.family(scene.principal, run.id)
    assert [one.status for one in (run, *family)] == ["cancelled", "cancelled"]


async def test_cancelling_goes_on_when_whoever_asked_for_it_has_left(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_back, there, gate = Endings.take_back, asyncio.Event(), asyncio.Event()

    async def slowly(self: Endings, run: Run, events: Sequence[Event]) -> None:
        there.set()
        await gate.wait()
        await take_back(self, run, events)

    monkeypatch.setattr(Endings, "take_back", slowly)
    async with open_letting_go(store_folder, tmp_path) as scene:
        run_id, approval = await left(scene)
        asking = asyncio.create_task(scene.runner.cancel(scene.principal, run_id))
        await there.wait()
        asking.cancel()
        asyncio.get_running_loop().call_later(0.1, gate.set)
        await asyncio.wait([asking])
        run = await scene.host.agents.runs.get(scene.principal, run_id)
        found = await scene.host.inbox.find(approval.id)
    assert (run.status, found.state) == ("cancelled", "withdrawn")


async def test_run_that_waits_can_be_cancelled_twice_at_once(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_letting_go(store_folder, tmp_path) as scene:
        run_id, _ = await left(scene)
        other = asyncio.create_task(scene.runner.cancel(scene.principal, run_id))
        runs = [await scene.runner.cancel(scene.principal, run_id), await other]
        kinds = await scene.kinds(run_id)
    assert ([run.status for run in runs], kinds.count("finished")) == (["cancelled"] * 2, 1)


async def test_cancelling_that_failed_half_way_can_be_repeated(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end, failures = Endings.end, iter([StoreError("away")])

    async def failing(self: Endings, *given: object, **named: object) -> None:
        for failure in failures:
            raise failure
        await end(self, *given, **named)  # pyright: ignore[reportArgumentType] - what came

    monkeypatch.setattr(Endings, "end", failing)
    async with open_letting_go(store_folder, tmp_path) as scene:
        run_id, approval = await left_with_one_inside(scene)
        with pytest.raises(StoreError, match="away"):
            await scene.runner.cancel(scene.principal, run_id)
        run = await scene.runner.cancel(scene.principal, run_id)
        family = await scene.host.agents.runs.family(scene.principal, run_id)
        found = await scene.host.inbox.find(approval.id)
    assert [one.status for one in (run, *family)] == ["cancelled", "cancelled"]
    assert found.state == "withdrawn"


async def test_what_cancelled_runs_had_met_is_not_kept(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", ADD)
        scene.agent("outer", OUTER, tools=[], agents=["keeper"])
        outer = await scene.start("outer")
        await waiting(scene)
        family = list(scene.runner.active.values())
        for one in family:
            one.taint.meet(frozenset({"untrusted"}), source="a test")
        await leave_all(family)
        names = {f"run:{one.run.id}" for one in family}
        assert (len(names), names - {*scene.host.taint.principals()}) == (2, set())
        await scene.runner.cancel(scene.principal, outer.run.id)
        assert names.isdisjoint(scene.host.taint.principals())


async def test_run_whose_agents_file_is_wrong_at_the_start_of_the_host_goes_on_once_it_is_right(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "LOOK_AGAIN", 0.05)
    async with open_letting_go(store_folder, tmp_path) as scene:
        user = scene.principal.user
        run_id, approval = await left(scene)
    async with open_letting_go(store_folder, tmp_path, user=user) as scene:
        file = tmp_path / "config" / "agents" / "keeper.yaml"
        right = file.read_text()
        file.write_text("model: [")
        assert await scene.host.agents.take_up() == []
        await answer(scene, approval)
        file.write_text(right)
        assert (await ended(scene, run_id)).status == "succeeded"
    assert scene.notes.calls == [("add", {"text": "x"})]
