"""Which process of a plugin serves whom."""

from pathlib import Path

import anyio
import pytest

from host.domain.errors import SandboxError
from host.plugins import crew as crews
from host.plugins.broker import ComputeOnly
from host.plugins.bundle import load_bundle
from host.plugins.crew import Crew
from host.sandbox.process.result import CallResult
from host.sandbox.running import PluginWorker
from tests.fakes.moment import Moment
from tests.plugins.shop import write
from tests.sandbox.process.recording import open_pool

pytestmark = pytest.mark.anyio

FINE = "@tool\ndef fine():\n    return 'well'\n"


async def test_a_call_that_is_cancelled_as_it_ends_frees_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bundle = load_bundle(write(tmp_path, "fine", FINE, limits={"workers": 1}))
    async with open_pool() as pool:
        crew = await Crew.start(pool, bundle)

        async def call() -> CallResult:
            return await crew.call("fine", {}, tenant="ann", broker=ComputeOnly(why="It is a test"))

        moment = Moment(monkeypatch)
        moment.of(PluginWorker, "call", after=True)
        await moment.cancels(call())
        monkeypatch.setattr(crews, "BUSY_WAIT", 0.0)
        assert (await call()).value == "well"
        crew.retire()


async def test_process_that_does_not_start_leaves_its_place_to_who_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bundle = load_bundle(write(tmp_path, "fine", FINE, limits={"workers": 1}))
    start, waits = Crew._worker, anyio.Event()

    async def fail(self: Crew, tenant: str) -> PluginWorker:
        monkeypatch.setattr(Crew, "_worker", start)
        await waits.wait()
        raise SandboxError("It does not start.")

    async with open_pool() as pool:
        crew = await Crew.start(pool, bundle)
        ann, results = ComputeOnly(why="It is a test"), list[object]()
        await crew.call("fine", {}, tenant="ann", broker=ann)  # the process that was there is hers
        monkeypatch.setattr(Crew, "_worker", fail)

        async def first() -> None:
            with pytest.raises(SandboxError, match="does not start"):
                await crew.call("fine", {}, tenant="bob", broker=ann)

        async def second() -> None:
            results.append((await crew.call("fine", {}, tenant="bob", broker=ann)).value)

        async with anyio.create_task_group() as group:
            group.start_soon(first)
            group.start_soon(second)
            await anyio.wait_all_tasks_blocked()
            waits.set()
        crew.retire()
    assert results == ["well"]
