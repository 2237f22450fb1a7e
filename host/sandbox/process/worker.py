"""A confined worker: says which layers hold, loads one plugin, then answers calls until EOF."""

import gc
import inspect
import json
import os
import sys
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NoReturn, cast

from host.sandbox.process.channel import CallCancelledError, Channel
from host.sandbox.process.confine import Plan, confine, limit_memory
from host.sandbox.process.declare import Annotations, Declarations
from host.sandbox.process.facade import HostFacade, tool_modules
from host.sandbox.process.layer import ACTIVE
from host.sandbox.process.loader import Loader

_MESSAGE_CHARACTERS = 4000
_TRACE_LINES = 20


@dataclass(frozen=True, slots=True)
class Birth:
    """What the zygote tells one worker.

    Attributes:
        wire: The socket to the host.
        number: Which worker this is.
        fresh: The outcome of each namespace that was made for this worker alone.
        base: Address space of a blank worker in bytes.
        rehearsed: Whether to rehearse before saying hello.
    """

    wire: int
    number: int
    fresh: Mapping[str, str]
    base: int
    rehearsed: bool


def run(worker: "Worker", plan: Plan, birth: Birth) -> NoReturn:
    """Confines this process and serves the host; never returns to the zygote's code."""
    try:
        layers = confine(plan, birth.wire, number=birth.number, fresh=birth.fresh)
        if birth.rehearsed:
            rehearse(worker.loader)
        worker.serve(layers, base=birth.base if layers.get("rlimits") == ACTIVE else 0)
    finally:
        os._exit(1)


_REHEARSAL = """
@tool
def add(a: int, b: list[str] = None) -> int:
    "Adds."
    host.log("x")
    return a
"""
_LIMITS = {"frame_bytes": 1 << 20, "concurrency": 1, "output_bytes": 1000, "notes": 1}
_FRAME = {"t": "load", "name": "rehearsal", "servers": {}, "entry": "", "limits": _LIMITS}


def rehearse(loader: Loader) -> None:
    """Loads and calls a plugin of our own without the wire, from source and from compiled code.

    The first run of any code after a fork copies the pages it touches and fills caches; doing it
    while the worker is blank takes that out of the start of a plugin.
    """
    code = ""
    if loader.restore is not None:
        code = loader.packed(loader.compile(_REHEARSAL, name="rehearsal", modules=()))
    frame = {**_FRAME, "source": _REHEARSAL, "code": code, "keep": False}
    worker = Worker(_Silent(), loader)
    worker.load(json.loads(json.dumps(frame)))
    worker.call(1, "add", {"a": 1, "b": ["x"]})


class _Silent(Channel):
    """A channel that sends nothing, for the rehearsal."""

    def write(self, data: bytes) -> None:  # pyright: ignore[reportImplicitOverride] - 3.11, no site
        del data


class Worker:
    """One plugin, its functions, and the loop that calls them one at a time.

    It is made before the fork, with all that does not hang on the plugin: what is there already
    need not be made while somebody waits.

    Args:
        channel: The wire to the host.
        loader: Turns source into something with a `load` method.
    """

    def __init__(self, channel: Channel, loader: Loader) -> None:
        self.loader = loader
        self._channel = channel
        self._base = 0
        self._declared = Declarations()
        self._facade = HostFacade(channel)
        self._given: dict[str, Any] = {
            "host": self._facade,
            "extra_builtins": self._declared.decorators(),
            "output": channel.output.write,
        }
        self._blank = loader.blank(**self._given) if loader.blank is not None else None
        self._name = ""
        self._enter: Callable[..., Any] = _called

    def serve(self, layers: Mapping[str, str], *, base: int) -> NoReturn:
        """Says which layers hold, then answers frames until the host closes the wire.

        Args:
            layers: What the host is told.
            base: Address space of a blank worker in bytes; 0 leaves memory unlimited.
        """
        self._base = base
        self._channel.send({"t": "hello", "layers": layers})
        while True:
            frame = self._channel.receive()
            try:
                if frame["t"] == "load":
                    self.load(frame)
                elif frame["t"] == "call":
                    self.call(frame["id"], frame["fn"], frame["args"])
            except CallCancelledError:
                continue  # a cancel that arrived just after the call ended

    def load(self, frame: dict[str, Any]) -> None:
        """Loads the plugin and tells what it declares."""
        channel, limits = self._channel, frame["limits"]
        if self._base:
            limit_memory(self._base + limits["memory_bytes"])
        channel.frame_bytes = limits["frame_bytes"]
        channel.concurrency = limits["concurrency"]
        channel.output.limit = limits["output_bytes"]
        channel.output.begin()
        sys.stdout = sys.stderr = channel.output
        self._name = frame["name"]
        self._facade.allow(limits["notes"])
        try:
            modules = tool_modules(self._facade, frame["servers"])
            given = self._given if self._blank is None else {"into": self._blank}
            namespace = self._compiled(frame, list(modules)).load(modules=modules, **given)
            self._enter = _entry(namespace)
            channel.send(
                {
                    "t": "loaded",
                    "functions": self._declared.described(_resolver(namespace)),
                    "out": channel.output.take(),
                }
            )
        except BaseException as error:  # noqa: BLE001 - the boundary of a child process
            self._refuse(error)

    def _compiled(self, frame: dict[str, Any], modules: list[str]) -> Any:  # noqa: ANN401
        """Restores what an earlier worker compiled, or compiles and, if asked, says to what.

        None of the plugin's own code has run when the answer is sent.
        """
        if frame["code"]:
            return self.loader.unpacked(frame["code"], self._name)
        entry = {"entry": frame["entry"]} if frame["entry"] else {}
        compiled = self.loader.compile(frame["source"], name=self._name, modules=modules, **entry)
        if frame["keep"]:  # always an answer, so that the plugin's code cannot give another
            code = self.loader.packed(compiled)
            fits = len(code) <= self._channel.frame_bytes // 2
            self._channel.send({"t": "compiled", "code": code if fits else ""})
        return compiled

    def _refuse(self, error: BaseException) -> None:
        findings = getattr(error, "findings", [])
        described = {
            "t": "refused",
            "kind": type(error).__name__,
            "message": _words(error) or "\n".join(_trace(error.__traceback__, self._name)),
            "findings": [_finding(finding) for finding in findings],
        }
        self._channel.send(described)

    def call(self, number: int, name: str, arguments: dict[str, Any]) -> None:
        """Calls a declared function and sends its answer."""
        channel = self._channel
        channel.output.begin()
        self._facade.begin()
        try:
            outcome = self._enter(self._declared.call, name, arguments)
            if inspect.iscoroutine(outcome):
                outcome = self._enter(_drive, outcome)
            channel.send(
                {"t": "result", "id": number, "value": outcome, "out": channel.output.take()}
            )
        except MemoryError:
            outcome = None
            gc.collect()
            self._fail(number, "MemoryError", "the plugin used up its memory", [])
        except CallCancelledError:
            self._fail(number, "Cancelled", "the call was cancelled", [])
        except BaseException as error:  # noqa: BLE001 - the boundary of a child process
            trace = _trace(error.__traceback__, self._name)
            self._fail(number, type(error).__name__, _words(error), trace)

    def _fail(self, number: int, kind: str, message: str, trace: list[str]) -> None:
        out = self._channel.output.take()
        frame = {"t": "error", "id": number, "kind": kind, "message": message, "trace": trace}
        self._channel.send({**frame, "out": out})


def _called(function: Callable[..., Any], /, *args: object, **kwargs: object) -> object:
    return function(*args, **kwargs)


def _entry(namespace: object) -> Callable[..., Any]:
    """What runs a plugin's function in the context that its module's body had."""
    return getattr(getattr(namespace, "context", None), "run", _called)


def _resolver(namespace: object) -> Annotations | None:
    """What a loader offers for annotations written as text; a plain namespace offers nothing."""
    return getattr(namespace, "annotations", None)


def _drive(coroutine: Any) -> object:  # noqa: ANN401 - any awaitable's generator protocol
    """Runs an `async def` function; there is no event loop, so nothing may really wait."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    msg = "an async function waited for something other than the host"
    raise RuntimeError(msg)


def _words(error: BaseException) -> str:
    """The error's own words, made safe to send; a hostile `__str__` costs only its message."""
    try:
        text = str(error)[:_MESSAGE_CHARACTERS]
        return text.encode("utf-8", "replace").decode()
    except BaseException:  # noqa: BLE001 - `__str__` is the plugin's code
        return "(its message cannot be read)"


def _trace(traceback: TracebackType | None, name: str) -> list[str]:
    """The plugin's own lines on the way to an error, innermost last."""
    lines = [
        f"{name}, line {line}, in {function}"
        for file, line, function in _steps(traceback)
        if not file.startswith("/")  # the host's own files have absolute names
    ]
    return lines[-_TRACE_LINES:]


def _steps(traceback: TracebackType | None) -> Generator[tuple[str, int, str]]:
    while traceback is not None:
        code = traceback.tb_frame.f_code
        yield code.co_filename, traceback.tb_lineno or 0, code.co_name
        traceback = traceback.tb_next


def _finding(finding: object) -> dict[str, object]:
    if isinstance(finding, dict):
        named = cast("dict[str, object]", finding)
        return {str(key): value for key, value in named.items()}
    names = getattr(finding, "__dataclass_fields__", ())
    return {key: getattr(finding, key) for key in names} or {"message": str(finding)}
