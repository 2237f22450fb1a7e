"""Waiting for work that does not end with the wait."""

import asyncio
from collections.abc import Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


async def outcome_of(work: asyncio.Future[T]) -> T:
    """Return the result of work that goes on when this wait is cancelled.

    Unlike `asyncio.shield`, which since Python 3.14 reports a failure that comes after the waiter
    has left as an error of the program, it says nothing of it: whoever does the work keeps it.
    """
    await asyncio.wait([work])
    return work.result()


async def unbroken(work: Coroutine[Any, Any, T]) -> T:
    """Do work to its end, which a cancellation of its caller waits for.

    A shielded `anyio.CancelScope` keeps away what other scopes cancel, but not `Task.cancel()`,
    with which runs are cancelled and `asyncio.timeout` ends. So the work has a task of its own;
    where it must not fail unheard when its caller is cancelled, it deals with its errors itself.
    """
    task = asyncio.create_task(work)
    await end_of(task)
    return task.result()


async def end_of(task: asyncio.Task[Any]) -> None:
    """Return once a task has ended; a cancellation of the caller waits for that as well."""
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError as cancelled:
        import anyio  # noqa: PLC0415 - commands wait for tasks as well, and are to start soon

        last = cancelled
        with anyio.CancelScope(shield=True):  # or a scope would cancel in each turn of the loop
            while not task.done():
                try:
                    await asyncio.wait([task])
                except asyncio.CancelledError as again:
                    last = again  # of two, a scope may catch the first as its own
        raise last from None if task.cancelled() else task.exception()


class Turns:
    """A lock for each name, kept only while somebody has it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, name: str) -> asyncio.Lock:
        """Return the lock of a name."""
        return self._locks.setdefault(name, asyncio.Lock())


async def unbroken_if_it_waits(work: Coroutine[Any, Any, T]) -> T:
    """Do work to its end as `unbroken` does, without a task where it does not wait at all.

    It begins in its caller's task. So before it first waits it may not enter what belongs to a
    task, such as `asyncio.timeout` or an `anyio.CancelScope`.
    """
    try:
        awaited = work.send(None)
    except StopIteration as done:
        return done.value
    return await unbroken(_rest(work, awaited))


async def _rest(work: Coroutine[Any, Any, T], awaited: asyncio.Future[Any] | None) -> T:
    """Go on with work that has begun, once what it waits for is done; None is its turn."""
    if awaited is not None:
        await asyncio.wait([awaited])
    return await _Begun(work)


@dataclass(frozen=True, slots=True)
class _Begun(Generic[T]):
    """Lets a task await work that has begun in another, which a coroutine itself refuses."""

    work: Coroutine[Any, Any, T]

    def __await__(self) -> Generator[Any, Any, T]:
        return self.work.__await__()
