import asyncio
import dataclasses
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from typing_extensions import override

from host.domain.errors import (
    NotFoundError,
    PluginFailedError,
    SandboxError,
)
from host.sandbox.broker import Log, Progress
from host.sandbox.config import Limits
from host.sandbox.pool import SandboxPool
from host.sandbox.process.result import CallResult
from tests.sandbox.process.demo import start
from tests.sandbox.process.recording import RecordingBroker, open_pool

pytestmark = pytest.mark.anyio


async def test_call_returns_what_the_function_returns(pool: SandboxPool, broker: RecordingBroker):
    worker = await start(pool, broker)
    assert (await worker.call("add", {"a": 1}, timeout=5)).value == 3
    assert (await worker.call("later", {"a": 1}, timeout=5)).value == 1


async def test_declared_tool_has_a_schema_from_its_annotations(
    pool: SandboxPool, broker: RecordingBroker
):
    worker = await start(pool, broker)
    assert dataclasses.asdict(worker.functions[0]) == {
        "name": "add",
        "kind": "tool",
        "description": "Adds two numbers.",
        "parameters": {
            "type": "object",
            "properties": {
                "a": {"type": "integer"},
                "b": {"type": "integer", "default": 2},
            },
            "required": ["a"],
            "additionalProperties": False,
        },
        "options": {},
    }


async def test_brokered_call_reaches_the_broker_and_its_answer_the_plugin(
    pool: SandboxPool, broker: RecordingBroker
):
    worker = await start(pool, broker)
    result = await worker.call("ask", {"name": "a__b", "x": 1}, timeout=5)
    assert result == CallResult({"echo": {"x": 1}}, "asking\n")
    assert broker.calls == [("a__b", {"x": 1})]


async def test_tools_of_a_server_are_called_with_named_parameters(
    pool: SandboxPool, broker: RecordingBroker
):
    servers = {"github": {"create_issue": ["github__create_issue", "title", "body"]}}
    worker = await start(pool, broker, servers=servers)
    await worker.call("stub", {"title": "t"}, timeout=5)
    assert broker.calls == [("github__create_issue", {"title": "t", "body": "b"})]


async def test_refusal_reaches_the_plugin_in_the_same_words(
    pool: SandboxPool, broker: RecordingBroker
):
    worker = await start(pool, broker)
    with pytest.raises(PluginFailedError, match=r"\bCallError: A rule denies this\."):
        await worker.call("ask", {"name": "denied"}, timeout=5)
    assert worker.starts == 1


async def test_bug_in_the_broker_ends_the_call_and_not_the_pool(
    pool: SandboxPool, broker: RecordingBroker
):
    worker = await start(pool, broker)
    with pytest.raises(SandboxError, match="the host failed to answer call_tool"):
        await worker.call("ask", {"name": "broken"}, timeout=5)
    assert (await worker.call("add", {"a": 1}, timeout=5)).value == 3


async def test_brokered_calls_of_one_plugin_run_at_once(pool: SandboxPool, broker: RecordingBroker):
    results: list[CallResult] = []
    async with anyio.create_task_group() as tasks:
        worker = await start(pool, broker)

        async def call():
            results.append(await worker.call("ask_many", {"count": 5}, timeout=5))

        tasks.start_soon(call)
        with anyio.fail_after(10):
            while broker.together < 5:
                await anyio.lowlevel.checkpoint()
        broker.answer.set()
    assert results[0].value == [0, 1, 2, 3, 4]
    assert broker.most_together == 5


async def test_log_progress_and_output_arrive_before_the_result(
    pool: SandboxPool, broker: RecordingBroker
):
    worker = await start(pool, broker)
    result = await worker.call("talk", {}, timeout=5)
    assert broker.notes == [Log("warning", "working"), Progress(1, 2, "half")]
    assert (result.value, result.output) == ("said", "done\n")


async def test_state_and_secret_handles_pass_through_the_broker(
    pool: SandboxPool, broker: RecordingBroker
):
    worker = await start(pool, broker)
    found = await worker.call("remember", {"key": "k", "value": [1]}, timeout=5)
    assert found.value == [[1], ["k"], True, 0]
    assert (await worker.call("handle", {}, timeout=5)).value == "handle:token"


async def test_exception_is_told_with_its_lines_and_the_worker_lives_on(
    pool: SandboxPool, broker: RecordingBroker
):
    worker = await start(pool, broker)
    with pytest.raises(PluginFailedError, match="ValueError: no such luck") as caught:
        await worker.call("fail", {}, timeout=5)
    assert caught.value.kind == "ValueError"
    assert [line.rpartition(" in ")[2] for line in caught.value.trace] == ["fail"]
    assert worker.starts == 1


async def test_output_is_cut_at_its_limit_and_says_so(pool: SandboxPool, broker: RecordingBroker):
    worker = await start(pool, broker, limits=Limits(output_bytes=1000))
    result = await worker.call("shout", {}, timeout=5)
    assert result.output == "x" * 1000 + "\n[output cut off here]\n"


async def test_cancelled_caller_cancels_the_brokered_call_only(
    pool: SandboxPool, broker: RecordingBroker
):
    worker = await start(pool, broker)
    await worker.call("count", {}, timeout=5)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: worker.call("ask", {"name": "slow"}, timeout=5))
        await broker.asked.wait()
        tasks.cancel_scope.cancel()
    assert broker.cancelled.is_set()
    assert (await worker.call("count", {}, timeout=5)).value == 2
    assert worker.starts == 1


async def test_calls_of_one_worker_take_turns(pool: SandboxPool, broker: RecordingBroker):
    values: list[int] = []
    async with anyio.create_task_group() as tasks:
        worker = await start(pool, broker)

        async def call():
            values.append((await worker.call("count", {}, timeout=5)).value)

        for _ in range(20):
            tasks.start_soon(call)
    assert sorted(values) == list(range(1, 21))


async def test_unknown_function_is_answered_with_the_nearest_name(
    pool: SandboxPool, broker: RecordingBroker
):
    worker = await start(pool, broker)
    with pytest.raises(NotFoundError, match="Did you mean add"):
        await worker.call("ad", {}, timeout=5)


async def test_arguments_too_large_or_no_json_never_reach_the_plugin(
    pool: SandboxPool, broker: RecordingBroker
):
    worker = await start(pool, broker)
    with pytest.raises(SandboxError, match="too many"):
        await worker.call("add", {"a": "x" * (2 << 20)}, timeout=5)
    with pytest.raises(SandboxError, match="have no JSON form"):
        await worker.call("add", {"a": {1, 2}}, timeout=5)
    assert (await worker.call("add", {"a": 1}, timeout=5)).value == 3


async def test_slow_reader_of_messages_slows_the_plugin_and_loses_nothing(pool: SandboxPool):
    class SlowBroker(RecordingBroker):
        @override
        async def note(self, note: Log | Progress) -> None:
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            self.notes.append(note)

    source = "@tool\ndef chat():\n    for n in range(900):\n        host.log('x' * 1000 + str(n))\n"
    broker = SlowBroker()
    worker = await start(pool, broker, source)
    await worker.call("chat", {}, timeout=20)
    assert [int(note.message[1000:]) for note in broker.notes if isinstance(note, Log)] == list(
        range(900)
    )


def test_brokered_calls_work_on_a_bare_event_loop_as_the_daemon_has_it():
    async def main() -> Any:
        async with open_pool() as pool:
            worker = await start(pool, RecordingBroker())
            return (await worker.call("ask", {"name": "a__b", "x": 1}, timeout=5)).value

    assert asyncio.run(asyncio.wait_for(main(), 60)) == {"echo": {"x": 1}}
