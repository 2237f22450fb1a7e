"""The keeper starts children that somebody knows of, and no others."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from host.gateway.upstream.keeper import Child, Keeper

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc"),
]
LIMIT = 30.0
"""Seconds after which what is left stays."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def sleepers(mark: str) -> list[int]:
    """Return the processes with a mark among their arguments."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in words:
            found.append(int(process.name))
    return found


async def test_start_that_is_cancelled_at_any_moment_leaves_no_process() -> None:
    keeper, mark = Keeper(), f"{3600 + os.getpid()}"
    argv = ["sleep", mark]
    ends: set[bool] = set()
    try:
        for turns in range(30):
            task = asyncio.create_task(keeper.start("next", argv, env=dict(os.environ)))
            await asyncio.sleep(0)
            while keeper._starting:  # noqa: ASYNC110  to the turn in which it is answered
                await asyncio.sleep(0)
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            ends.add(task.cancelled())
            if not task.cancelled():
                assert isinstance(task.result(), Child)
                await keeper.stop(task.result(), grace=0.0)
        end = time.monotonic() + LIMIT
        while sleepers(mark) and time.monotonic() < end:  # noqa: ASYNC110  processes end
            await asyncio.sleep(0.02)
        assert sleepers(mark) == []
        assert ends == {True, False}
    finally:
        keeper.close()
