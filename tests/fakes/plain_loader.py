"""Loads plugin source as ordinary unrestricted Python: with it, only the process wall holds."""

import builtins
import types
from collections.abc import Mapping


class PlainPlugin:
    def __init__(self, source: str, name: str) -> None:
        self._code = compile(source, f"<plugin {name}>", "exec")

    def load(self, *, host: object, extra_builtins: Mapping[str, object]) -> dict[str, object]:
        module = types.ModuleType("plugin")
        scope = module.__dict__
        scope.update({"host": host, "__builtins__": {**vars(builtins), **extra_builtins}})
        exec(self._code, scope)  # noqa: S102 - the point of this loader
        return scope


def compile_plugin(source: str, *, name: str) -> PlainPlugin:
    return PlainPlugin(source, name)
