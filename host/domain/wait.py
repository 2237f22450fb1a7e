"""Waiting for somebody else's work without ending it by leaving."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def outcome_of(work: asyncio.Future[T]) -> T:
    """Return the result of work that goes on when this wait is cancelled.

    Unlike `asyncio.shield`, which since Python 3.14 reports a failure that comes after the waiter
    has left as an error of the program, it says nothing of it: whoever does the work keeps it.
    """
    await asyncio.wait([work])
    return work.result()
