import os
import signal

import anyio
import pytest

from host.domain.errors import (
    PluginDiedError,
    PluginFailedError,
    PluginProtocolError,
    PluginTimeoutError,
)
from host.sandbox.pool import SandboxPool
from host.sandbox.process.result import CallResult
from tests.sandbox.process.demo import start
from tests.sandbox.process.recording import RecordingBroker, open_pool

pytestmark = pytest.mark.anyio


async def test_endless_loop_is_ended_and_the_next_call_gets_a_new_process(
    pool: SandboxPool, broker: RecordingBroker
):
    worker = await start(pool, broker)
    with pytest.raises(PluginTimeoutError, match=r"demo\.spin did not finish in time"):
        await worker.call("spin", {}, timeout=0.2)
    assert (await worker.call("count", {}, timeout=5)).value == 1
    assert worker.starts == 2


async def test_waiting_for_a_brokered_call_is_not_charged_to_the_plugin(
    pool: SandboxPool, broker: RecordingBroker
):
    results: list[CallResult] = []
    async with anyio.create_task_group() as tasks:
        worker = await start(pool, broker)

        async def call():
            results.append(await worker.call("ask", {"name": "slow"}, timeout=0.2))

        tasks.start_soon(call)
        await broker.asked.wait()
        await anyio.sleep(0.4)  # twice the plugin's own time: what is tested is that it passes
        broker.answer.set()
    assert results[0].value == {"echo": {}}


async def test_computing_while_a_brokered_call_is_open_is_charged(
    pool: SandboxPool, broker: RecordingBroker
):
    worker = await start(pool, broker)
    with pytest.raises(PluginTimeoutError):
        await worker.call("spin_while_asking", {}, timeout=0.2)


async def test_death_in_the_middle_of_a_brokered_call_cancels_it(
    pool: SandboxPool, broker: RecordingBroker
):
    async with anyio.create_task_group() as tasks:
        worker = await start(pool, broker)

        async def call():
            with pytest.raises(PluginDiedError, match="demo died during ask: it was killed"):
                await worker.call("ask", {"name": "slow"}, timeout=5)

        tasks.start_soon(call)
        await broker.asked.wait()
        os.kill(worker.pid or 0, signal.SIGKILL)
        with anyio.fail_after(60):
            await broker.cancelled.wait()


async def test_process_that_ends_itself_is_told_with_its_exit_status(
    pool: SandboxPool, broker: RecordingBroker
):
    worker = await start(pool, broker)
    with pytest.raises(PluginDiedError, match="ended itself with exit status 7"):
        await worker.call("die", {}, timeout=5)
    assert (await worker.call("add", {"a": 1}, timeout=5)).value == 3


async def test_memory_beyond_the_limit_fails_the_call_and_starts_afresh(
    pool: SandboxPool, broker: RecordingBroker
):
    worker = await start(pool, broker)
    with pytest.raises(PluginFailedError, match="MemoryError"):
        await worker.call("hog", {}, timeout=5)
    assert (await worker.call("add", {"a": 1}, timeout=5)).value == 3
    assert worker.starts == 2


async def test_cancelled_plugin_that_goes_on_is_ended(pool: SandboxPool, broker: RecordingBroker):
    worker = await start(pool, broker)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: worker.call("stubborn", {}, timeout=5))
        await broker.asked.wait()
        tasks.cancel_scope.cancel()
    assert (await worker.call("count", {}, timeout=5)).value == 1
    assert worker.starts == 2


async def test_forged_answer_ends_the_worker_and_names_the_plugin(
    pool: SandboxPool, broker: RecordingBroker
):
    source = """
import os, struct
@tool
def forge():
    frame = b'{"t":"result","id":99,"value":1,"out":""}'
    os.write(3, struct.pack(">I", len(frame)) + frame)
    while True:
        pass
"""
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


async def test_stopped_plugin_fails_its_call_under_way(pool: SandboxPool, broker: RecordingBroker):
    async with anyio.create_task_group() as tasks:
        worker = await start(pool, broker)

        async def call():
            with pytest.raises(PluginDiedError, match="was stopped"):
                await worker.call("ask", {"name": "slow"}, timeout=5)

        tasks.start_soon(call)
        await broker.asked.wait()
        worker.stop()
