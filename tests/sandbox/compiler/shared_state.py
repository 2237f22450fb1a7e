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
import types
import urllib.parse
from collections.abc import Iterator
from functools import cache
from typing import Any

from host.sandbox.compiler.catalog import PLAIN, preload


def fingerprint() -> dict[str, int]:
    """Return the identity of every attribute of every shared class, and the size of functions'."""
    preload()
    found: dict[str, int] = {
        "metadata of fields": len(dataclasses.field().metadata),
        "precision of decimals": decimal.getcontext().prec,
        "attributes of facades' functions": sum(len(vars(item)) for item in _unlisted()),
    }
    for name, item in _shared():
        if isinstance(item, type):
            found.update(
                {
                    f"{name}.{key}": id(value)
                    for key, value in vars(item).items()
                    if not _is_cache(key)
                }
            )
            found.update(_inside(name, item))
        else:
            found.update({f"{name}.{key}": id(value) for key, value in vars(item).items()})
            found[f"{name}.__code__"] = id(item.__code__)
    return found


_PROBES = (types.GeneratorType, types.FunctionType, int, str, list, dict, type(None), Exception)
"""What a library's abstract class may come to take for its own, by way of a subclass."""


def _inside(name: str, item: type) -> dict[str, int]:
    """Return what a class keeps out of its namespace: registered classes, members."""
    found: dict[str, int] = {}
    if isinstance(item, abc.ABCMeta):
        found[f"{name} registered"] = len(_abc._get_dump(item)[0])
        if name not in ("abc.ABC", "typing.Protocol"):
            found[f"{name} taken for"] = sum(issubclass(kind, item) for kind in _PROBES)
    if isinstance(item, enum.EnumType):
        found[f"{name} members"] = len(item.__members__)
    for key, value in [one for one in vars(item).items() if not _is_cache(one[0])]:
        if key == "_value2member_map_" and issubclass(item, enum.Flag):
            found[f"{name} values"] = sum(type(one) is not int for one in value)  # it keeps each
        else:
            found.update({f"{name}.{key} {part}": seen for part, seen in _parts(value)})
    if "_field_defaults" in vars(item):
        found[f"{name} defaults"] = len(vars(item)["_field_defaults"])
    return found


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


def _is_cache(key: str) -> bool:
    return key in (
        "__doc__",
        "__annotations__",
        "__annotate_func__",
        "__annotations_cache__",
        "_abc_impl",
        "__weakref__",
        "__dict__",
    ) or key.startswith("_inverted")


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
