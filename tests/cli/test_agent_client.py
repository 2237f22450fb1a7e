"""What commands that talk with an agent share."""

import asyncio

import pytest

from host.cli.agent_client import end_task

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_task_has_ended_though_whoever_ends_it_is_cancelled() -> None:
    begun, closing, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def prompt() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            closing.set()
            await closed.wait()

    task = asyncio.create_task(prompt())
    await begun.wait()
    ending = asyncio.create_task(end_task(task))
    await closing.wait()
    ending.cancel()
    asyncio.get_running_loop().call_later(0.05, closed.set)
    await asyncio.wait([ending])
    assert ending.cancelled()
    assert task.done()
