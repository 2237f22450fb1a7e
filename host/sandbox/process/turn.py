"""The call under way on a connection: who waits for it, and how much time it has left."""

import asyncio
import contextvars
from collections.abc import Callable

from host.sandbox.broker import JSON, Broker
from host.sandbox.process.link import Fork
from host.sandbox.process.notes import Notes
from host.sandbox.process.result import CallResult

_SHORTEST_WATCH = 0.05


class Turn:
    """One call, with a timer that stands still while the plugin waits for the host.

    Args:
        number: The call's id on the wire; 0 for loading.
        what: The function, as errors name it.
        broker: Answers its requests.
        seconds: What the plugin may use.
        on_timeout: Called once when it has used them up.
    """

    def __init__(
        self,
        number: int,
        what: str,
        *,
        broker: Broker,
        seconds: float,
        on_timeout: Callable[["Turn"], None],
    ) -> None:
        self.number = number
        self.what = what
        self.broker = broker
        self.context = contextvars.copy_context()  # brokered calls act for whoever made this call
        self.answer: asyncio.Future[CallResult] = asyncio.get_running_loop().create_future()
        self.received = 0
        self.printed = ""
        self.told = 0
        self.notes: Notes | None = None
        self.requests = 0
        self.abandoned = False
        self.keep: Callable[[str], None] | None = None
        """Takes what the source was compiled to, once, while loading; None where nobody asked."""
        self._loop = asyncio.get_running_loop()
        self._left = seconds
        self._started = 0.0
        self._cpu = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._on_timeout = on_timeout

    def start(self) -> None:
        """Starts or restarts the timer with what is left."""
        self._started = self._loop.time()
        self._timer = self._loop.call_later(self._left, self._on_timeout, self)

    def stop(self) -> None:
        """Stops the timer for good."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause(self, fork: Fork) -> None:
        """Stops charging wall time; what it computes meanwhile is still charged."""
        self.stop()
        self._left -= self._loop.time() - self._started
        self._cpu = fork.cpu_seconds()
        self._watch_later(fork)

    def resume(self, fork: Fork) -> None:
        """Charges wall time again."""
        self.stop()
        self._left -= fork.cpu_seconds() - self._cpu
        self.start()

    def abandon(self, seconds: float) -> None:
        """Gives a cancelled plugin its last seconds; somebody else may await the answer now."""
        self.stop()
        self.abandoned = True
        self.answer = self._loop.create_future()
        self._timer = self._loop.call_later(seconds, self._on_timeout, self)

    def fail(self, error: Exception) -> None:
        """Gives the caller an error, unless it has its answer."""
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # seen, even when nobody waits for it any more

    def succeed(self, value: JSON, output: str) -> None:
        """Gives the caller its answer, unless it has gone."""
        if not self.answer.done():
            self.answer.set_result(CallResult(value, output))

    def _watch_later(self, fork: Fork) -> None:
        wait = max(self._left, _SHORTEST_WATCH)
        self._timer = self._loop.call_later(wait, self._watch, fork)

    def _watch(self, fork: Fork) -> None:
        if fork.cpu_seconds() - self._cpu > self._left:
            self._on_timeout(self)
        else:
            self._watch_later(fork)
