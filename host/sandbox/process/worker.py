"""A confined worker: says which layers hold, loads one plugin, then answers calls until EOF."""

import gc
import importlib
import inspect
import json
import os
import signal
import sys
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, NoReturn, cast

from host.sandbox import wire
from host.sandbox.process.channel import CallCancelledError, Channel, Output
from host.sandbox.process.confine import Plan, confine, limit_memory
from host.sandbox.process.declare import Annotations, Declarations
from host.sandbox.process.facade import HostFacade, tool_modules
from host.sandbox.process.layer import ACTIVE

_MESSAGE_CHARACTERS = 4000
_TRACE_LINES = 20


def run(plan: Plan, wire: int, *, number: int, loader: tuple[str, bool], base: int) -> NoReturn:
    """Confines this process and serves the host; never returns to the zygote's code.

    Args:
        plan: The layers.
        wire: The socket to the host.
        number: Which worker this is.
        loader: What compiles plugins, and whether to rehearse it first.
        base: Address space of a blank worker in bytes.
    """
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        module, _, attribute = loader[0].partition(":")
        compile_plugin = getattr(importlib.import_module(module), attribute)
        layers = confine(plan, wire, number=number)
        channel = Channel()
        if loader[1]:
            rehearse(compile_plugin)
        channel.send({"t": "hello", "layers": layers})
        base = base if layers.get("rlimits") == ACTIVE else 0
        Worker(channel, compile_plugin, base=base).serve()
        status = 0
    finally:
        os._exit(status)


_REHEARSAL = """
@tool
def add(a: int, b: list[str] = None) -> int:
    "Adds."
    host.log("x")
    return a
"""


def rehearse(compile_plugin: Callable[..., Any]) -> None:
    """Loads and calls a plugin of our own without the wire.

    The first run of any code after a fork copies the pages it touches and fills caches; doing it
    while the worker is blank takes that out of the start of a plugin.
    """
    declared, channel = Declarations(), _Silent()
    facade = HostFacade(channel, notes=1)
    compiled = compile_plugin(_REHEARSAL, name="rehearsal", modules=())
    namespace = compiled.load(
        host=facade, extra_builtins=declared.decorators(), modules={}, output=str
    )
    value = declared.functions["add"](**json.loads('{"a":1,"b":["x"]}'))
    wire.pack(
        {
            "t": "loaded",
            "functions": declared.described(_resolver(namespace)),
            "id": 1,
            "value": value,
        }
    )


class _Silent(Channel):
    """A channel that sends nothing, for the rehearsal."""

    def send(self, frame: object) -> None:  # pyright: ignore[reportImplicitOverride] - 3.11, no site
        wire.pack(frame)


class Worker:
    """One plugin, its functions, and the loop that calls them one at a time.

    Args:
        channel: The wire to the host.
        compile_plugin: Turns source into something with a `load` method.
        base: Address space of a blank worker in bytes; 0 leaves memory unlimited.
    """

    def __init__(self, channel: Channel, compile_plugin: Callable[..., Any], *, base: int) -> None:
        self._channel = channel
        self._base = base
        self._compile = compile_plugin
        self._declared = Declarations()
        self._facade: HostFacade | None = None
        self._name = ""
        self._enter: Callable[..., Any] = _called

    def serve(self) -> None:
        """Answers frames until the host closes the wire."""
        while True:
            frame = self._channel.receive()
            try:
                if frame["t"] == "load":
                    self._load(frame)
                elif frame["t"] == "call":
                    self._call(frame["id"], frame["fn"], frame["args"])
            except CallCancelledError:
                continue  # a cancel that arrived just after the call ended

    def _load(self, frame: dict[str, Any]) -> None:
        channel, limits = self._channel, frame["limits"]
        if self._base:
            limit_memory(self._base + limits["memory_bytes"])
        channel.frame_bytes = limits["frame_bytes"]
        channel.concurrency = limits["concurrency"]
        channel.output = sys.stdout = sys.stderr = Output(limits["output_bytes"])
        self._name = frame["name"]
        self._facade = HostFacade(channel, notes=limits["notes"])
        gc.enable()
        try:
            modules = tool_modules(self._facade, frame["servers"])
            entry = {"entry": frame["entry"]} if frame["entry"] else {}
            compiled = self._compile(
                frame["source"], name=self._name, modules=list(modules), **entry
            )
            namespace = compiled.load(
                host=self._facade,
                extra_builtins=self._declared.decorators(),
                modules=modules,
                output=channel.output.write,
            )
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

    def _refuse(self, error: BaseException) -> None:
        findings = getattr(error, "findings", [])
        described = {
            "t": "refused",
            "kind": type(error).__name__,
            "message": _words(error) or "\n".join(_trace(error.__traceback__, self._name)),
            "findings": [_finding(finding) for finding in findings],
        }
        self._channel.send(described)

    def _call(self, number: int, name: str, arguments: dict[str, Any]) -> None:
        channel = self._channel
        channel.output.begin()
        if self._facade is not None:
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
