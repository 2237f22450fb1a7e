"""Runs outlive who asked for them, can be cancelled, resumed after a crash, and replayed."""

import os
import secrets
import sys
from pathlib import Path

import anyio
import pytest
from typing_extensions import override

from host.agents.replay import replay_run
from host.agents.runner import Active
from host.agents.transcript import MAYBE_MADE
from host.domain.errors import NotFoundError, RunStateError, StaleRunError
from host.domain.jsonrpc import Json
from host.domain.principal import Principal
from host.events.run import Event, Run, new_run_id
from host.events.runs import Runs
from tests.agents.scene import Scene, open_agents
from tests.agents.test_loop import call
from tests.agents.test_parked import answer, waiting

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).with_name("programs")


async def crash(scene: Scene, run_id: str) -> Run:
    """Leave a run as a killed process would: going on in the store, and worked on by nobody."""
    active = scene.runner.active[run_id]
    await active.log.settle()
    # From now on this process's writes are those of one that was overtaken.
    run = await scene.host.agents.runs.get(scene.principal, run_id)
    claimed = await scene.host.agents.runs.claim(scene.principal, run, force=True)
    assert active.task is not None
    active.log.leaving = True  # nothing is taken back or given up by a process that is dead
    active.task.cancel()
    scene.runner.active.pop(run_id)
    async with scene.host.store.transaction(scene.principal) as database:
        await database.execute(
            "update host.runs set heartbeat = now() - interval '1 hour' where id = %s", [run_id]
        )
    return claimed


class ChangedRuns(Runs):
    """Runs whose calls were tampered with."""

    @override
    async def events(self, principal: Principal, run_id: str, *, after: int = 0) -> list[Event]:
        found = await super().events(principal, run_id, after=after)
        made = next(event for event in found if event.kind == "call")
        made.data["arguments"] = {"text": "something else"}
        return found


async def add_late(active: Active) -> None:
    active.log.add("error", {"text": "from the past"})
    await active.log.settle()


async def begun(scene: Scene, *turns: Json) -> Active:
    """Start a run and return it when it is in a call that waits."""
    scene.agent("patient", [*turns] or [call("notes__wait"), {"reply": "done"}])
    active = await scene.start("patient")
    await scene.notes.begun.wait()
    return active


async def test_run_goes_on_when_whoever_waits_is_gone(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("patient", [call("notes__wait"), {"reply": "done"}])
        active = await scene.start("patient")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await active.wait()
        await scene.notes.begun.wait()
        scene.notes.gate.set()
        assert (await active.wait()).text == "done"


async def test_cancelled_run_says_so_and_keeps_what_happened(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        active = await begun(scene)
        run = await scene.runner.cancel(scene.principal, active.run.id)
        assert run.status == "cancelled"
        assert await scene.kinds(run.id) == ["started", "request", "reply", "call", "finished"]


async def test_stopped_reply_is_kept_as_far_as_it_came_and_replays(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("long", [{"reply": "One two three four.", "chunk": 4, "chunk_delay": 60}])
        active = await scene.start("long", "count")
        heard = anyio.Event()

        def hear(event: Event) -> None:
            if event.kind == "delta":
                heard.set()

        stop = scene.host.agents.hub.listen(active.run.id, hear)
        with anyio.fail_after(60):
            await heard.wait()
        stop()
        await active.log.settle()
        await scene.runner.cancel(scene.principal, active.run.id)
        cut = (await scene.events(active.run.id))[-2]
        assert (cut.kind, cut.data["said"]) == ("cancelled", "One ")
        runs = scene.host.agents.runs
        assert (await replay_run(runs, scene.principal, active.run.id)).differences == []


async def test_resumed_run_does_not_repeat_a_call_whose_outcome_is_unknown(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        turns = [call("notes__add", text="a"), call("notes__wait"), {"reply": "It said: ${result}"}]
        active = await begun(scene, *turns)
        await crash(scene, active.run.id)
        assert [name for name, _ in scene.notes.calls] == ["add", "wait"]
        resumed = await scene.runner.resume(scene.exchange(), active.run.id)
        outcome = await resumed.wait()
        assert outcome.status == "succeeded"
        assert "Whether it took effect is not known" in outcome.text
        assert [name for name, _ in scene.notes.calls] == ["add", "wait"]


@pytest.mark.parametrize("state", ["cancelled", "going on", "asked"])
async def test_next_message_is_told_that_a_call_without_result_may_have_been_made(
    store_folder: Path, tmp_path: Path, state: str
) -> None:
    policy = "default" if state == "asked" else "permissive"
    async with open_agents(store_folder, tmp_path, policy=policy) as scene:
        scene.agent("busy", [call("notes__wait"), {"reply": "Done."}])
        scene.agent("next", [{"when": {"asked": True}, "reply": "${result}"}])
        active = await scene.start("busy")
        if state == "asked":
            await waiting(scene)
        else:
            await scene.notes.begun.wait()
        if state == "cancelled":
            await scene.runner.cancel(scene.principal, active.run.id)
        after = await scene.ask("next", "And?", thread=active.run.id)
        assert after.text == MAYBE_MADE
        if state == "asked":
            await scene.runner.cancel(scene.principal, active.run.id)
            after = await scene.ask("next", "And now?", thread=active.run.id)
            assert (after.text, scene.notes.calls) == ("Not carried out.", [])


async def test_overtaken_writer_adds_nothing(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        active = await begun(scene)
        await active.log.settle()
        runs = scene.host.agents.runs
        run = await runs.get(scene.principal, active.run.id)
        await runs.claim(scene.principal, run, force=True)
        before = await scene.events(active.run.id)
        with pytest.raises(StaleRunError):
            await add_late(active)
        assert await scene.events(active.run.id) == before


async def test_run_that_goes_on_elsewhere_cannot_be_taken_away(
    store_folder: Path, tmp_path: Path
) -> None:
    user = f"user-{secrets.token_hex(4)}"
    async with (
        open_agents(store_folder, tmp_path, user=user) as scene,
        open_agents(store_folder, tmp_path, user=user) as other,
    ):
        active = await begun(scene)
        await active.log.settle()
        with pytest.raises(RunStateError, match=r"when nothing is heard of it for another \d+ s"):
            await other.runner.resume(other.exchange(), active.run.id)
        scene.notes.gate.set()
        assert (await active.wait()).status == "succeeded"


async def test_process_whose_connection_broke_is_known_to_live_and_keeps_its_run(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        active = await begun(scene)
        await active.log.settle()
        runs = scene.host.agents.runs
        assert await break_connection(scene, active.run.id) == [True]
        await known_gone(scene, active.run.id)
        active.log.note("here")
        await active.log.settle()
        run = await runs.get(scene.principal, active.run.id)
        with pytest.raises(RunStateError, match="going on in another process"):
            await runs.claim(scene.principal, run)
        scene.notes.gate.set()
        assert (await active.wait()).status == "succeeded"


async def known_gone(scene: Scene, run_id: str) -> None:
    """Return when PostgreSQL has noticed, in its own time, that a run's holder is gone."""
    while True:
        run = await scene.host.agents.runs.get(scene.principal, run_id)
        if run.status == "interrupted":
            return


async def break_connection(scene: Scene, run_id: str) -> list[bool]:
    """End the connection that shows that the holder of a run lives."""
    async with scene.host.store.transaction(scene.principal) as database:
        ended = await database.execute(
            "select pg_terminate_backend(pid) as done from pg_locks join host.runs"
            " on (classid::bigint << 32) | objid::bigint = holder"
            " where id = %s and locktype = 'advisory'",
            [run_id],
        )
        return [row["done"] for row in await ended.fetchall()]


async def test_call_that_waited_is_not_made_by_a_process_that_was_overtaken_meanwhile(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path, policy="default") as scene:
        scene.agent("keeper", [call("notes__add", text="x"), {"reply": "done"}])
        active = await scene.start("keeper")
        approval = await waiting(scene)
        await active.log.settle()
        run = await scene.host.agents.runs.get(scene.principal, active.run.id)
        await scene.host.agents.runs.claim(scene.principal, run, force=True)
        await answer(scene, approval)
        assert (await active.wait()).status == "failed"
        assert scene.notes.calls == []


async def test_run_that_ended_well_is_not_resumed(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("quick", [{"reply": "done"}])
        outcome = await scene.ask("quick")
        with pytest.raises(RunStateError, match="has ended well"):
            await scene.runner.resume(scene.exchange(), outcome.run.id)


async def test_recorded_run_is_replayed_alike_without_any_call(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        both = {
            "calls": [
                {"tool": "notes__read", "arguments": {"title": "a"}},
                {"tool": "notes__read", "arguments": {"title": "b"}},
            ]
        }
        turns = [both, call("notes__add", text=1), call("notes__add", text="x"), {"reply": "end"}]
        scene.agent("writer", turns)
        outcome = await scene.ask("writer")
        made = list(scene.notes.calls)
        result = await replay_run(scene.host.agents.runs, scene.principal, outcome.run.id)
        assert (result.differences, result.steps) == ([], 4)
        assert scene.notes.calls == made


async def test_run_whose_call_was_made_again_after_a_crash_is_replayed_alike(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        active = await begun(scene, call("notes__look"), {"reply": "It said: ${result}"})
        await crash(scene, active.run.id)
        scene.notes.gate.set()
        outcome = await (await scene.runner.resume(scene.exchange(), active.run.id)).wait()
        kinds = await scene.kinds(active.run.id)
        replayed = await replay_run(scene.host.agents.runs, scene.principal, active.run.id)
    assert (outcome.status, kinds.count("call"), kinds.count("result")) == ("succeeded", 2, 1)
    assert (replayed.differences, replayed.steps) == ([], 2)
    assert [name for name, _ in scene.notes.calls] == ["look", "look"]


async def test_replay_tells_where_a_record_was_changed(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("writer", [call("notes__add", text="x"), {"reply": "end"}])
        outcome = await scene.ask("writer")
        changed = ChangedRuns(scene.host.store)
        result = await replay_run(changed, scene.principal, outcome.run.id)
        assert len(result.differences) == 1


async def test_follower_sees_every_event_until_the_end(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        active = await begun(scene)
        seen: list[str] = []
        async for event in scene.host.agents.runs.follow(scene.principal, active.run.id):
            seen.append(event.kind)
            if event.kind == "call":
                scene.notes.gate.set()
        assert seen == await scene.kinds(active.run.id)
        assert seen[-1] == "finished"


async def test_runs_of_one_user_are_not_seen_by_another(store_folder: Path, tmp_path: Path) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("quick", [{"reply": "done"}])
        outcome = await scene.ask("quick")
        stranger = type(scene.principal)(f"user-{new_run_id()}", "test")
        assert await scene.host.agents.runs.page(stranger) == []
        assert await scene.host.agents.runs.events(stranger, outcome.run.id) == []


async def test_run_whose_process_was_killed_in_a_call_goes_on_without_repeating_anything(
    store_folder: Path, tmp_path: Path
) -> None:
    user = f"user-{secrets.token_hex(4)}"
    program = [sys.executable, str(PROGRAMS / "hang.py"), str(store_folder), str(tmp_path), user]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    async with await anyio.open_process(program, env=environ, stderr=None) as process:
        assert process.stdout is not None
        run_id = (await process.stdout.receive()).decode().strip()
        process.kill()
    async with open_agents(store_folder, tmp_path, user=user) as scene:
        async with scene.host.store.transaction(Principal("host", "t", role="admin")) as database:
            await database.execute(  # as if it had shown itself just now, for ever
                "update host.runs set heartbeat = now() + interval '1 hour' where id = %s", [run_id]
            )
        await known_gone(scene, run_id)
        [run] = await scene.host.agents.runs.interrupted(scene.principal)
        assert run.id == run_id
        active = await scene.runner.resume(scene.exchange(), run_id)
        outcome = await active.wait()
        assert outcome.status == "succeeded"
        assert "Whether it took effect is not known" in outcome.text
        assert scene.notes.calls == []
        kinds = await scene.kinds(run_id)
        assert kinds == [
            *("started", "request", "reply", "call", "result", "request", "reply", "call"),
            *("resumed", "result", "request", "reply", "finished"),
        ]
        replayed = await replay_run(scene.host.agents.runs, scene.principal, run_id)
        assert replayed.differences == []


async def test_conversation_goes_on_under_the_name_that_was_given_to_it(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        scene.agent("quick", [{"reply": "done"}, {"reply": "again"}])
        first = await scene.ask("quick")
        await scene.host.agents.runs.save_thread(scene.principal, "mine", first.run.thread)
        second = await scene.ask("quick", thread="mine")
        begun = (await scene.events(second.run.id))[0]
        assert second.text == "again"
        assert second.run.thread == first.run.thread
        assert begun.data["history"] == [first.run.id]


async def test_only_a_conversation_in_which_something_was_said_gets_a_name(
    store_folder: Path, tmp_path: Path
) -> None:
    async with open_agents(store_folder, tmp_path) as scene:
        runs = scene.host.agents.runs
        scene.agent("quick", [{"reply": "done"}])
        outcome = await scene.ask("quick")
        with pytest.raises(NotFoundError, match="ghost"):
            await runs.save_thread(scene.principal, "mine", "ghost")
        await runs.save_thread(scene.principal, "mine", outcome.run.thread)
        assert await runs.find_thread(scene.principal, "mine") == outcome.run.thread
        with pytest.raises(NotFoundError, match="no conversation named 'other'"):
            await scene.start("quick", thread="other")
        await runs.hide(scene.principal, outcome.run.id)
        with pytest.raises(NotFoundError, match="taken back"):
            await runs.save_thread(scene.principal, "other", outcome.run.thread)
