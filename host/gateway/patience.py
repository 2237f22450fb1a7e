"""How long a list of the catalog waits for servers that have not answered yet."""

import asyncio
from collections.abc import Collection, Mapping

from host.gateway.provider import ToolProvider
from host.gateway.upstream.listing import Listing

FIRST_WAIT = 10.0
"""Seconds that a first list waits for children while none at all has answered."""

REMOTE_WAIT = 1.0
"""Seconds that a first list waits for servers that are not the host's children."""

KNOWN_WAIT = 0.5
"""Seconds of it that it waits for servers whose last list is remembered."""

STRAGGLER_WAIT = 1.0
"""Seconds that it waits for the others once some server has answered; on a slow machine longer, as
long again as that took."""


async def wait_promptly(
    prompt: Mapping[asyncio.Task[Listing], ToolProvider], known: Collection[ToolProvider]
) -> None:
    """Wait for listings, so long that most are there and nobody is kept waiting by one.

    A child may be starting; but one that hangs, and a remote server that is silent, must not keep
    the others' tools from the client. Where the last list is remembered it will do for now. What
    comes later is announced by `list_changed`.

    Args:
        prompt: The listings, without those of servers that were slow before.
        known: The servers whose last list is remembered.
    """
    if not prompt:
        await asyncio.sleep(0)
        return
    patience = _Patience()
    await asyncio.wait(prompt, timeout=min(KNOWN_WAIT, REMOTE_WAIT))
    missing = {task for task, one in prompt.items() if not task.done() and one not in known}
    patience.note(bool(known) or any(_answered(task, one) for task, one in prompt.items()))
    while missing:
        left = patience.left(children=any(prompt[task].config.url is None for task in missing))
        done, missing = await asyncio.wait(
            missing, timeout=left, return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            return
        patience.note(any(_answered(task, prompt[task]) for task in done))


class _Patience:
    """How long is waited on, by when a server answered last."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._answered: float | None = None

    def note(self, answered: bool) -> None:
        """Take down whether a server has answered just now."""
        if answered:
            self._answered = self._clock()

    def left(self, *, children: bool) -> float:
        """Return the seconds for which to wait on.

        Args:
            children: Whether some of those that are waited for are the host's children.
        """
        end = self._began + (FIRST_WAIT if children else REMOTE_WAIT)
        if self._answered is not None:
            took = self._answered - self._began
            end = min(end, self._answered + max(STRAGGLER_WAIT, took))
        return max(0.0, end - self._clock())


def _answered(task: asyncio.Task[Listing], server: ToolProvider) -> bool:
    """Whether a server has listed something; the host itself always does, and at once."""
    return not server.own and task.done() and task.exception() is None
