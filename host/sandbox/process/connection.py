"""The host's end of one worker's wire; treats whatever arrives on it as forged.

It reads and writes the socket straight from the event loop: a call's round trip is short enough
that stream layers would double it.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from functools import partial
from typing import Any

from host.domain.errors import (
    PluginDiedError,
    PluginFailedError,
    PluginLoadError,
    PluginProtocolError,
    PluginTimeoutError,
    SandboxError,
)
from host.domain.wait import outcome_of
from host.sandbox import wire
from host.sandbox.broker import JSON, Broker
from host.sandbox.config import Limits
from host.sandbox.process import brokered
from host.sandbox.process.cgroup import WorkerGroup
from host.sandbox.process.death import explain
from host.sandbox.process.link import Fork
from host.sandbox.process.notes import Notes
from host.sandbox.process.outbox import Outbox
from host.sandbox.process.request import Requests
from host.sandbox.process.result import CallResult
from host.sandbox.process.turn import Turn

_LIMITS = tuple(field.name for field in fields(Limits))
"""Not `asdict` at each start: it copies deeply."""
_READ_BYTES = 65536
"""More costs a system call for memory at each read, ten times the read itself."""
_CANCEL_GRACE = 0.25
_CUT_CHARACTERS = 100
"""Room for the words by which a worker says that it cut its output."""

Spawn = Callable[..., object]
"""Starts a background task from a callback: takes an async function and its arguments."""


class Connection:
    """One live worker process.

    Args:
        fork: The process and its socket.
        plugin: Named in errors.
        spawn: Starts the tasks that serve brokered requests.
    """

    def __init__(self, fork: Fork, *, spawn: Spawn) -> None:
        self.fork = fork
        self.plugin = "(blank)"
        self.limits = Limits()
        self.layers: Mapping[str, str] = {}
        self.group: WorkerGroup | None = None
        self.functions: list[dict[str, Any]] = []
        self.idle_cpu = 0.0
        self.unread = False
        """Whether it ended before it had read the call that it was sent."""
        self._spawn = spawn
        self._loop = asyncio.get_running_loop()
        self._hello: asyncio.Future[None] = self._loop.create_future()
        self._reader = wire.FrameReader(self.limits.frame_bytes)
        self._turn: Turn | None = None
        self._last_call = 0
        self._requests = Requests(self, spawn=spawn)
        self._outbox = Outbox(fork.sock, on_broken=self._hung_up)
        self._closed = False
        self._listen()

    @property
    def alive(self) -> bool:
        """Whether the worker can be sent a call."""
        return not self._closed

    @property
    def idle(self) -> bool:
        """Whether no call is under way."""
        return self._turn is None

    async def hello(self) -> None:
        """Waits until the worker has confined itself and said how.

        Raises:
            SandboxError: It ended instead.
        """
        await outcome_of(self._hello)

    # --- calls -----------------------------------------------------------------------------

    async def load(  # noqa: PLR0913 - each is one fact about the plugin
        self,
        source: str,
        *,
        plugin: str,
        limits: Limits,
        broker: Broker,
        servers: Mapping[str, Mapping[str, list[str]]],
        entry: str = "",
        code: str = "",
        keep: Callable[[str], None] | None = None,
        seconds: float,
    ) -> CallResult:
        """Hands the worker its plugin; `functions` then lists what it declares.

        Args:
            source: What it compiles.
            plugin: The plugin's name.
            limits: What it may use.
            broker: Answers requests.
            servers: What it can import as `tools.SERVER`.
            entry: The function that the source is the body of; empty for a module.
            code: What the source was compiled to by an earlier worker.
            keep: Given that, where this worker is the one that compiles.
            seconds: What loading may take.
        """
        self.plugin, self.limits = plugin, limits
        if self.group is not None:
            self.group.limit_memory(limits.memory_bytes)
        self._reader = wire.FrameReader(limits.frame_bytes)
        frame = {
            "t": "load",
            "source": "" if code else source,
            "code": code,
            "keep": keep is not None,
            "name": plugin,
            "limits": {name: getattr(limits, name) for name in _LIMITS},
            "servers": servers,
            "entry": entry,
        }
        turn = self._turn_of(0, "loading", broker, seconds)
        turn.keep = keep
        return await self._run(frame, turn)

    async def call(
        self, function: str, arguments: Mapping[str, JSON], *, broker: Broker, seconds: float
    ) -> CallResult:
        """Calls a declared function; one call at a time."""
        self._last_call += 1
        frame = {"t": "call", "id": self._last_call, "fn": function, "args": arguments}
        return await self._run(frame, self._turn_of(self._last_call, function, broker, seconds))

    def _turn_of(self, number: int, what: str, broker: Broker, seconds: float) -> Turn:
        return Turn(number, what, broker=broker, seconds=seconds, on_timeout=self._time_out)

    async def _run(self, frame: object, turn: Turn) -> CallResult:
        data = self.pack(frame, turn.what)
        self._turn = turn
        turn.start()
        self.send(data)
        try:
            result = await turn.answer
            if turn.notes is not None:
                await turn.notes.finish()
        except asyncio.CancelledError:
            self._abandon(turn)
            raise
        finally:
            if turn.notes is not None:
                turn.notes.close()
        return result

    def pack(self, frame: object, what: str) -> bytes:
        """Renders a frame within the limits.

        Raises:
            SandboxError: It is too large, or holds what JSON has no form for.
        """
        try:
            data = wire.pack(frame)
        except (TypeError, ValueError, RecursionError) as error:
            msg = f"The arguments of {self.plugin}.{what} have no JSON form: {error}."
            raise SandboxError(msg) from None
        if len(data) > self.limits.frame_bytes:
            msg = f"{len(data)} bytes are too many for {self.plugin}.{what}."
            raise SandboxError(
                msg, next_step=f"Send at most {self.limits.frame_bytes}, or raise `frame_bytes`."
            )
        return data

    def _abandon(self, turn: Turn) -> None:
        """The caller has gone: a plugin that waits for the host is told, any other is ended."""
        if self._turn is not turn:
            return
        if not self._requests:
            self.end(PluginDiedError(f"{self.plugin}.{turn.what} was cancelled."))
            return
        self._requests.cancel()
        turn.abandon(_CANCEL_GRACE)
        self.send(wire.pack({"t": "cancel", "id": turn.number}))

    def _time_out(self, turn: Turn) -> None:
        words = f"{self.plugin}.{turn.what} did not finish in time and was ended."
        self.end(PluginTimeoutError(words, next_step="Raise its timeout, or make it do less."))

    async def settled(self) -> None:
        """Waits for the end of a cancelled call."""
        if self._turn is not None:
            with suppress(SandboxError):
                await outcome_of(self._turn.answer)

    # --- incoming --------------------------------------------------------------------------

    def _readable(self) -> None:
        try:
            data = self.fork.sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            data = b""
            self.unread = type(error) is ConnectionResetError and self._untouched()
        if not data:
            self._hung_up()
            return
        turn = self._turn
        try:
            if turn is not None:
                turn.received += len(data)
                if turn.received > self.limits.call_bytes:
                    msg = f"more than {self.limits.call_bytes} bytes in one call"
                    raise wire.FrameError(msg)  # noqa: TRY301 - one place ends the worker
            for payload in self._reader.feed(data):
                self._take(wire.unpack(payload))
                if self._closed:
                    return
        except wire.FrameError as error:
            words = f"{self.plugin} was ended because it sent {error}."
            self.end(PluginProtocolError(words, next_step="Do not trust this plugin."))
        except Exception as error:  # noqa: BLE001 - or the caller would wait for ever
            self.end(SandboxError(f"The host failed on a message of {self.plugin}: {error!r}"))

    def _untouched(self) -> bool:
        """Return whether the only frame that can be unread is the call itself.

        The kernel resets a connection whose other end has gone without reading all.
        """
        turn = self._turn
        return turn is not None and turn.received == 0 and not turn.abandoned

    def _take(self, frame: dict[str, Any]) -> None:
        kind = wire.check_frame(frame)
        if kind == "hello":
            self._greeted(frame)
            return
        turn = self._turn
        if turn is None:
            msg = f"a {kind} frame while no call was under way"
            raise wire.FrameError(msg)
        keep, turn.keep = turn.keep, None  # only the very first frame can be trusted with it
        if kind in {"result", "loaded"}:
            self._finish(turn, frame)
        elif kind in {"error", "refused"}:
            self._fail(turn, frame)
        elif kind == "request":
            self._requests.take(turn, frame)
        elif kind == "print":
            self._printed(turn, frame["text"])
        elif kind == "compiled":
            self._keep(keep, frame["code"])
        else:
            self._note(turn, frame)

    def _greeted(self, frame: dict[str, Any]) -> None:
        if self._hello.done():
            msg = "a second hello"
            raise wire.FrameError(msg)
        self.layers = frame["layers"]
        self._hello.set_result(None)

    def _expect(self, turn: Turn, frame: dict[str, Any]) -> None:
        loading = frame["t"] in {"loaded", "refused"}
        if loading != (turn.number == 0) or (not loading and frame["id"] != turn.number):
            msg = "an answer to a call that was not made"
            raise wire.FrameError(msg)
        if self._requests:
            msg = "an answer while its own requests were open"
            raise wire.FrameError(msg)
        turn.stop()
        self._turn = None
        self.idle_cpu = 0.0

    def _finish(self, turn: Turn, frame: dict[str, Any]) -> None:
        if frame["t"] == "loaded":
            self.functions = brokered.read_functions(frame["functions"])
        self._expect(turn, frame)
        turn.succeed(frame.get("value"), turn.printed + frame["out"])

    def _fail(self, turn: Turn, frame: dict[str, Any]) -> None:
        self._expect(turn, frame)
        kind, message = frame["kind"], frame["message"]
        error: SandboxError
        if frame["t"] == "refused":
            words = f"{self.plugin} could not be loaded: {kind}: {message}"
            error = PluginLoadError(words, findings=frame["findings"])
        else:
            words = f"{self.plugin}.{turn.what} failed: {kind}: {message}"
            trace = [str(line) for line in frame["trace"]]
            output = turn.printed + frame["out"]
            error = PluginFailedError(words, kind=kind, trace=trace, output=output)
        turn.fail(error)
        if kind == "MemoryError" or frame["t"] == "refused":
            self.end(error)  # what is left of it cannot be trusted to work

    def _keep(self, keep: Callable[[str], None] | None, code: str) -> None:
        """Take what the source was compiled to: sent before any of it has run."""
        if keep is None:
            msg = "compiled code that nobody asked for"
            raise wire.FrameError(msg)
        keep(code)

    def _printed(self, turn: Turn, text: str) -> None:
        """Keep what was printed before a request; the rest comes with the answer."""
        turn.printed += text
        if len(turn.printed) > self.limits.output_bytes + _CUT_CHARACTERS:
            msg = f"more than {self.limits.output_bytes} characters of output in one call"
            raise wire.FrameError(msg)

    def _note(self, turn: Turn, frame: dict[str, Any]) -> None:
        turn.told += 1
        if turn.told > self.limits.notes:
            msg = f"more than {self.limits.notes} log and progress messages in one call"
            raise wire.FrameError(msg)
        if turn.notes is None:
            turn.notes = Notes(
                turn.broker,
                spawn=partial(turn.context.copy().run, self._spawn),
                on_room=self._listen,
                on_broken=self._note_failed,
                clock=self._loop,
            )
        turn.notes.add(brokered.read_note(frame))
        if turn.notes.full:
            self._loop.remove_reader(self.fork.sock)  # the socket fills and the plugin waits

    def _listen(self) -> None:
        if not self._closed:
            self._loop.add_reader(self.fork.sock, self._readable)

    def _note_failed(self, error: Exception) -> None:
        self.end(SandboxError(f"The host could not take a message of {self.plugin}: {error}"))

    def send(self, data: bytes) -> None:
        """Sends bytes, unless the worker has gone."""
        if not self._closed:
            self._outbox.send(data)

    # --- the end ---------------------------------------------------------------------------

    def _hung_up(self) -> None:
        """The worker closed the wire, which only its end does; waits for the reason."""
        self._silence()
        self.fork.kill()
        self.fork.ended.add_done_callback(self._explain)

    def _explain(self, ended: asyncio.Future[int | None]) -> None:
        what = self._turn.what if self._turn else "its start"
        why = explain(ended.result())
        self.end(PluginDiedError(f"{self.plugin} died during {what}: {why}."))

    def _silence(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self.fork.sock)
            self._outbox.close()
            self._requests.cancel()

    def end(self, error: SandboxError) -> None:
        """Ends the process and gives its caller `error`."""
        turn, self._turn = self._turn, None
        self._silence()
        self.fork.kill()
        self.fork.release()
        if not self._hello.done():
            self._hello.set_exception(error)
            self._hello.exception()
        if turn is not None:
            turn.stop()
            turn.fail(error)

    def close(self) -> None:
        """Ends the worker."""
        self.end(PluginDiedError(f"{self.plugin} was stopped."))
