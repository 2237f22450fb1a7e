import os
import signal

import anyio
import pytest

from host.domain.errors import (
    PluginLoadError,
    SandboxError,
)
from host.sandbox.config import Limits
from tests.sandbox.process.demo import PLUGIN, start
from tests.sandbox.process.recording import RecordingBroker, open_pool

pytestmark = pytest.mark.anyio


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


async def test_call_that_a_dying_worker_had_not_read_is_made_once_by_the_next(
    broker: RecordingBroker,
):
    async with open_pool() as pool:
        worker = await start(pool, broker)
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        answers: list[object] = []

        async def count() -> None:
            answers.append((await worker.call("count", {}, timeout=60)).value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            await anyio.wait_all_tasks_blocked()
            os.kill(first, signal.SIGKILL)
        assert answers == [1]
        assert (worker.starts, worker.pid == first) == (2, False)


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
