"""A fingerprint of what all plugins share, to show that none of them changed it."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import _abc
import abc
import dataclasses
import decimal
import enum
import functools
import importlib
import json
import re
import sys
import types
import urllib.parse
from collections.abc import Iterator
from functools import cache
from typing import Any

from host.sandbox.compiler import allowed_modules
from host.sandbox.compiler.catalog import PLAIN, preload


def fingerprint() -> dict[str, int]:
    """Return the identity of what every shared class, function and table of a module holds."""
    preload()
    found: dict[str, int] = {
        "metadata of fields": len(dataclasses.field().metadata),
        "precision of decimals": decimal.getcontext().prec,
        "attributes of facades' functions": sum(len(vars(item)) for item in _unlisted()),
    }
    found.update({name: _content(table) for name, table in _tables().items()})
    for name, item in _shared():
        if isinstance(item, type):
            held = [one for one in vars(item).items() if not _is_cache(one[0])]
            found.update({f"{name}.{key}": id(value) for key, value in held})
            found.update(_inside(name, item, held))
        else:
            found.update({f"{name}.{key}": id(value) for key, value in vars(item).items()})
            found[f"{name}.__code__"] = id(item.__code__)
    return found


_PROBES = (types.GeneratorType, types.FunctionType, int, str, list, dict, type(None), Exception)
"""What a library's abstract class may come to take for its own, by way of a subclass."""


def _inside(name: str, item: type, held: list[tuple[str, Any]]) -> dict[str, int]:
    """Return what a class keeps out of its namespace: registered classes, members."""
    found: dict[str, int] = {}
    if isinstance(item, abc.ABCMeta):
        found[f"{name} registered"] = len(_abc._get_dump(item)[0])
        if name not in ("abc.ABC", "typing.Protocol"):
            found[f"{name} taken for"] = sum(issubclass(kind, item) for kind in _PROBES)
    if isinstance(item, enum.EnumType):
        found[f"{name} members"] = len(item.__members__)
    for key, value in held:
        if key == "_value2member_map_" and issubclass(item, enum.Flag):
            found[f"{name} values"] = sum(type(one) is not int for one in value)  # it keeps each
        elif isinstance(value, _MADE_OF_PARTS):
            found.update({f"{name}.{key} {part}": seen for part, seen in _parts(value)})
    if "_field_defaults" in vars(item):
        found[f"{name} defaults"] = len(vars(item)["_field_defaults"])
    return found


_MADE_OF_PARTS = (property, re.Pattern, dict, types.MappingProxyType)


def _parts(value: Any) -> Iterator[tuple[str, int]]:
    """Yield what an attribute of a class is made of: a property's functions, a table's items."""
    if isinstance(value, property):
        yield from (("getter", id(value.fget)), ("setter", id(value.fset)))
    elif isinstance(value, re.Pattern):
        yield "groups", hash(tuple(value.groupindex.items()))
    elif isinstance(value, (dict, types.MappingProxyType)) and all(map(_is_flat, value.items())):
        yield "items", hash(tuple(value.items()))


def _is_flat(item: tuple[Any, Any]) -> bool:
    return all(isinstance(part, (str, int, float, type(None))) for part in item)


_FILLED_LATER = {
    "__doc__",
    "__annotations__",
    "__annotate_func__",
    "__annotations_cache__",
    "_abc_impl",
    "__weakref__",
    "__dict__",
}


def _is_cache(key: str) -> bool:
    return key in _FILLED_LATER or key.startswith("_inverted")


@cache
def _unlisted() -> list[Any]:
    """Return library functions that plugins meet behind a facade's own, or inside another."""
    return [urllib.parse.urlsplit, functools.wraps, json.JSONDecoder.decode]


@cache
def _shared() -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for module, names in PLAIN.items():
        real = importlib.import_module(module)
        for name in names.split():
            item = getattr(real, name, None)
            if isinstance(item, (type, types.FunctionType)):
                found.append((f"{module}.{name}", item))
    return found


PROCESS = ("sys", "warnings", "_warnings", "importlib._bootstrap", "posix", "nt")
"""Modules whose tables are the process's own: what is loaded, the environment, what to warn of."""
CACHES = {
    "_strptime._regex_cache", "base64._b32rev", "base64._b32tab2", "inspect._filesbymodname",
    "inspect.modulesbyfile", "platform._platform_cache", "platform._sys_version_cache",
    "re._cache", "re._cache2", "typing._overload_registry",
}  # fmt: skip
"""Tables that the library fills as it is used."""


@cache
def _tables() -> dict[str, Any]:
    """Return the dicts, lists and sets that the library's modules hold, each once."""
    found: dict[int, tuple[str, Any]] = {}
    for module, real in library_modules().items():
        for name, item in [] if module in PROCESS else list(vars(real).items()):
            held = isinstance(item, (dict, list, set)) and not name.startswith("__")
            if held and f"{module}.{name}" not in CACHES:
                found.setdefault(id(item), (f"table {module}.{name}", item))
    return dict(found.values())


def _content(table: Any) -> int:
    """Return a table's items by identity, so that none of them is asked anything."""
    values = tuple(map(id, dict.values(table))) if isinstance(table, dict) else ()
    return hash((len(table), tuple(map(id, table)), values))


def library_modules() -> dict[str, types.ModuleType]:
    """Return the modules that plugins may import, and those of the library that they import."""
    found = {name: sys.modules[name] for name in (*allowed_modules(), "_strptime")}
    for module in list(found.values()):
        for value in list(vars(module).values()):
            home = value if isinstance(value, types.ModuleType) else None
            home = home or sys.modules.get(str(getattr(value, "__module__", "")))
            if home is not None and home.__name__.partition(".")[0] in sys.stdlib_module_names:
                found[home.__name__] = home
    return found
