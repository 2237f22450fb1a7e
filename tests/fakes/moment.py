"""Cancels a task in a moment of its work that no test could hit from outside."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest


class Moment:
    """The moment in which a task is cancelled: when it calls a function, or has called it.

    Args:
        patch: Puts itself into the functions, and out again once the task has ended.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._task: asyncio.Task[Any] | None = None

    def of(self, owner: object, name: str, *, after: bool = False) -> None:
        """Cancel whenever a function is called, or, with `after`, once it has returned."""
        function = getattr(owner, name)

        async def cancelling(*given: Any, **named: Any) -> Any:
            assert self._task is not None
            if not after:
                self._task.cancel()
            found = await function(*given, **named)
            if after:
                self._task.cancel()
            return found

        self._patch.setattr(owner, name, cancelling)

    async def cancels(self, work: Coroutine[Any, Any, Any]) -> bool:
        """Do work until it ends; return whether that was by the cancellation."""
        return await self.ends(asyncio.create_task(work))

    async def ends(self, task: asyncio.Task[Any]) -> bool:
        """Wait until a task has ended; return whether that was by the cancellation."""
        self._task = task
        await asyncio.wait([task])
        self._patch.undo()
        return task.cancelled()
