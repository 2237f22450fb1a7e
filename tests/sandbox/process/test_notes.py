import asyncio
from collections.abc import Callable

import anyio.lowlevel
import pytest

from host.sandbox.broker import Log, Progress
from host.sandbox.pool import SandboxPool
from host.sandbox.process.notes import MAX_PROGRESS_TEXT, MAX_TEXT, PROGRESS_SECONDS, Notes
from tests.sandbox.process.recording import RecordingBroker

pytestmark = pytest.mark.anyio


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> None:
        self.due.append((self.now + delay, callback))

    def move(self, seconds: float) -> None:
        self.now += seconds
        ripe = [callback for at, callback in self.due if at <= self.now]
        self.due = [(at, callback) for at, callback in self.due if at > self.now]
        for callback in ripe:
            callback()


def notes_of(broker: RecordingBroker, clock: Hand) -> Notes:
    tasks: set[asyncio.Task[None]] = set()
    return Notes(
        broker,
        spawn=lambda deliver: tasks.add(asyncio.get_running_loop().create_task(deliver())),
        on_room=lambda: None,
        on_broken=lambda error: pytest.fail(str(error)),
        clock=clock,
    )


async def test_of_progress_that_comes_too_fast_the_newest_is_shown_and_the_log_says_so(
    broker: RecordingBroker,
):
    clock = Hand()
    notes = notes_of(broker, clock)
    for done in range(10):
        notes.add(Progress(done, 10, ""))
    clock.move(PROGRESS_SECONDS)
    notes.add(Progress(10, 10, "done"))
    await notes.finish()
    told = "(by the host) 8 of its progress messages came too fast to be shown."
    assert broker.notes == [
        Progress(0, 10, ""),
        Progress(9, 10, ""),
        Progress(10, 10, "done"),
        Log("warning", told),
    ]


async def test_progress_that_waits_is_shown_though_nothing_follows_it(broker: RecordingBroker):
    clock = Hand()
    notes = notes_of(broker, clock)
    notes.add(Progress(1, None, ""))
    notes.add(Progress(2, None, ""))
    clock.move(PROGRESS_SECONDS)
    while len(broker.notes) < 2:
        await anyio.lowlevel.checkpoint()
    assert broker.notes == [Progress(1, None, ""), Progress(2, None, "")]


async def test_long_messages_are_cut_and_the_log_says_how_many(
    pool: SandboxPool, broker: RecordingBroker
):
    source = """
@tool
def flood():
    host.progress(1, 2, "p" * 100_000)
    host.log("l" * 100_000)
"""
    worker = await pool.start(source, plugin="demo", tenant="ann", broker=broker)
    await worker.call("flood", {}, timeout=30)
    assert broker.notes == [
        Progress(1, 2, "p" * MAX_PROGRESS_TEXT + " [cut off here]"),
        Log("info", "l" * MAX_TEXT + " [cut off here]"),
        Log("warning", "(by the host) 2 of its messages were too long and cut off."),
    ]
