"""The brokered requests of one worker: checked, served at once, ended with their call."""

from collections.abc import Callable
from typing import Any, Protocol

import anyio

from host.domain.errors import HostError, SandboxError
from host.sandbox import wire
from host.sandbox.config import Limits
from host.sandbox.process import brokered
from host.sandbox.process.link import Fork
from host.sandbox.process.turn import Turn


class Line(Protocol):
    """What requests need of the connection that they came on."""

    fork: Fork
    plugin: str
    limits: Limits

    def pack(self, frame: object, what: str) -> bytes:
        """Renders a frame within the limits."""
        ...

    def send(self, data: bytes) -> None:
        """Sends bytes, unless the worker has gone."""
        ...

    def end(self, error: SandboxError) -> None:
        """Ends the worker and gives its caller an error."""
        ...


class Request:
    """A brokered request being served; its scope is made by its task, the only place that can."""

    def __init__(self) -> None:
        self.scope: anyio.CancelScope | None = None
        self.cancelled = False

    def cancel(self) -> None:
        """End it, also where it has not begun."""
        self.cancelled = True
        if self.scope is not None:
            self.scope.cancel()


class Requests:
    """The requests that a worker has open.

    Args:
        line: The connection.
        spawn: Starts the tasks that serve them: takes an async function and its arguments.
    """

    def __init__(self, line: Line, *, spawn: Callable[..., object]) -> None:
        self._line = line
        self._spawn = spawn
        self._last = 0
        self._open: dict[int, Request] = {}

    def __len__(self) -> int:
        """Returns how many are open."""
        return len(self._open)

    def take(self, turn: Turn, frame: dict[str, Any]) -> None:
        """Starts serving one.

        Raises:
            FrameError: Its number was used before, or too many are open.
        """
        number = frame["id"]
        if number <= self._last:
            msg = "a request under a number already used"
            raise wire.FrameError(msg)
        if len(self._open) >= self._line.limits.concurrency:
            msg = f"more than {self._line.limits.concurrency} requests at once"
            raise wire.FrameError(msg)
        self._last = number
        if turn.abandoned:  # nobody waits for it any more; the grace timer runs on
            words = {"error": "The call was cancelled.", "kind": "Cancelled"}
            self._line.send(wire.pack({"t": "reply", "id": number, **words}))
            return
        turn.requests += 1
        if not self._open:
            turn.pause(self._line.fork)
        request = self._open[number] = Request()
        turn.context.copy().run(self._spawn, self._serve, turn, frame, request)

    async def _serve(self, turn: Turn, frame: dict[str, Any], request: Request) -> None:
        line, number = self._line, frame["id"]
        with anyio.CancelScope() as scope:
            request.scope = scope
            if request.cancelled:
                return
            try:
                if turn.requests > line.limits.requests:
                    msg = f"More than {line.limits.requests} brokered calls in one call."
                    raise SandboxError(msg)  # noqa: TRY301 - told to the plugin like any refusal
                answer = await brokered.answer(turn.broker, frame["op"], frame["params"])
                reply = line.pack({"t": "reply", "id": number, "ok": answer}, frame["op"])
            except HostError as error:
                kind = type(error).__name__
                reply = wire.pack({"t": "reply", "id": number, "error": str(error), "kind": kind})
            except Exception as error:  # noqa: BLE001 - one broken call must not stop the daemon
                words = f"{line.plugin}.{turn.what}: the host failed to answer {frame['op']}"
                line.end(SandboxError(f"{words}: {type(error).__name__}: {error}"))
                return
            if self._open.pop(number, None) is not None:
                if not self._open:
                    turn.resume(line.fork)
                line.send(reply)

    def cancel(self) -> None:
        """Ends them all."""
        requests = list(self._open.values())
        self._open.clear()
        for request in requests:
            request.cancel()
