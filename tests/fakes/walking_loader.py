"""Loads an attempt to escape inside a confined worker and lets the test ask what it got.

`compile_plugin` has the compiler's wall in place as well; `compile_plainly` leaves the process to
hold alone, and lets what the attempt stole be used: files, the environment, processes, the network.
"""

import builtins
import os
import socket
import types
from collections.abc import Callable, Collection, Mapping
from typing import Any

from host.domain.errors import PluginRejectedError
from host.sandbox import compiler
from tests.sandbox.compiler.reach import reached_outside

REHEARSAL = "@tool\ndef add(a: int"


def preload() -> None:
    """Import what loading would import later, when no file can be read."""
    compiler.preload()


class Walked:
    """An attempt that passed the compiler; loading it runs it and declares `verdict`."""

    def __init__(self, plugin: compiler.CompiledPlugin) -> None:
        self._plugin = plugin

    def load(
        self,
        *,
        host: object,
        extra_builtins: Mapping[str, Any],
        modules: Mapping[str, Mapping[str, Any]],
        output: Callable[[str], object],
    ) -> object:
        stolen: list[Any] = []
        told: list[str] = []
        given = {**extra_builtins, "steal": stolen.append, "report": told.append}
        namespace = self._plugin.prepare(
            host=host, extra_builtins=given, modules=modules, output=output
        )
        given_to_all = {one.what for one in reached_outside(namespace, [])}
        try:
            namespace.run(self._plugin.code)
        except Exception as error:  # noqa: BLE001 - whatever an attack ends with
            told_how = f"raised {type(error).__name__}"
        else:
            told_how = "ran"

        def verdict() -> dict[str, Any]:
            walked = reached_outside(namespace, stolen)
            found = [str(one) for one in walked if one.what not in given_to_all]
            return {"how": told_how, "reached": found + [f"told {len(text)}" for text in told]}

        extra_builtins["tool"](verdict)
        return namespace


class Rejected:
    """An attempt that the compiler rejected."""

    def load(self, *, extra_builtins: Mapping[str, Any], **_: object) -> object:
        def verdict() -> dict[str, Any]:
            return {"how": "rejected", "reached": []}

        extra_builtins["tool"](verdict)
        return object()


class Plain:
    """An attempt that no compiler stopped."""

    def __init__(self, source: str) -> None:
        self._source = source

    def load(
        self, *, host: object, extra_builtins: Mapping[str, Any], **_: object
    ) -> dict[str, object]:
        stolen: list[Any] = []
        told: list[str] = []
        scope = vars(types.ModuleType("plugin"))
        given = {**vars(builtins), **extra_builtins, "steal": stolen.append, "report": told.append}
        scope.update({"host": host, "__builtins__": given})
        how = "ran"
        try:
            exec(compile(self._source, "attempt", "exec"), scope)  # noqa: S102 - that is its point
        except Exception as error:  # noqa: BLE001 - whatever an attack ends with
            how = f"raised {type(error).__name__}"

        def verdict() -> dict[str, Any]:
            return {"how": how, "stolen": len(stolen) + len(told), "harm": list(harms())}

        extra_builtins["tool"](verdict)
        return scope


def harms() -> list[str]:
    """Do what somebody would who got out; return what succeeded."""
    done: list[str] = []
    for name, attempt in _HARMS.items():
        try:
            if attempt():
                done.append(name)
        except Exception:  # noqa: BLE001, S112 - it was held
            continue
    return done


def _connect() -> bool:
    with socket.socket() as sock:
        sock.connect(("127.0.0.1", 9))
    return True


_HARMS: dict[str, Callable[[], object]] = {
    "read a file": lambda: open("/etc/passwd").read(),  # noqa: PTH123, SIM115 - an attack
    "list a folder": lambda: os.listdir("/"),  # noqa: PTH208 - an attack
    "see the environment": lambda: "HOST_TEST_SECRET" in os.environ,
    "open a socket": _connect,
    "start a process": lambda: os.posix_spawn("/bin/true", ["/bin/true"], {}),
}


def compile_plugin(
    source: str, *, name: str, modules: Collection[str] = ()
) -> Walked | Rejected | compiler.CompiledPlugin:
    """Compile for both walls."""
    if source.lstrip().startswith(REHEARSAL):
        return compiler.compile_plugin(source, name=name, modules=modules)
    try:
        return Walked(compiler.compile_plugin(source, name=name, modules=modules))
    except PluginRejectedError:
        return Rejected()


def compile_plainly(source: str, *, name: str, modules: Collection[str] = ()) -> object:
    """Compile for the process alone."""
    if source.lstrip().startswith(REHEARSAL):
        return compiler.compile_plugin(source, name=name, modules=modules)
    return Plain(source)
