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
import re
import types
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from host.sandbox.compiler.facade import Facade
from host.sandbox.compiler.facades.chain_map import ChainMap
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

    def replace(value: Any, /, **changes: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return dataclasses.replace(value, **changes)
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
        if self._guards.ownership.owns_class(kind):
            own = getattr(kind, hook, None)
            if own is not None:
                return own(value, *extra)
            return self._copied_object(value, each, memo)
        if isinstance(value, type):
            return value
        if kind is tuple or kind is frozenset:
            return kind(each(part) for part in value)
        if kind in _SHALLOW or kind is types.SimpleNamespace:
            return self._copied_container(value, each, memo)
        if isinstance(value, _FIXED):
            return value
        message = f"A {kind.__name__} object cannot be copied in a plugin. Make a new one."
        raise TypeError(message)

    def _copied_container(self, value: Any, each: _Each, memo: dict[int, Any] | None) -> Any:
        if type(value) is types.SimpleNamespace:
            return types.SimpleNamespace(**{k: each(v) for k, v in vars(value).items()})
        made = library.copy(value)
        if memo is not None:
            memo[id(value)] = made
            _refill(made, value, each)
        return made

    def _copied_object(self, value: Any, each: _Each, memo: dict[int, Any] | None) -> Any:
        made = self._blank(value, each)
        if memo is not None:
            memo[id(value)] = made
        if isinstance(value, (list, dict, set)) and not isinstance(value, tuple):
            _refill(made, value, each)
        for name, part in getattr(value, "__dict__", {}).items():
            vars(made)[name] = each(part)
        for name in _slots(type(value)):
            if hasattr(value, name):
                object.__setattr__(made, name, each(getattr(value, name)))
        return made

    def _blank(self, value: Any, each: _Each) -> Any:
        """Return a new object of the same class, without asking the class."""
        kind = type(value)
        if isinstance(value, tuple):
            return tuple.__new__(kind, [each(part) for part in value])
        if isinstance(value, (str, bytes, int, float, complex, frozenset)):
            return value
        own = self._guards.ownership
        foreign = next(base for base in kind.__mro__ if not own.owns_class(base))
        if isinstance(value, BaseException):
            return foreign.__new__(kind, *value.args)
        for base in (dict, list, set):
            if isinstance(value, base):
                return base.__new__(kind)
        return object.__new__(kind)


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


def _slots(kind: type) -> list[str]:
    found: list[str] = []
    for base in kind.__mro__:
        names = vars(base).get("__slots__", ())
        found.extend([names] if isinstance(names, str) else names)
    return [name for name in found if name not in ("__dict__", "__weakref__")]
