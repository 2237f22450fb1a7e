import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import pytest

from host.domain.wait import outcome_of, unbroken, unbroken_if_it_waits

WAYS = pytest.mark.parametrize("way", [unbroken, unbroken_if_it_waits])
Way = Callable[[Coroutine[Any, Any, str]], Awaitable[str]]


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


class Work:
    """Work that takes one turn and then lasts until it is let go."""

    def __init__(self, failure: Exception | None = None) -> None:
        self._go_on = asyncio.Event()
        self._failure = failure
        self.done = False

    async def do(self) -> str:
        await asyncio.sleep(0)
        await self._go_on.wait()
        self.done = True
        if self._failure is not None:
            raise self._failure
        return "done"

    def end_soon(self) -> None:
        asyncio.get_running_loop().call_soon(self._go_on.set)


async def turns(number: int = 5) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@WAYS
def test_work_is_done_before_a_cancellation_is_raised_however_often_it_comes(way: Way):
    async def scene() -> None:
        work = Work()
        caller = asyncio.ensure_future(way(work.do()))
        for _ in range(3):
            await turns()
            caller.cancel()
        await turns()
        assert not caller.done()
        work.end_soon()
        await asyncio.wait([caller])
        assert (caller.cancelled(), work.done) == (True, True)

    asyncio.run(scene())


@WAYS
def test_work_is_done_before_a_time_limit_is_told_or_a_scope_left(way: Way):
    async def hurried(work: Work) -> None:
        async with asyncio.timeout(0):
            work.end_soon()
            await way(work.do())

    async def scene() -> None:
        work = Work()
        with pytest.raises(TimeoutError):
            await hurried(work)
        assert work.done
        work = Work()
        with anyio.CancelScope() as scope:
            scope.cancel()
            work.end_soon()
            await way(work.do())
        assert (scope.cancelled_caught, work.done) == (True, True)

    asyncio.run(scene())


@WAYS
def test_a_cancellation_is_not_lost_in_a_scope_that_was_cancelled_before(way: Way):
    async def scene() -> None:
        work = Work()

        async def inside() -> None:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await way(work.do())

        caller = asyncio.create_task(inside())
        await turns()
        caller.cancel()
        work.end_soon()
        await asyncio.wait([caller])
        assert (caller.cancelled(), work.done) == (True, True)

    asyncio.run(scene())


@WAYS
def test_work_that_nobody_cancels_gives_its_result_or_fails(way: Way):
    async def scene() -> None:
        for failure in (None, ValueError("no")):
            work = Work(failure)
            work.end_soon()
            if failure is None:
                assert await way(work.do()) == "done"
            else:
                with pytest.raises(ValueError, match="no"):
                    await way(work.do())

    asyncio.run(scene())


@WAYS
def test_failure_of_work_whose_caller_was_cancelled_is_the_cause_of_its_end(way: Way):
    async def scene() -> BaseException | None:
        work = Work(ValueError("no"))
        caller = asyncio.ensure_future(way(work.do()))
        await turns()
        caller.cancel()
        work.end_soon()
        try:
            await caller
        except asyncio.CancelledError as error:
            return error.__cause__
        return None

    assert str(asyncio.run(scene())) == "no"


def test_work_that_does_not_wait_is_done_in_its_callers_task():
    async def task() -> asyncio.Task[Any] | None:
        return asyncio.current_task()

    async def scene() -> None:
        assert await unbroken_if_it_waits(task()) is asyncio.current_task()
        assert await unbroken(task()) is not asyncio.current_task()

    asyncio.run(scene())
