import os
import select
import signal
from pathlib import Path

import anyio
import pytest

from host.domain.errors import PluginLoadError, PluginProtocolError, SandboxError
from host.sandbox.compiled import CompiledCode, digest
from host.sandbox.config import SandboxConfig
from host.sandbox.pool import SandboxPool
from tests.sandbox.process.recording import RecordingBroker, open_pool

pytestmark = pytest.mark.anyio

ONE = "@tool\ndef number():\n    return 1\n"
TWO = ONE.replace("1", "2")


def namespaces(kind: str, pids: list[int | None]) -> set[str]:
    return {str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for pid in pids}


async def number(pool: SandboxPool, source: str, *, plugin: str = "demo") -> object:
    worker = await pool.start(source, plugin=plugin, tenant="ann", broker=RecordingBroker())
    value = (await worker.call("number", {}, timeout=30)).value
    worker.stop()
    return value


async def test_a_source_is_compiled_once_and_its_code_runs_in_the_next_process():
    async with SandboxPool(SandboxConfig(pool_size=1)) as pool:
        assert await number(pool, ONE) == 1
        assert await number(pool, TWO) == 2
        # Only a process that runs what is kept, and compiles nothing, answers 2 for the first.
        pool.compiled.put(digest(ONE, "demo"), pool.compiled.get(digest(TWO, "demo")))
        assert await number(pool, ONE) == 2
        assert await number(pool, ONE, plugin="other") == 1


async def test_a_new_zygote_compiles_anew():
    async with SandboxPool(SandboxConfig(pool_size=0)) as pool:
        await number(pool, ONE)
        key = digest(ONE, "demo")
        pool.compiled.put(key, pool.compiled.get(key)[::-1])
        os.kill(pool.zygote_pid, signal.SIGKILL)
        with anyio.fail_after(60):
            while pool.zygote_alive:  # noqa: ASYNC110 - nobody else is told of it
                await anyio.sleep(0.01)
        assert await number(pool, ONE) == 1


async def test_a_zygote_that_ended_just_now_is_an_error_of_one_start_only():
    async with SandboxPool(SandboxConfig(pool_size=0)) as pool:
        worker = await pool.take()
        os.kill(pool.zygote_pid, signal.SIGKILL)
        assert select.select([worker.fork.pidfd], [], [], 60)[0]  # the loop hears nothing meanwhile
        with pytest.raises(SandboxError, match="ended"):
            await pool.take()
        worker.close()
        assert await number(pool, ONE) == 1


async def test_a_source_that_is_refused_leaves_nothing_behind(broker: RecordingBroker):
    async with SandboxPool(SandboxConfig(pool_size=0)) as pool:
        for _ in range(2):
            with pytest.raises(PluginLoadError, match="import os"):
                await pool.start("import os", plugin="demo", tenant="ann", broker=broker)
        assert pool.compiled.get(digest("import os", "demo")) == ""


@pytest.mark.parametrize("when", ["while it loads", "when it is called"])
async def test_a_plugin_cannot_hand_the_host_code_of_its_own(when: str):
    forge = """
import os, struct
def forge():
    frame = b'{"t":"compiled","code":"Zm9yZ2Vk"}'
    os.write(3, struct.pack(">I", len(frame)) + frame)
@tool
def number():
    forge()
    while True:
        pass
"""
    source = forge + ("forge()\n" if when == "while it loads" else "")
    async with open_pool(pool_size=0) as pool:
        with pytest.raises(PluginProtocolError, match="compiled code that nobody asked for"):
            await number(pool, source)
        assert pool.compiled.get(digest(source, "demo")) == ""


def test_kept_code_is_bounded_and_the_least_used_goes_first():
    kept = CompiledCode(max_characters=80)
    for name in "abcdefgh":
        kept.put(name, name * 10)
    assert kept.get("a") == "a" * 10
    kept.put("i", "i" * 10)
    kept.put("j", "j" * 11)
    assert [name for name in "abcdefghij" if kept.get(name)] == list("acdefghi")


async def test_each_worker_is_born_in_namespaces_that_nobody_else_is_in(broker: RecordingBroker):
    if os.geteuid() != 0:
        pytest.skip("only root may look into another's namespaces")
    async with open_pool(pool_size=2) as pool:
        report = await pool.warm()
        workers = [
            await pool.start(ONE, plugin="demo", tenant=tenant, broker=broker)
            for tenant in ("ann", "bob", "eve")
        ]
        pids = [os.getpid(), *(worker.pid for worker in workers)]
        seen = {kind: namespaces(kind, pids) for kind in ("net", "ipc", "uts", "pid")}
    inactive = {layer.name.removesuffix("_namespace") for layer in report.layers if layer.detail}
    assert {kind: len(found) for kind, found in seen.items()} == {
        kind: 1 if {"network": "net"}.get(kind, kind) in inactive else 4 for kind in seen
    }
