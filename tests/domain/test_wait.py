import asyncio
from typing import Any

import pytest

from host.domain.wait import outcome_of


def test_work_goes_on_when_its_waiter_leaves_and_its_failure_disturbs_nobody():
    disturbed: list[dict[str, Any]] = []

    async def scene() -> BaseException | None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: disturbed.append(told))
        work: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        waiter = asyncio.create_task(outcome_of(work))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.wait([waiter])
        assert waiter.cancelled()
        assert not work.done()
        work.set_exception(ValueError("late"))
        await asyncio.sleep(0)
        return work.exception()

    assert isinstance(asyncio.run(scene()), ValueError)
    assert disturbed == []


def test_the_waiter_gets_the_result_or_the_failure():
    async def scene() -> None:
        good: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        good.set_result(7)
        assert await outcome_of(good) == 7
        bad = asyncio.create_task(asyncio.wait_for(asyncio.Event().wait(), 0))
        with pytest.raises(TimeoutError):
            await outcome_of(bad)

    asyncio.run(scene())
