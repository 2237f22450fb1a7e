"""The built-in names of a plugin, some of them guarded."""

import builtins
import importlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NoReturn

from host.sandbox.compiler.advice import about_module
from host.sandbox.compiler.catalog import module_names
from host.sandbox.compiler.classes import class_builder
from host.sandbox.compiler.guards import Guards
from host.sandbox.compiler.kinds import PluginType

_PLAIN = [
    "abs",
    "aiter",
    "all",
    "anext",
    "any",
    "ascii",
    "bin",
    "bool",
    "bytearray",
    "bytes",
    "callable",
    "chr",
    "classmethod",
    "complex",
    "dict",
    "divmod",
    "enumerate",
    "filter",
    "float",
    "format",
    "frozenset",
    "hash",
    "hex",
    "id",
    "int",
    "isinstance",
    "issubclass",
    "iter",
    "len",
    "list",
    "map",
    "max",
    "min",
    "next",
    "object",
    "oct",
    "ord",
    "pow",
    "property",
    "range",
    "repr",
    "reversed",
    "round",
    "set",
    "slice",
    "sorted",
    "staticmethod",
    "str",
    "sum",
    "super",
    "tuple",
    "zip",
    "None",
    "True",
    "False",
    "Ellipsis",
    "NotImplemented",
]
_INTERNAL = frozenset(
    [
        "_strptime",
        "_pylong",
        "re",
        "time",
        "datetime",
        "typing",
        "annotationlib",
        "string.templatelib",
        "copyreg",
    ]
)
"""Modules that the interpreter's C code imports in the plugin's frame, for its own use."""
_missing: Any = object()


def builtins_for(guards: Guards, output: Callable[[str], object]) -> dict[str, Any]:
    """Return the built-in names of one plugin.

    Args:
        guards: The plugin's guards.
        output: Called with each text that `print` writes.
    """
    names: dict[str, Any] = {**_unguarded()}
    names.update(_attribute_functions(guards))
    names["type"] = PluginType
    names["print"] = _print_to(output)
    names["__build_class__"] = class_builder(guards.ownership)
    names["__import__"] = _library_import
    return names


def builtin_names() -> frozenset[str]:
    """Return the names that every plugin finds without importing."""
    guarded = {"getattr", "hasattr", "setattr", "delattr", "vars", "dir", "type", "print"}
    return frozenset(_PLAIN) | frozenset(_exceptions()) | guarded


@cache
def _unguarded() -> Mapping[str, Any]:
    return {name: getattr(builtins, name) for name in _PLAIN} | dict(_exceptions())


def _exceptions() -> Mapping[str, Any]:
    found = {name: item for name, item in vars(builtins).items() if isinstance(item, type)}
    return {name: item for name, item in found.items() if issubclass(item, BaseException)}


def _attribute_functions(guards: Guards) -> Mapping[str, Any]:
    def getattr(  # the plugin's own getattr
        value: Any, name: str, default: Any = _missing, /
    ) -> Any:
        return (
            guards.read(value, name) if default is _missing else guards.read(value, name, default)
        )

    def hasattr(value: Any, name: str, /) -> bool:  # the plugin's own hasattr
        try:
            guards.read(value, name)
        except AttributeError:
            return False
        return True

    def setattr(target: Any, name: str, value: Any, /) -> None:  # the plugin's own
        guards.write(target, name, value)

    def delattr(target: Any, name: str, /) -> None:  # the plugin's own delattr
        guards.erase(target, name)

    def vars(value: Any, /) -> Any:  # the plugin's own vars
        return guards.read(value, "__dict__")

    def dir(value: Any, /) -> list[str]:  # the plugin's own dir
        return [name for name in builtins.dir(value) if not name.startswith("_")]

    made = (getattr, hasattr, setattr, delattr, vars, dir)
    return {function.__name__: function for function in made}


def _print_to(output: Callable[[str], object]) -> Callable[..., None]:
    def print(  # the plugin's own print
        *values: object, sep: Any = None, end: Any = None, file: Any = None, flush: Any = False
    ) -> None:
        del flush  # all is shown when the call ends
        parts = [str.__str__(str(value)) for value in values]
        text = str.join(_text_or(sep, " "), parts) + _text_or(end, "\n")
        if file is None:
            output(text)
        else:
            file.write(text)

    return print


def _text_or(given: Any, usual: str) -> str:
    """Return it as plain text: the host is handed nothing with methods of the plugin's own."""
    if given is None:
        return usual
    if isinstance(given, str):
        return str.__str__(given)
    message = f"sep and end must be None or a string, not {type(given).__name__}"
    raise TypeError(message)


def _library_import(name: str, *_: object) -> Any:
    """Answer the interpreter's own imports on behalf of `datetime.strptime` and the like.

    Plugin source holds no import opcode, so this is called by library code written in C alone.
    """
    if name in _INTERNAL:
        return importlib.import_module(name)
    return _no_import(name)


def _no_import(name: str) -> NoReturn:
    why, instead = about_module(name, module_names())
    raise ImportError(f"{name} cannot be imported. {why} {instead}")
