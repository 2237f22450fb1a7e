"""Has the pool of connections heed cancellations where Python does not by itself."""

import asyncio
import sys

from psycopg_pool._acompat import ACondition


def heed_cancellations() -> None:
    """Have who waits for a connection end when it is cancelled, at whatever moment.

    Before Python 3.12 `asyncio.wait_for`, with which the pool waits, goes on as if nothing were
    (https://github.com/python/cpython/issues/86296) where a cancellation comes together with the
    connection; so a run that was cancelled then would not end.
    """
    if sys.version_info < (3, 12):
        ACondition.wait_timeout = _wait_timeout


async def _wait_timeout(self: ACondition, timeout: float) -> bool:  # noqa: ASYNC109 - as it is called
    try:
        async with asyncio.timeout(timeout):
            return await self.wait()
    except TimeoutError:
        return False
