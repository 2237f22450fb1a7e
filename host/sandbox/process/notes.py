"""What a plugin says while it works, on its way to the broker: bounded in size, number and pace."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from host.sandbox.broker import Broker, Log, Progress

MAX_TEXT = 8_000
"""Characters of one log message that are kept."""

MAX_PROGRESS_TEXT = 500
"""Characters of one progress message that are shown: it stands on somebody's screen."""

PROGRESS_SECONDS = 0.05
"""Shortest time between two progress messages; of those in between, only the newest is shown."""

_WAITING = 64
_CUT = " [cut off here]"


class Clock(Protocol):
    """The part of an event loop that paces messages."""

    def time(self) -> float:
        """Returns seconds."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Any:  # noqa: ANN401
        """Calls something after so many seconds."""
        ...


class Notes:
    """The messages of one call, in order.

    Args:
        broker: Takes them.
        spawn: Starts a task from a callback.
        on_room: Called when the queue, having been full, is so no more.
        on_broken: Called with the error of a broker that failed.
        clock: Paces progress; the event loop.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        spawn: Callable[[Callable[[], Coroutine[Any, Any, None]]], object],
        on_room: Callable[[], None],
        on_broken: Callable[[Exception], None],
        clock: Clock,
    ) -> None:
        self._broker = broker
        self._spawn = spawn
        self._on_room = on_room
        self._on_broken = on_broken
        self._clock = clock
        self._queue: deque[Log | Progress] = deque()
        self._next = float("-inf")
        self._held: Progress | None = None
        self._passed_over = 0
        self._cut = 0
        self._delivering = False
        self._delivered = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether the plugin should wait."""
        return len(self._queue) >= _WAITING

    def add(self, note: Log | Progress) -> None:
        """Takes a message; progress that comes too soon waits, and gives way to what is newer."""
        note = self._shortened(note)
        if isinstance(note, Log):
            self._put(note)
            return
        wait = self._next - self._clock.time()
        if self._held is not None:
            self._passed_over += 1
        elif wait > 0:
            self._clock.call_later(wait, self._release)
        if wait > 0:
            self._held = note
        else:
            self._held = None
            self._next = self._clock.time() + PROGRESS_SECONDS
            self._put(note)

    async def finish(self) -> None:
        """Waits until the broker has everything, and a word about what was not shown."""
        self.close()
        if self._delivering:
            await self._delivered.wait()

    def close(self) -> None:
        """Lets nothing wait any longer, and says in the log what was not shown."""
        self._release()
        said = [
            f"{count} of its {what}"
            for count, what in (
                (self._passed_over, "progress messages came too fast to be shown"),
                (self._cut, "messages were too long and cut off"),
            )
            if count
        ]
        self._passed_over = self._cut = 0
        if said:
            self._put(Log("warning", f"(by the host) {'; '.join(said)}."))

    def _release(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            self._next = self._clock.time() + PROGRESS_SECONDS
            self._put(held)

    def _put(self, note: Log | Progress) -> None:
        self._queue.append(note)
        if not self._delivering:
            self._delivering = True
            self._delivered.clear()
            self._spawn(self._deliver)

    async def _deliver(self) -> None:
        try:
            while self._queue:
                await self._broker.note(self._queue.popleft())
                if len(self._queue) == _WAITING - 1:
                    self._on_room()
        except Exception as error:  # noqa: BLE001 - one broken call must not stop the daemon
            self._on_broken(error)
        finally:
            self._delivering = False
            self._queue.clear()
            self._delivered.set()

    def _shortened(self, note: Log | Progress) -> Log | Progress:
        most = MAX_TEXT if isinstance(note, Log) else MAX_PROGRESS_TEXT
        if len(note.message) <= most:
            return note
        self._cut += 1
        message = note.message[:most] + _CUT
        if isinstance(note, Log):
            return Log(note.level, message)
        return Progress(note.done, note.total, message)
