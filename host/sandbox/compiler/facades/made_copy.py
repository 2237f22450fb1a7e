"""`copy` for plugins.

The library's asks each object how it wants to be rebuilt (`__reduce_ex__`) and sets whatever
attributes that says on whatever it names. This one knows the shapes that plugins have.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import collections
import copy as library
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import json
import random
import re
import statistics
import string
import textwrap
import types
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib import parse

from host.sandbox.compiler.facade import Facade
from host.sandbox.compiler.facades.chain_map import ChainMap
from host.sandbox.compiler.facades.made_collections import UserDict
from host.sandbox.compiler.facades.made_json import JSONDecoder
from host.sandbox.compiler.facades.rebuilding import remade
from host.sandbox.compiler.facades.replacing import replacer
from host.sandbox.compiler.guards import Guards

_SHALLOW = (
    dict, list, set, bytearray, collections.deque, collections.OrderedDict, collections.defaultdict,
    collections.Counter, ChainMap,
)  # fmt: skip
_Each = Callable[[Any], Any]


def members(guards: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""
    copier = Copier(guards)

    def copy(value: Any) -> Any:
        return copier.copied(value, lambda part: part, "__copy__", ())

    def deepcopy(value: Any, memo: dict[int, Any] | None = None) -> Any:
        return copier.deep(value, {} if memo is None else memo)

    replaced = replacer(guards)

    def replace(value: Any, /, **changes: Any) -> Any:
        if dataclasses.is_dataclass(type(value)) and not isinstance(value, type):
            return replaced(value, **changes)
        return guards.read(value, "_replace")(**changes)

    return {"copy": copy, "deepcopy": deepcopy, "replace": replace}


class Copier:
    """Copies values for one plugin."""

    def __init__(self, guards: Guards) -> None:
        self._guards = guards

    def deep(self, value: Any, memo: dict[int, Any]) -> Any:
        """Return a copy of a value and of all it holds."""
        known = memo.get(id(value), memo)
        if known is not memo:
            return known
        made = self.copied(value, lambda part: self.deep(part, memo), "__deepcopy__", (memo,), memo)
        if made is not value:  # else the memo, which is the plugin's, would show it
            memo[id(value)] = made
            memo.setdefault(id(memo), []).append(value)
        return made

    def copied(
        self,
        value: Any,
        each: _Each,
        hook: str,
        extra: tuple[Any, ...],
        memo: dict[int, Any] | None = None,
    ) -> Any:
        """Return a copy whose parts are `each(part)`."""
        kind = type(value)
        if issubclass(kind, enum.Enum):
            return value
        if self._guards.ownership.owns_class(kind) or _is_remade(kind):
            own = getattr(kind, hook, None)
            return remade(value, each, memo) if own is None else own(value, *extra)
        if isinstance(value, type):
            return value
        if kind is types.MethodType and self._guards.ownership.owns_function(value):
            return value if memo is None else types.MethodType(value.__func__, each(value.__self__))
        return self._copied_plain(value, each, memo)

    def _copied_plain(self, value: Any, each: _Each, memo: dict[int, Any] | None) -> Any:
        kind = type(value)
        if kind is tuple or kind is frozenset:
            return value if memo is None else _frozen(value, each, memo)
        if kind in _SHALLOW:
            made = library.copy(value)
            if memo is not None:
                memo[id(value)] = made
                _refill(made, value, each)
            return made
        if isinstance(value, _FIXED):
            return value
        message = f"A {kind.__name__} object cannot be copied in a plugin. Make a new one."
        raise TypeError(message)


_REMADE = (
    object, UserDict, types.SimpleNamespace, functools.partial, random.Random,
    statistics.NormalDist, string.Template, textwrap.TextWrapper, json.JSONEncoder, JSONDecoder,
    parse.ParseResult, parse.SplitResult, parse.DefragResult,
)  # fmt: skip
_USER = ("UserList", "UserString")
_HEAP = 1 << 9


def _is_remade(kind: type) -> bool:
    """Return whether it is a class of the library whose objects hold only what they were given."""
    if BaseException in kind.__mro__:
        return not kind.__flags__ & _HEAP and kind is not BaseExceptionGroup
    return kind in _REMADE or (kind.__module__ == "collections" and kind.__name__ in _USER)


def _frozen(value: Any, each: _Each, memo: dict[int, Any]) -> Any:
    parts = [each(part) for part in value]
    known = memo.get(id(value), memo)
    if known is not memo:  # a part holds it
        return known
    same = type(value) is tuple and all(part is old for part, old in zip(parts, value, strict=True))
    return value if same else type(value)(parts)


_FIXED = (
    int, float, complex, bool, str, bytes, type(None), type(Ellipsis), range, slice,
    types.FunctionType, types.BuiltinFunctionType, types.MethodType, datetime.date, datetime.time,
    datetime.timedelta, datetime.tzinfo, decimal.Decimal, enum.Enum, fractions.Fraction,
    functools.partial,
    re.Pattern, re.Match, uuid.UUID, BaseException, Facade,
)  # fmt: skip


def _refill(made: Any, value: Any, each: _Each) -> None:
    if isinstance(value, ChainMap):
        object.__setattr__(made, "maps", [each(part) for part in value.maps])
    elif isinstance(value, dict):
        dict.clear(made)
        for key, part in dict.items(value):
            dict.__setitem__(made, each(key), each(part))
    elif isinstance(value, list):
        list.__setitem__(made, slice(None), [each(part) for part in list.__iter__(value)])
    elif isinstance(value, collections.deque):
        made.clear()
        made.extend(each(part) for part in value)
    elif isinstance(value, set):
        set.clear(made)
        set.update(made, [each(part) for part in set.__iter__(value)])
