"""Loads plugin source as ordinary unrestricted Python: with it, only the process wall holds."""

import builtins
import sys
import types
from collections.abc import Callable, Collection, Mapping


class PlainPlugin:
    def __init__(self, source: str, name: str) -> None:
        self._code = compile(source, f"<plugin {name}>", "exec")

    def load(
        self,
        *,
        host: object,
        extra_builtins: Mapping[str, object],
        modules: Mapping[str, Mapping[str, object]],
        output: Callable[[str], object],
    ) -> dict[str, object]:
        del output  # `print` writes to the captured `sys.stdout`
        sys.modules["tools"] = types.ModuleType("tools")
        for name, members in modules.items():
            sys.modules[name] = types.ModuleType(name)
            vars(sys.modules[name]).update(members)
        scope = vars(types.ModuleType("plugin"))
        scope.update({"host": host, "__builtins__": {**vars(builtins), **extra_builtins}})
        exec(self._code, scope)  # noqa: S102 - the point of this loader
        return scope


def compile_plugin(source: str, *, name: str, modules: Collection[str] = ()) -> PlainPlugin:
    del modules
    return PlainPlugin(source, name)
