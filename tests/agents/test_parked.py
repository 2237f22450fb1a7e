"""Runs that wait for an approval: longer than a call may, and over a restart of the host."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from host.agents import loop
from host.agents.active import Active
from host.agents.gateway_tools import GatewayTools, RunExchange
from host.agents.toolbox import ToolAnswer
from host.approvals.approval import Answer, Approval
from host.approvals.call import AskedCall
from host.approvals.desk import Desk
from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from tests.agents.scene import Scene, open_agents
from tests.fakes.gateway_scene import read_journal
from tests.fakes.moment import Moment

pytestmark = pytest.mark.anyio

BOSS = Principal("boss", "desk", role="admin", attended=True)
ADD: list[Json] = [
    {"calls": [{"tool": "notes__add", "arguments": {"text": "x"}}]},
    {"reply": "It said: ${result}"},
]
OUTER: list[Json] = [
    {"calls": [{"tool": "agent__keeper", "arguments": {"message": "Keep x"}}]},
    {"reply": "Inside: ${result}"},
]


async def waiting(scene: Scene) -> Approval:
    """Return the call of the scene's user that waits; the scene's patience is the limit."""
    while True:
        found = [
            one
            for one in await scene.host.inbox.approvals()
            if one.state == "pending" and one.user == scene.principal.user
        ]
        if found:
            return found[0]
        await asyncio.sleep(0.02)


async def parked(scene: Scene, active: Active) -> Approval:
    """Return what a run waits for, once the store knows that it does."""
    approval = await waiting(scene)
    await active.log.settle()
    assert (await scene.host.agents.runs.get(scene.principal, active.run.id)).status == "parked"
    return approval


async def answer(scene: Scene, approval: Approval, *, approve: bool = True) -> None:
    said = Answer(approve=approve, by=BOSS, channel="cli", digest=approval.digest)
    await scene.host.inbox.answer(approval.id, said)


async def taken_up(scene: Scene, run_id: str) -> Active:
    assert await scene.host.agents.take_up() == [run_id]
    return scene.runner.active[run_id]


async def test_run_waits_longer_than_a_call_may_and_calls_once(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, again = 0, asyncio.Event()
    call = GatewayTools.call

    async def counted(self: GatewayTools, *given: Any, **named: Any) -> ToolAnswer:
        nonlocal waits
        found = await call(self, *given, **named)
        waits += found.waits
        if waits == 3:
            again.set()
        return found

    monkeypatch.setattr(GatewayTools, "call", counted)
    monkeypatch.setattr(loop, "BETWEEN", 0.0)
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        board = scene.host.board
        board.config = board.config.model_copy(update={"wait": 0.05})
        scene.agent("keeper", ADD)
        active = await scene.start("keeper")
        approval = await parked(scene, active)
        await again.wait()  # several waits of the gateway have ended; none ends the run
        assert active.log.status == "parked"
        await answer(scene, approval)
        outcome = await active.wait()
        kinds = await scene.kinds(active.run.id)
    written = [
        line["name"] if line["kind"] == "note" else line.get("outcome", "intent")
        for line in read_journal(store_folder / "journal")
        if line.get("user") == scene.principal.user
    ]
    assert outcome.text.startswith("It said: add: ")
    assert scene.notes.calls == [("add", {"text": "x"})]
    assert kinds.index("call") < kinds.index("approval") < kinds.index("result")
    assert (kinds.count("approval"), kinds.count("answer")) == (1, 1)
    assert written == ["approval.asked", "approval.used", "intent", "ok"]


@pytest.mark.parametrize("early", [True, False])
async def test_parked_run_goes_on_in_the_next_host_and_calls_once(
    store_folder: Path, tmp_path: Path, early: bool
) -> None:
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", ADD)
        user = scene.principal.user
        active = await scene.start("keeper")
        approval = await parked(scene, active)
    assert scene.notes.calls == []
    async with open_agents(store_folder, tmp_path, policy="default", user=user) as scene:
        if early:
            await answer(scene, approval)
        again = await taken_up(scene, active.run.id)
        if not early:
            await answer(scene, await waiting(scene))
        outcome = await again.wait()
        run = await scene.host.agents.runs.get(scene.principal, active.run.id)
    assert outcome.text.startswith("It said: add: ")
    assert scene.notes.calls == [("add", {"text": "x"})]
    assert (run.status, run.client) == ("succeeded", "test")


async def test_refusal_while_the_host_was_down_reaches_the_model(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", ADD)
        user = scene.principal.user
        active = await scene.start("keeper")
        approval = await parked(scene, active)
    async with open_agents(store_folder, tmp_path, policy="default", user=user) as scene:
        await answer(scene, approval, approve=False)
        outcome = await (await taken_up(scene, active.run.id)).wait()
    assert approval.id in outcome.text
    assert scene.notes.calls == []


async def test_approved_call_that_was_being_made_is_not_made_again(
    store_folder: Path, tmp_path: Path
) -> None:
    turns: list[Json] = [{"calls": [{"tool": "notes__wait"}]}, {"reply": "${result}"}]
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("waiter", turns)
        user = scene.principal.user
        active = await scene.start("waiter")
        await answer(scene, await parked(scene, active))
        await scene.notes.begun.wait()
    async with open_agents(store_folder, tmp_path, policy="default", user=user) as scene:
        assert await scene.host.agents.take_up() == []  # it does not wait any more
        outcome = await (await scene.runner.resume(scene.exchange(), active.run.id)).wait()
    assert "is not known" in outcome.text
    assert scene.notes.calls == []


async def test_run_inside_a_run_is_taken_up_with_it(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", ADD)
        scene.agent("outer", OUTER, tools=[], agents=["keeper"])
        user = scene.principal.user
        active = await scene.start("outer")
        approval = await parked(scene, active)
    async with open_agents(store_folder, tmp_path, policy="default", user=user) as scene:
        again = await taken_up(scene, active.run.id)
        await answer(scene, approval)
        outcome = await again.wait()
        family = await scene.host.agents.runs.family(scene.principal, active.run.id)
    assert outcome.text.startswith("Inside: It said: add: ")
    assert scene.notes.calls == [("add", {"text": "x"})]
    assert [run.status for run in family] == ["succeeded"]


async def test_run_that_was_working_when_the_host_stopped_is_interrupted_and_can_be_resumed(
    store_folder: Path, tmp_path: Path
) -> None:
    turns: list[Json] = [{"calls": [{"tool": "notes__wait"}]}, {"reply": "Done: ${result}"}]
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("waiter", turns)
        user = scene.principal.user
        active = await scene.start("waiter")
        await scene.notes.begun.wait()
    async with open_agents(store_folder, tmp_path, user=user) as scene:
        left = await scene.host.agents.runs.get(scene.principal, active.run.id)
        assert await scene.host.agents.take_up() == []
        outcome = await (await scene.runner.resume(scene.exchange(), active.run.id)).wait()
    assert left.status == "interrupted"
    assert outcome.text.startswith("Done: The host stopped while this call was being made")


async def test_cancelling_a_run_that_waits_takes_its_approval_back(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", ADD)
        scene.agent("outer", OUTER, tools=[], agents=["keeper"])
        active = await scene.start("outer")
        approval = await parked(scene, active)
        run = await scene.runner.cancel(scene.principal, active.run.id)
        found = await scene.host.inbox.find(approval.id)
        assert (run.status, found.state) == ("cancelled", "withdrawn")
        again = await scene.runner.resume(scene.exchange(), run.id)
        anew = await waiting(scene)  # whoever takes it up is asked anew
        await answer(scene, anew, approve=False)
        outcome = await again.wait()
    assert anew.id != approval.id
    assert outcome.status == "succeeded"
    assert scene.notes.calls == []


async def test_run_that_waits_and_is_cancelled_twice_takes_its_approval_back(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", ADD)
        active = await scene.start("keeper")
        approval = await parked(scene, active)
        moment = Moment(monkeypatch)
        moment.of(GatewayTools, "_take_back")
        assert active.task is not None
        active.task.cancel()
        await moment.ends(active.task)
        assert (await scene.host.inbox.find(approval.id)).state == "withdrawn"


async def test_run_whose_time_is_over_while_it_waits_takes_its_approval_back(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", ADD, limits={"seconds": 0.2})
        outcome = await scene.ask("keeper")
        mine = [
            one.state
            for one in await scene.host.inbox.approvals()
            if one.user == scene.principal.user
        ]
    assert "limit of 0.2 seconds" in str(outcome.error)
    assert "pending" not in mine


async def test_run_that_is_cancelled_while_it_asks_takes_its_approval_back(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, go_on = asyncio.Event(), asyncio.Event()
    ask = Desk._ask

    async def slow(self: Desk, call: AskedCall) -> Any:
        found = await ask(self, call)
        stored.set()
        await go_on.wait()
        return found

    monkeypatch.setattr(Desk, "_ask", slow)
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", ADD)
        active = await scene.start("keeper")
        await stored.wait()
        assert active.task is not None
        active.task.cancel()
        asyncio.get_running_loop().call_soon(go_on.set)
        assert (await active.wait()).status == "cancelled"
        mine = [
            one.state
            for one in await scene.host.inbox.approvals()
            if one.user == scene.principal.user
        ]
    assert "pending" not in mine


async def test_time_of_a_call_does_not_run_while_somebody_thinks_about_it(
    store_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[float | None] = []
    waits, goes_on = RunExchange.waits, RunExchange.goes_on

    def watched_waits(self: RunExchange, approval: str, *, inside: str | None = None) -> None:
        waits(self, approval, inside=inside)
        ends.append(self.clock.when())

    def watched_goes_on(self: RunExchange) -> None:
        goes_on(self)
        ends.append(self.clock.when())

    monkeypatch.setattr(RunExchange, "waits", watched_waits)
    monkeypatch.setattr(RunExchange, "goes_on", watched_goes_on)
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", ADD)
        active = await scene.start("keeper")
        await answer(scene, await parked(scene, active))
        outcome = await active.wait()
        kinds = await scene.kinds(active.run.id)
    assert outcome.status == "succeeded"
    assert ends[0] is None
    assert ends[-1] is not None
    assert kinds.index("approval") < kinds.index("answer") < kinds.index("result")


async def test_run_whose_approved_call_is_being_made_is_not_parked_any_more(
    store_folder: Path, tmp_path: Path
) -> None:
    turns: list[Json] = [{"calls": [{"tool": "notes__wait"}]}, {"reply": "${result}"}]
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("waiter", turns)
        active = await scene.start("waiter")
        await answer(scene, await parked(scene, active))
        await scene.notes.begun.wait()
        await active.log.settle()
        run = await scene.host.agents.runs.get(scene.principal, active.run.id)
        scene.notes.gate.set()
        outcome = await active.wait()
    assert run.status == "running"
    assert outcome.status == "succeeded"
