"""Tells a plugin's own classes, functions and objects from everybody else's; used by the guards."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import abc
import builtins
import collections.abc
import datetime
import decimal
import enum
import fractions
import itertools
import types
import typing
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from host.sandbox.compiler.facade import Facade
from host.sandbox.compiler.names import is_matchable, kind_of_read

_DATA = (object, int, str, float, complex, bytes, bytearray, tuple, list, dict, set, frozenset)
_PURE_BASES = frozenset(
    {
        *_DATA,
        *(
            item
            for item in vars(builtins).values()
            if isinstance(item, type) and issubclass(item, BaseException)
        ),
        *(item for item in vars(collections.abc).values() if isinstance(item, type)),
        abc.ABC,
        typing.Generic,
        typing.Protocol,
    }
)
"""Bases without private state of their own, so that every `_x` of a subclass is the plugin's."""


PLAIN_DATA = frozenset(
    {
        *_DATA[1:],
        bool,
        type(None),
        type(NotImplemented),
        datetime.date,
        datetime.datetime,
        datetime.time,
        datetime.timedelta,
        decimal.Decimal,
        fractions.Fraction,
        uuid.UUID,
    }
)
"""Classes whose objects hold nothing but their value, so that sharing one joins nobody."""


class Ownership:
    """What one plugin made.

    A class is known by its `__module__`, which the plugin cannot set; a function by its globals.

    Args:
        module: The plugin's `__name__`.
        namespace: The plugin's globals.
    """

    def __init__(self, module: str, namespace: dict[str, Any]) -> None:
        self.module = module
        self.namespace = namespace
        self.pure: set[type] = set()
        """Own classes whose every attribute is the plugin's, private ones included."""
        self.safe: set[type] = {dict, list, set, bytearray}
        """Classes on which the gated names are harmless."""
        self.makers: list[object] = [typing.TypedDict, typing.Any]
        """What a class statement may name as a base though it is no class."""

    def adopt(self, made: type) -> type:
        """Take in a class that the plugin has just made; return it."""
        named = getattr(made, "__match_args__", ())  # a base may still wait to be taken in
        if not all(map(_may_match, named)):  # patterns read past the guards
            kept = itertools.takewhile(_may_match, named)
            type.__setattr__(made, "__match_args__", tuple(kept))
        if all(base in _PURE_BASES or base in self.pure for base in made.__mro__[1:]):
            self.pure.add(made)
            if not issubclass(made, (str, BaseException)):
                self.safe.add(made)
        return made

    def is_pure(self, kind: type) -> bool:
        """Return whether all attributes of a class's instances are the plugin's."""
        return kind in self.pure

    def owns_class(self, value: Any) -> bool:
        """Return whether a value is a class that the plugin made."""
        if not isinstance(value, type):
            return False
        return type.__getattribute__(value, "__dict__").get("__module__") == self.module

    def owns_function(self, value: Any) -> bool:
        """Return whether a value is a function, or a method, that the plugin wrote."""
        if type(value) is types.MethodType:
            value = value.__func__
        return type(value) is types.FunctionType and value.__globals__ is self.namespace

    def owns(self, value: Any) -> bool:
        """Return whether a value is the plugin's class, function or object."""
        return self.owns_class(type(value)) or self.owns_class(value) or self.owns_function(value)

    def owns_object(self, value: Any) -> bool:
        """Return whether a value is an object of a class that the plugin made."""
        return self.owns_class(type(value))

    def demand(self, value: Any, decorator: str) -> None:
        """Raise unless a value is the plugin's own; for decorators, which set attributes on it."""
        if not self.owns(value):
            message = (
                f"{decorator} works on the plugin's own functions and classes, not on {value!r}."
            )
            raise TypeError(message)

    def owns_private(self, value: Any, name: str) -> bool:
        """Return whether the plugin put `value._name` there, though library code may be near.

        For objects of classes that extend a library's, and for the classes themselves: the name
        must
        come from the plugin, and no method of the library's may use it.
        """
        if type(value) is super:
            order = type(value.__self__).__mro__
            if isinstance(value.__self__, type):
                order = value.__self__.__mro__
            order = order[order.index(value.__thisclass__) + 1 :]
            return self._first_definer_is_own(order, name)
        if self.owns_class(value):
            return self._first_definer_is_own(value.__mro__, name)
        kind = type(value)
        if not self.owns_class(kind):
            return False
        foreign = [base for base in kind.__mro__ if not self.owns_class(base)]
        return not any(name in names_used_by(base) for base in foreign)

    def _first_definer_is_own(self, order: tuple[type, ...], name: str) -> bool:
        for base in order:
            found = type.__getattribute__(base, "__dict__")
            if name in found:
                return self.owns_class(base) and not self._is_librarys(found[name])
        return False

    def _is_librarys(self, item: Any) -> bool:
        """Return whether it is a function that the library put into a class of the plugin's."""
        inner = getattr(item, "__func__", item)
        if not isinstance(inner, types.FunctionType) or self.owns_function(inner):
            return False
        return not str(inner.__globals__.get("__name__")).startswith("host.sandbox.")

    def table_of(self, made: type) -> Mapping[str, Any]:
        """Return what a class statement of the plugin's says: a copy, without what Python added."""
        found = type.__getattribute__(made, "__dict__").items()
        return types.MappingProxyType({key: item for key, item in found if self._said(key, item)})

    def _said(self, name: str, item: Any) -> bool:
        if kind_of_read(name) == "refused" or (name.startswith("_") and name.endswith("_")):
            return name in ("__module__", "__doc__") or self.owns_function(item)
        inner = getattr(item, "__func__", getattr(item, "fget", item))
        return not isinstance(inner, types.FunctionType) or self.owns_function(inner)

    def is_facade(self, value: Any) -> bool:
        """Return whether a value is a module or host facade."""
        return isinstance(value, Facade)

    def is_record(self, value: Any) -> bool:
        """Return whether a value is a named tuple or its class."""
        kind = value if isinstance(value, type) else type(value)
        if type(value) is super:
            kind = type(value.__self__)
        return issubclass(kind, tuple) and hasattr(kind, "_fields")

    def is_enum(self, value: Any) -> bool:
        """Return whether a value is an enum member or an enum class."""
        kind = value if isinstance(value, type) else type(value)
        if type(value) is super:
            kind = type(value.__self__)
        return issubclass(kind, enum.Enum)


def _may_match(name: str) -> bool:
    return is_matchable(name) or name[1:].isdecimal()  # `_1`, as `rename=True` calls a field


def names_used_by(base: type) -> frozenset[str]:
    """Return every name that a class's namespace holds or its methods mention."""
    found = set(vars(base))
    for item in vars(base).values():
        code = getattr(getattr(item, "__func__", item), "__code__", None)
        if isinstance(code, types.CodeType):
            found.update(_names_in(code))
    return frozenset(found)


def _names_in(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names_in(constant)
