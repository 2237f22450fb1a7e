"""A replay is like its run where a model begins anew with the ids of calls in each reply."""

from pathlib import Path

import pytest
from pydantic_ai.messages import ModelResponse
from typing_extensions import override

from host.agents.replay import ReplayResult, replay_run
from host.agents.transcript import Transcript
from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from host.events.run import Event
from host.events.runs import Runs
from tests.agents.scene import Scene, open_agents
from tests.agents.test_life import crash
from tests.agents.test_loop import call

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("ids_of_each_reply")]

SCHEMA: Json = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
}
LONG: Json = call("notes__long")
READ: Json = call("notes__read", title="a")
BOTH: Json = {
    "calls": [{"tool": "notes__read", "arguments": {"title": title}} for title in ("a", "b")]
}
SIDE_BY_SIDE: Json = {
    "calls": [{"tool": "notes__long"}, {"tool": "notes__read", "arguments": {"title": 3}}]
}
LOOKS: Json = {"calls": [{"tool": "notes__look"}] * 3}
LATER: Json = {"json": {"answer": 1}, **READ}


def as_it_came(transcript: Transcript, response: ModelResponse) -> ModelResponse:
    return response


async def replayed(scene: Scene, run_id: str) -> ReplayResult:
    return await replay_run(scene.host.agents.runs, scene.principal, run_id)


@pytest.mark.parametrize(
    "turns",
    [
        [call("notes__add", text="1"), call("notes__add", text="2")],
        [call("notes__add", text="1"), call("notes__add", text="1")],
        [call("notes__add", text=1), call("notes__add", text="x"), call("notes__add")],
        [BOTH, READ, BOTH],
        [SIDE_BY_SIDE],
        [LONG, call("read_more", result="call_0", offset=400), READ],
        [LONG, LONG, call("read_more", result="call_0-2", offset=400)],
        [call("read_more", result="call_0", offset=0), LONG, call("gone")],
    ],
)
async def test_each_call_gets_the_result_of_its_own_reply(
    store_folder: Path, tmp_path: Path, turns: list[Json]
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.notes.long = "a" * 400 + "THE END"
        scene.agent("worker", [*turns, {"reply": "It: ${result}"}], result_tokens=100)
        outcome = await scene.ask("worker")
        again = await replayed(scene, outcome.run.id)
    assert outcome.status == "succeeded"
    assert (again.differences, again.steps) == ([], len(turns) + 1)


@pytest.mark.parametrize(
    "turns",
    [
        [READ, {"json": {"answer": "one"}}, READ, {"json": {}}],
        [LATER, {"json": {"answer": "one"}}],
        [READ, call("gone")],
    ],
)
async def test_answer_that_was_sent_back_or_came_too_early_is_so_again(
    store_folder: Path, tmp_path: Path, turns: list[Json]
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("worker", [*turns, {"json": {"answer": 1}}], output=SCHEMA)
        outcome = await scene.ask("worker")
        again = await replayed(scene, outcome.run.id)
    assert (outcome.status, outcome.value) == ("succeeded", {"answer": 1})
    assert (again.differences, again.steps) == ([], len(turns) + 1)


async def test_call_that_was_open_at_a_crash_gets_its_own_result_after_one_of_the_same_id(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        turns = [call("notes__add", text="1"), call("notes__look"), {"reply": "It: ${result}"}]
        scene.agent("worker", turns)
        active = await scene.start("worker")
        await scene.notes.begun.wait()
        await crash(scene, active.run.id)
        scene.notes.gate.set()
        await (await scene.runner.resume(scene.exchange(), active.run.id)).wait()
        kinds = await scene.kinds(active.run.id)
        again = await replayed(scene, active.run.id)
    assert kinds.count("call") == 3
    assert again.differences == []


async def test_run_that_goes_on_in_calls_made_side_by_side_or_was_cancelled_there_is_replayed_alike(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("worker", [READ, LOOKS, {"reply": "It: ${result}"}])
        active = await scene.start("worker")
        await scene.notes.begun.wait()
        await active.log.settle()
        meanwhile = await replayed(scene, active.run.id)
        run = await scene.runner.cancel(scene.principal, active.run.id)
        kinds = await scene.kinds(run.id)
        again = await replayed(scene, run.id)
    assert (run.status, kinds[-4:]) == ("cancelled", ["call", "call", "call", "finished"])
    assert (meanwhile.differences, meanwhile.steps) == ([], 2)
    assert (again.differences, again.steps) == ([], 2)


async def test_run_that_was_out_of_time_in_calls_made_side_by_side_is_replayed_alike(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("worker", [LOOKS, {"reply": "done"}], limits={"seconds": 2})
        outcome = await scene.ask("worker")
        again = await replayed(scene, outcome.run.id)
    assert "limit of 2 seconds" in str(outcome.error)
    assert scene.notes.begun.is_set()
    assert (again.differences, again.steps) == ([], 1)


class ChangedRuns(Runs):
    """Runs of which the record of a long text was changed in its middle."""

    @override
    async def events(self, principal: Principal, run_id: str, *, after: int = 0) -> list[Event]:
        found = await super().events(principal, run_id, after=after)
        made = next(event for event in found if event.kind == "call")
        made.data["arguments"]["text"] = "a" * 5000 + "HERE" + "a" * 5000
        return found


async def test_of_a_long_difference_the_place_is_shown_and_how_long_it_is(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("worker", [call("notes__add", text="a" * 10_004), {"reply": "done"}])
        outcome = await scene.ask("worker")
        changed = ChangedRuns(scene.host.store)
        [told] = (await replay_run(changed, scene.principal, outcome.run.id)).differences
    assert "aaaHEREaaa" in told
    assert told.count("characters)") == 2
    assert len(told) < 600


async def test_record_in_which_ids_of_calls_repeat_is_replayed_alike(
    store_folder: Path, tmp_path: Path
) -> None:
    turns = [call("notes__add", text="1"), call("notes__add", text="2"), {"reply": "${result}"}]
    async with open_agents(store_folder, tmp_path) as scene:
        with pytest.MonkeyPatch.context() as patch:  # as earlier versions wrote them
            patch.setattr(Transcript, "with_own_ids", as_it_came)
            scene.agent("writer", turns)
            outcome = await scene.ask("writer")
        ids = [
            event.data["id"] for event in await scene.events(outcome.run.id) if event.kind == "call"
        ]
        assert ids == ["call_0", "call_0"]
        assert (await replayed(scene, outcome.run.id)).differences == []
