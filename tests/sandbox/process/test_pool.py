import asyncio
import dataclasses
import os
import signal
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from typing_extensions import override

from host.domain.errors import (
    NotFoundError,
    PluginDiedError,
    PluginFailedError,
    PluginLoadError,
    PluginProtocolError,
    PluginTimeoutError,
    SandboxError,
)
from host.sandbox.broker import Log, Progress
from host.sandbox.config import Limits, SandboxConfig
from host.sandbox.pool import PluginWorker, SandboxPool
from host.sandbox.process.result import CallResult
from tests.sandbox.process.recording import RecordingBroker, open_pool

pytestmark = pytest.mark.anyio

PLUGIN = """
import os, sys, time
calls = []

@tool
def add(a: int, b: int = 2) -> int:
    "Adds two numbers."
    return a + b

@tool
def count() -> int:
    calls.append(1)
    return len(calls)

@tool
def ask(name: str, **arguments):
    print("asking")
    return host.call_tool(name, **arguments)

@tool
def ask_many(count: int):
    answers = host.call_tools([("slow", {"n": n}) for n in range(count)])
    return [answer["echo"]["n"] for answer in answers]

@tool
def stubborn():
    while True:
        try:
            host.call_tool("slow")
        except BaseException:
            pass

@tool
def spin():
    while True:
        pass

@tool
def spin_while_asking():
    import struct
    request = b'{"t":"request","id":9,"op":"call_tool","params":{"name":"slow","arguments":{}}}'
    os.write(3, struct.pack(">I", len(request)) + request)
    while True:
        pass

@tool
def talk():
    host.log("working", level="warning")
    host.progress(1, 2, "half")
    print("done")
    return "said"

@tool
def fail():
    raise ValueError("no such luck")

@tool
def die():
    os._exit(7)

@tool
def hog():
    return bytearray(1 << 30)

@tool
def shout():
    print("x" * 1_000_000)

@tool
def remember(key: str, value):
    host.state.set(key, value)
    return [host.state.get(key), host.state.list(), host.state.delete(key), host.state.get(key, 0)]

@tool
def handle():
    return host.secret("token")

@tool
def stub(title):
    from tools.github import create_issue
    return create_issue(title, body="b")

@tool
async def later(a: int):
    return a

@tool
def pid():
    return os.getpid()
"""


async def start(
    pool: SandboxPool, broker: RecordingBroker, source: str = PLUGIN, **options: Any
) -> PluginWorker:
    return await pool.start(source, plugin="demo", tenant="ann", broker=broker, **options)


async def test_call_returns_what_the_function_returns(broker: RecordingBroker):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        assert (await worker.call("add", {"a": 1}, timeout=5)).value == 3
        assert (await worker.call("later", {"a": 1}, timeout=5)).value == 1


async def test_declared_tool_has_a_schema_from_its_annotations(broker: RecordingBroker):
    async with open_pool() as pool:
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


async def test_brokered_call_reaches_the_broker_and_its_answer_the_plugin(broker: RecordingBroker):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        result = await worker.call("ask", {"name": "a__b", "x": 1}, timeout=5)
    assert result == CallResult({"echo": {"x": 1}}, "asking\n")
    assert broker.calls == [("a__b", {"x": 1})]


async def test_tools_of_a_server_are_called_with_named_parameters(broker: RecordingBroker):
    servers = {"github": {"create_issue": ["github__create_issue", "title", "body"]}}
    async with open_pool() as pool:
        worker = await start(pool, broker, servers=servers)
        await worker.call("stub", {"title": "t"}, timeout=5)
    assert broker.calls == [("github__create_issue", {"title": "t", "body": "b"})]


async def test_refusal_reaches_the_plugin_in_the_same_words(
    broker: RecordingBroker,
):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        with pytest.raises(PluginFailedError, match=r"HostCallError: A rule denies this\."):
            await worker.call("ask", {"name": "denied"}, timeout=5)
        assert worker.starts == 1


async def test_bug_in_the_broker_ends_the_call_and_not_the_pool(broker: RecordingBroker):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        with pytest.raises(SandboxError, match="the host failed to answer call_tool"):
            await worker.call("ask", {"name": "broken"}, timeout=5)
        assert (await worker.call("add", {"a": 1}, timeout=5)).value == 3


async def test_brokered_calls_of_one_plugin_run_at_once(broker: RecordingBroker):
    results: list[CallResult] = []
    async with open_pool() as pool, anyio.create_task_group() as tasks:
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


async def test_log_progress_and_output_arrive_before_the_result(broker: RecordingBroker):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        result = await worker.call("talk", {}, timeout=5)
        assert broker.notes == [Log("warning", "working"), Progress(1, 2, "half")]
    assert (result.value, result.output) == ("said", "done\n")


async def test_state_and_secret_handles_pass_through_the_broker(broker: RecordingBroker):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        found = await worker.call("remember", {"key": "k", "value": [1]}, timeout=5)
        assert found.value == [[1], ["k"], True, 0]
        assert (await worker.call("handle", {}, timeout=5)).value == "handle:token"


async def test_exception_is_told_with_its_lines_and_the_worker_lives_on(
    broker: RecordingBroker,
):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        with pytest.raises(PluginFailedError, match="ValueError: no such luck") as caught:
            await worker.call("fail", {}, timeout=5)
        assert caught.value.kind == "ValueError"
        assert [line.rpartition(" in ")[2] for line in caught.value.trace] == ["fail"]
        assert worker.starts == 1


async def test_endless_loop_is_ended_and_the_next_call_gets_a_new_process(broker: RecordingBroker):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        with pytest.raises(PluginTimeoutError, match=r"demo\.spin did not finish in time"):
            await worker.call("spin", {}, timeout=0.2)
        assert (await worker.call("count", {}, timeout=5)).value == 1
        assert worker.starts == 2


async def test_waiting_for_a_brokered_call_is_not_charged_to_the_plugin(broker: RecordingBroker):
    results: list[CallResult] = []
    async with open_pool() as pool, anyio.create_task_group() as tasks:
        worker = await start(pool, broker)

        async def call():
            results.append(await worker.call("ask", {"name": "slow"}, timeout=0.2))

        tasks.start_soon(call)
        await broker.asked.wait()
        await anyio.sleep(0.4)  # twice the plugin's own time: what is tested is that it passes
        broker.answer.set()
    assert results[0].value == {"echo": {}}


async def test_computing_while_a_brokered_call_is_open_is_charged(broker: RecordingBroker):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        with pytest.raises(PluginTimeoutError):
            await worker.call("spin_while_asking", {}, timeout=0.2)


async def test_death_in_the_middle_of_a_brokered_call_cancels_it(broker: RecordingBroker):
    async with open_pool() as pool, anyio.create_task_group() as tasks:
        worker = await start(pool, broker)

        async def call():
            with pytest.raises(PluginDiedError, match="demo died during ask: it was killed"):
                await worker.call("ask", {"name": "slow"}, timeout=5)

        tasks.start_soon(call)
        await broker.asked.wait()
        os.kill(worker.pid or 0, signal.SIGKILL)
        with anyio.fail_after(60):
            await broker.cancelled.wait()


async def test_process_that_ends_itself_is_told_with_its_exit_status(broker: RecordingBroker):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        with pytest.raises(PluginDiedError, match="ended itself with exit status 7"):
            await worker.call("die", {}, timeout=5)
        assert (await worker.call("add", {"a": 1}, timeout=5)).value == 3


async def test_memory_beyond_the_limit_fails_the_call_and_starts_afresh(broker: RecordingBroker):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        with pytest.raises(PluginFailedError, match="MemoryError"):
            await worker.call("hog", {}, timeout=5)
        assert (await worker.call("add", {"a": 1}, timeout=5)).value == 3
        assert worker.starts == 2


async def test_output_is_cut_at_its_limit_and_says_so(broker: RecordingBroker):
    async with open_pool() as pool:
        worker = await start(pool, broker, limits=Limits(output_bytes=1000))
        result = await worker.call("shout", {}, timeout=5)
    assert result.output == "x" * 1000 + "\n[output cut off here]\n"


async def test_cancelled_caller_cancels_the_brokered_call_only(
    broker: RecordingBroker,
):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        await worker.call("count", {}, timeout=5)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: worker.call("ask", {"name": "slow"}, timeout=5))
            await broker.asked.wait()
            tasks.cancel_scope.cancel()
        assert broker.cancelled.is_set()
        assert (await worker.call("count", {}, timeout=5)).value == 2
        assert worker.starts == 1


async def test_cancelled_plugin_that_goes_on_is_ended(broker: RecordingBroker):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: worker.call("stubborn", {}, timeout=5))
            await broker.asked.wait()
            tasks.cancel_scope.cancel()
        assert (await worker.call("count", {}, timeout=5)).value == 1
        assert worker.starts == 2


async def test_calls_of_one_worker_take_turns(broker: RecordingBroker):
    values: list[int] = []
    async with open_pool() as pool, anyio.create_task_group() as tasks:
        worker = await start(pool, broker)

        async def call():
            values.append((await worker.call("count", {}, timeout=5)).value)

        for _ in range(20):
            tasks.start_soon(call)
    assert sorted(values) == list(range(1, 21))


async def test_two_tenants_never_share_a_process_or_a_value(broker: RecordingBroker):
    async with open_pool() as pool:
        ann = await start(pool, broker)
        bob = await pool.start(PLUGIN, plugin="demo", tenant="bob", broker=broker)
        await ann.call("count", {}, timeout=5)
        assert (await bob.call("count", {}, timeout=5)).value == 1
        assert ann.pid != bob.pid


async def test_plugin_that_does_not_load_is_rejected_with_its_reason(broker: RecordingBroker):
    async with open_pool() as pool:
        with pytest.raises(PluginLoadError, match=r"demo could not be loaded: ZeroDivision"):
            await start(pool, broker, "1 / 0")
        with pytest.raises(PluginLoadError, match="SyntaxError"):
            await start(pool, broker, "def")
        assert (await (await start(pool, broker)).call("add", {"a": 1}, timeout=5)).value == 3


async def test_unknown_function_is_answered_with_the_nearest_name(broker: RecordingBroker):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        with pytest.raises(NotFoundError, match="Did you mean add"):
            await worker.call("ad", {}, timeout=5)


async def test_arguments_too_large_or_no_json_never_reach_the_plugin(
    broker: RecordingBroker,
):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        with pytest.raises(SandboxError, match="too many"):
            await worker.call("add", {"a": "x" * (2 << 20)}, timeout=5)
        with pytest.raises(SandboxError, match="have no JSON form"):
            await worker.call("add", {"a": {1, 2}}, timeout=5)
        assert (await worker.call("add", {"a": 1}, timeout=5)).value == 3


async def test_forged_answer_ends_the_worker_and_names_the_plugin(broker: RecordingBroker):
    source = """
import os, struct
@tool
def forge():
    frame = b'{"t":"result","id":99,"value":1,"out":""}'
    os.write(3, struct.pack(">I", len(frame)) + frame)
    while True:
        pass
"""
    async with open_pool() as pool:
        worker = await start(pool, broker, source)
        with pytest.raises(PluginProtocolError, match=r"demo was ended .* call that was not made"):
            await worker.call("forge", {}, timeout=5)


async def test_worker_that_computes_between_calls_is_ended(broker: RecordingBroker):
    source = """
import os, struct
@tool
def answer_and_spin():
    frame = b'{"t":"result","id":1,"value":1,"out":""}'
    os.write(3, struct.pack(">I", len(frame)) + frame)
    while True:
        pass
"""
    async with open_pool(idle_cpu_seconds=0.05) as pool:
        worker = await start(pool, broker, source)
        await worker.call("answer_and_spin", {}, timeout=5)
        with anyio.move_on_after(30):
            while worker.pid is not None:  # noqa: ASYNC110 - nobody else is told of it
                await anyio.sleep(0.05)
        assert worker.pid is None


async def test_slow_reader_of_messages_slows_the_plugin_and_loses_nothing():
    class SlowBroker(RecordingBroker):
        @override
        async def note(self, note: Log | Progress) -> None:
            for _ in range(3):
                await anyio.lowlevel.checkpoint()
            self.notes.append(note)

    source = "@tool\ndef chat():\n    for n in range(900):\n        host.log('x' * 1000 + str(n))\n"
    broker = SlowBroker()
    async with open_pool() as pool:
        worker = await start(pool, broker, source)
        await worker.call("chat", {}, timeout=20)
    assert [int(note.message[1000:]) for note in broker.notes if isinstance(note, Log)] == list(
        range(900)
    )


async def test_zygote_that_dies_is_replaced_and_its_workers_are_gone(broker: RecordingBroker):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        old = worker.pid
        os.kill(pool.zygote_pid, signal.SIGKILL)
        with anyio.fail_after(60):
            while worker.pid == old:  # noqa: ASYNC110 - nobody else is told of it
                await anyio.sleep(0.01)
        assert (await worker.call("add", {"a": 1}, timeout=5)).value == 3
        assert pool.zygotes == 2


async def test_more_plugins_than_allowed_are_refused(broker: RecordingBroker):
    async with open_pool(max_workers=1) as pool:
        worker = await start(pool, broker)
        with pytest.raises(SandboxError, match="max_workers"):
            await start(pool, broker)
        worker.stop()
        await start(pool, broker)


async def test_plugin_that_asks_for_too_much_memory_is_refused(
    broker: RecordingBroker,
):
    async with open_pool(max_memory_mb=64) as pool:
        with pytest.raises(SandboxError, match="max_memory_mb"):
            await start(pool, broker, limits=Limits(memory_bytes=1 << 30))


async def test_stopped_plugin_fails_its_call_under_way(broker: RecordingBroker):
    async with open_pool() as pool, anyio.create_task_group() as tasks:
        worker = await start(pool, broker)

        async def call():
            with pytest.raises(PluginDiedError, match="was stopped"):
                await worker.call("ask", {"name": "slow"}, timeout=5)

        tasks.start_soon(call)
        await broker.asked.wait()
        worker.stop()


def test_brokered_calls_work_on_a_bare_event_loop_as_the_daemon_has_it():
    async def main() -> Any:
        async with open_pool() as pool:
            worker = await start(pool, RecordingBroker())
            return (await worker.call("ask", {"name": "a__b", "x": 1}, timeout=5)).value

    assert asyncio.run(asyncio.wait_for(main(), 60)) == {"echo": {"x": 1}}


REBUILT = """
import json
from dataclasses import dataclass
from functools import wraps

class Odd:
    pass

odd = Odd()
vars(odd)["__reduce_ex__"] = lambda *_: (lambda: json.JSONEncoder, (), (None, {"marked": 1}))

@dataclass
class Pair:
    left: object
    right: object = None

@tool
def pair():
    return Pair(1, [Pair("a"), {"b": Pair(None)}])

@tool
def odd_pair():
    return Pair(1, [odd])

@tool
def marked():
    return "marked" in dir(json.JSONEncoder)

class Text:
    def __get__(self, value, kind=None):
        return self
    def __call__(self):
        return 1

text = Text()
vars(text)["__module__"] = "os"
vars(text)["__text_signature__"] = "($module, leaked=curdir)"
vars(text)["__name__"] = "wrapped"

@tool
@wraps(text)
def wrapped(a: int = 3):
    return a
"""


async def test_values_are_turned_into_json_without_asking_them_how(broker: RecordingBroker):
    async with SandboxPool(SandboxConfig(pool_size=0)) as pool:
        worker = await pool.start(REBUILT, plugin="p", tenant="ann", broker=broker)
        result = await worker.call("pair", {}, timeout=30)
        assert result.value == {
            "left": 1,
            "right": [{"left": "a", "right": None}, {"b": {"left": None, "right": None}}],
        }
        with pytest.raises(PluginFailedError, match="Odd has no JSON form"):
            await worker.call("odd_pair", {}, timeout=30)
        assert (await worker.call("marked", {}, timeout=30)).value is False


async def test_signatures_are_read_off_functions_alone(broker: RecordingBroker):
    async with SandboxPool(SandboxConfig(pool_size=0)) as pool:
        worker = await pool.start(REBUILT, plugin="p", tenant="ann", broker=broker)
        (wrapped,) = [one for one in worker.functions if one.name == "wrapped"]
        assert wrapped.parameters["properties"] == {"a": {"type": "integer", "default": 3}}
