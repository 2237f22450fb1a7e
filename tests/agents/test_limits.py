"""Limits and policies hold over a hand-off, a resumption and a summary."""

import asyncio
import json
from pathlib import Path

import pytest

from host.agents.replay import replay_run
from host.domain.errors import RunStateError
from host.domain.jsonrpc import Json
from host.orchestrator.own_tools import OrchestratorProvider
from tests.agents.scene import Scene, open_agents
from tests.agents.test_loop import call
from tests.agents.test_own_file import NO_ADDING, own_policy

pytestmark = pytest.mark.anyio

OVER: Json = call("hand_over_to_lib")
ADD: Json = call("notes__add", text="x")
READ: Json = call("notes__read", title="a")
LONG_TALK: list[Json] = [
    {
        "when": {"prompt": "Sum up the conversation"},
        "reply": "ALL SO FAR",
        "usage": {"input": 9000, "output": 1000},
    },
    {"when": {"prompt": "ALL SO FAR"}, "reply": "done", "usage": {"input": 10, "output": 5}},
    {**call("notes__long"), "usage": {"input": 0, "output": 0}},
    {**call("notes__long"), "usage": {"input": 0, "output": 0}},
]


def priced(scene: Scene, name: str) -> None:
    """Let a million tokens of a scripted model cost ten dollars."""
    price = "{input: 10, output: 10}"
    text = f"models:\n  {name}: {{model: 'scripted:{name}', price: {price}}}\n"
    (scene.folder / "config").mkdir(exist_ok=True)
    (scene.folder / "config" / "models.yaml").write_text(text)


async def test_policy_of_an_agent_holds_for_the_one_that_it_hands_over_to(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        own_policy(scene, NO_ADDING)
        scene.agent("lib", [{"reply": "unused"}, ADD, {"reply": "It said: ${result}"}])
        scene.agent("lead", [OVER], handoffs=["lib"], policy="tight.policy")
        outcome = await scene.ask("lead")
        assert outcome.agent == "lib"
        assert "notes__add was not called" in outcome.text
        assert scene.notes.calls == []


async def test_policy_holds_after_a_hand_off_in_a_run_that_is_taken_up(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        own_policy(scene, NO_ADDING)
        broken: Json = {"error": {"fault": "auth"}}
        scene.agent("lib", [{"reply": "unused"}, broken])
        scene.agent("lead", [OVER], handoffs=["lib"], policy="tight.policy")
        failed = await scene.ask("lead")
        scene.agent("lib2", None)
        scene.agent("lib", None, model="scripted:better")
        scene.script("better", [{"reply": "unused"}, ADD, {"reply": "It said: ${result}"}])
        again = await scene.runner.resume(scene.exchange(), failed.run.id)
        outcome = await again.wait()
        assert (failed.status, outcome.status) == ("failed", "succeeded")
        assert "notes__add was not called" in outcome.text
        assert scene.notes.calls == []


async def test_agent_that_a_conversation_is_handed_over_to_keeps_its_own_limits(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("lib", [{"reply": "unused"}, READ, READ, READ], limits={"steps": 1})
        scene.agent("lead", [OVER], handoffs=["lib"])
        outcome = await scene.ask("lead")
        assert outcome.status == "failed"
        assert "limit of 1 steps" in str(outcome.error)
        assert outcome.run.steps == 2


async def test_limits_of_who_hands_over_hold_to_the_end_of_the_run(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("lib", [{"reply": "unused"}, READ, READ, READ])
        scene.agent("lead", [OVER], handoffs=["lib"], limits={"steps": 2})
        outcome = await scene.ask("lead")
        assert outcome.status == "failed"
        assert "limit of 2 steps" in str(outcome.error)
        assert len(scene.notes.calls) == 1


async def test_hand_off_does_not_stop_the_clock_of_either(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("lib", [{"reply": "unused"}, call("notes__wait")], limits={"seconds": 0.05})
        scene.agent("lead", [OVER], handoffs=["lib"], limits={"seconds": 3600})
        outcome = await scene.ask("lead")
        assert "limit of 0.05 seconds" in str(outcome.error)


async def test_resumed_run_has_only_what_is_left_of_its_limits(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("busy", [], limits={"steps": 2})
        scene.script("busy", [READ], loop=True)
        outcome = await scene.ask("busy")
        for _ in range(2):
            again = await scene.runner.resume(scene.exchange(), outcome.run.id)
            ended = await again.wait()
            assert "limit of 2 steps" in str(ended.error)
        assert len(scene.notes.calls) == 2
        scene.agent("busy", None, limits={"steps": 3})
        raised = await scene.runner.resume(scene.exchange(), outcome.run.id)
        assert "limit of 3 steps" in str((await raised.wait()).error)
        assert len(scene.notes.calls) == 3


async def test_resumed_run_counts_what_runs_inside_it_had_used(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("inner", [{"reply": "hi", "usage": {"input": 900, "output": 200}}])
        turns: list[Json] = [call("agent__inner", message="x"), {"reply": "never"}]
        scene.agent("outer", turns, agents=["inner"], limits={"tokens": 1000})
        outcome = await scene.ask("outer")
        again = await (await scene.runner.resume(scene.exchange(), outcome.run.id)).wait()
        assert again.status == "failed"
        assert "limit of 1,000 tokens" in str(again.error)


async def test_resumed_run_has_no_more_repairs_than_it_had(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("stubborn", [], limits={"repairs": 1})
        scene.script("stubborn", [{"reply": "forty-two"}], loop=True)
        outcome = await scene.ask("stubborn", schema={"type": "integer"})
        again = await (await scene.runner.resume(scene.exchange(), outcome.run.id)).wait()
        assert "never met its schema" in str(again.error)
        assert (await scene.kinds(outcome.run.id)).count("reply") == 2


async def test_run_inside_a_run_is_not_taken_up_without_it(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("inner", [{"error": {"fault": "auth"}}])
        turns: list[Json] = [call("agent__inner", message="x"), {"reply": "${result}"}]
        scene.agent("outer", turns, agents=["inner"])
        outcome = await scene.ask("outer")
        [inside] = await scene.host.agents.runs.family(scene.principal, outcome.run.id)
        with pytest.raises(RunStateError, match=f"part of the run {outcome.run.id}"):
            await scene.runner.resume(scene.exchange(), inside.id)


async def test_summary_counts_towards_cost_tokens_and_steps(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        priced(scene, "talker")
        scene.notes.long = "word " * 300
        scene.agent("talker", LONG_TALK, memory={"buffer": 700}, result_tokens=2000)
        outcome = await scene.ask("talker")
        [summed] = [one for one in await scene.events(outcome.run.id) if one.kind == "compacted"]
        replayed = await replay_run(scene.host.agents.runs, scene.principal, outcome.run.id)
        assert outcome.text == "done"
        assert outcome.run.steps == 4
        assert outcome.run.cost == pytest.approx(0.10015)
        assert summed.data["cost"] == pytest.approx(0.1)
        assert summed.data["usage"] == {"input_tokens": 9000, "output_tokens": 1000}
        assert replayed.differences == []


@pytest.mark.parametrize("limit", [{"cost": 0.05}, {"tokens": 3000}])
async def test_summary_that_exceeds_a_limit_ends_the_run(
    store_folder: Path, tmp_path: Path, limit: dict[str, float]
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        priced(scene, "talker")
        scene.notes.long = "word " * 300
        more: Json = {"memory": {"buffer": 700}, "result_tokens": 2000, "limits": limit}
        scene.agent("talker", LONG_TALK, **more)
        outcome = await scene.ask("talker")
        assert outcome.status == "failed"
        assert f"reached its limit of {'$' if 'cost' in limit else ''}" in str(outcome.error)


def dear(scene: Scene, *names: str) -> None:
    """Let a thousand tokens of what scripted models write cost 60 cents."""
    prices = {f"scripted:{name}": {"input": 0, "output": 600} for name in names}
    (scene.folder / "config").mkdir(exist_ok=True)
    (scene.folder / "config" / "models.yaml").write_text(json.dumps({"prices": prices}))


async def test_runs_that_go_on_at_the_same_time_share_the_steps_of_the_one_that_began_them(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.host.own["orchestrator"] = OrchestratorProvider(scene.host)
        scene.agent("slow", [{"reply": "late", "delay": 1000}])
        asked: Json = {"agent": "slow", "message": "x"}
        begin: Json = {"tool": "orchestrator__start_run", "arguments": asked}
        turns: list[Json] = [{"calls": [begin] * 5}, {"reply": "begun"}]
        scene.agent("fan", turns, tools=["orchestrator__start_run"], limits={"steps": 3})
        fan = await scene.ask("fan")
        under_way = scene.runner.active
        while len(under_way) > 3 - fan.run.steps:
            tasks = [one.task for one in under_way.values() if one.task is not None]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        inside = await scene.host.agents.runs.family(scene.principal, fan.run.id)
        refused = [run for run in inside if run.id not in under_way]
        assert len(inside) == 5
        assert {run.status for run in refused} == {"failed"}
        assert all("limit of 3 steps" in str(run.error) for run in refused)
        assert [await scene.kinds(run.id) for run in refused] == [["started", "finished"]] * len(
            refused
        )


async def test_request_that_may_cost_more_than_is_left_of_the_limit_is_not_sent(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        dear(scene, "spender")
        turns: list[Json] = [{**READ, "usage": {"input": 1, "output": 1000}}, {"reply": "never"}]
        scene.agent("spender", turns, limits={"cost": 1})
        outcome = await scene.ask("spender")
        assert outcome.status == "failed"
        assert "its limit of $1: $0.6000 is used, and the next request may cost $0.6000" in str(
            outcome.error
        )
        assert "Raise `limits.cost`" in str(outcome.error)
        assert (await scene.kinds(outcome.run.id)).count("reply") == 1
        assert outcome.run.cost == pytest.approx(0.6)
        scene.agent("spender", None, limits={"cost": 1}, parameters={"max_tokens": 600})
        again = await scene.runner.resume(scene.exchange(), outcome.run.id)
        assert (await again.wait()).text == "never"


async def test_request_of_a_run_inside_fits_into_what_is_left_of_the_one_around(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        dear(scene, "inner", "outer")
        scene.agent("inner", [{"reply": "never"}], limits={"cost": 9})
        asks = {**call("agent__inner", message="x"), "usage": {"input": 1, "output": 1000}}
        scene.agent("outer", [asks], agents=["inner"], limits={"cost": 1})
        outcome = await scene.ask("outer")
        [inside] = await scene.host.agents.runs.family(scene.principal, outcome.run.id)
        assert "limit of $1: $0.6000 is used" in str(inside.error)
        assert "reply" not in await scene.kinds(inside.id)


async def test_reading_on_where_nothing_is_kept_is_replayed_alike(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.notes.long = "a" * 400 + "THE END"
        turns: list[Json] = [
            call("read_more", result="early", offset=0),
            call("notes__long"),
            call("read_more", result="nope", offset=0),
            call("read_more", result="nope"),
            call("read_more", result="call_1_0", offset=400),
            {"reply": "${result}"},
        ]
        scene.agent("reader", turns, result_tokens=100)
        outcome = await scene.ask("reader")
        replayed = await replay_run(scene.host.agents.runs, scene.principal, outcome.run.id)
        assert outcome.text.startswith("THE END")
        assert replayed.differences == []
