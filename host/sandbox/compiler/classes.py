"""Class statements of a plugin: which bases and metaclasses they may have."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import abc
import builtins
import types
import typing
from collections.abc import Callable
from typing import Any

from host.sandbox.compiler.enums import PluginEnumKind
from host.sandbox.compiler.kinds import StandInKind, is_metaclass
from host.sandbox.compiler.ownership import Ownership

_BUILTIN_BASES = frozenset(
    {
        object,
        int,
        str,
        float,
        complex,
        bytes,
        bytearray,
        tuple,
        list,
        dict,
        set,
        frozenset,
        property,
    }
)
_LIBRARY_BASES: set[type] = set()
_EXCLUDED = (BaseExceptionGroup, typing.NewType, typing.TypeVar, typing.ParamSpec)
_MAKERS = (typing.NamedTuple, typing.TypedDict, typing.Any)


class AbstractKind:
    """What the name `ABCMeta` means in a plugin: only `class X(metaclass=ABCMeta)`."""

    __slots__ = ()


ABSTRACT_KIND = AbstractKind()


def allow_base(found: Any) -> None:
    """Let plugins extend a library class."""
    if isinstance(found, type) and not is_metaclass(found) and found not in _EXCLUDED:
        _LIBRARY_BASES.add(found)


def class_builder(ownership: Ownership) -> Callable[..., type]:
    """Return the `__build_class__` of a plugin."""

    def build(body: Callable[..., Any], name: str, /, *bases: Any, **options: Any) -> type:
        for base in bases:
            _check_base(base, ownership)
        if "metaclass" in options:
            if options["metaclass"] is not ABSTRACT_KIND:
                message = f"Class {name} has a metaclass. Use a base class with __init_subclass__."
                raise TypeError(message)
            options["metaclass"] = abc.ABCMeta
        made = builtins.__build_class__(body, name, *bases, **options)
        return ownership.adopt(made) if ownership.owns_class(made) else made

    return build


def _check_base(base: Any, ownership: Ownership) -> None:
    """Refuse bases with powers: a metaclass, a stand-in, an object that names its own bases.

    A subclass of `BaseExceptionGroup` can break the interpreter (CVE-2025-22153), and an object
    with
    `__mro_entries__` could bring in any class unseen.
    """
    if any(base is maker for maker in _MAKERS):
        return
    if not isinstance(base, type):
        origin = typing.get_origin(base)
        if origin is None or not isinstance(base, (types.GenericAlias, *_TYPING_ALIAS)):
            message = f"{base!r} cannot be a base class. Name a class."
            raise TypeError(message)
        base = origin
    if type(base) is StandInKind or not _may_extend(base, ownership):
        message = (
            f"{base.__name__} cannot be extended in a plugin. Keep one in an attribute instead."
        )
        raise TypeError(message)


_TYPING_ALIAS = (type(typing.Sequence), type(typing.Sequence[int]))


def _may_extend(base: type, ownership: Ownership) -> bool:
    if is_metaclass(base) or issubclass(base, BaseExceptionGroup):
        return False
    known = base in _BUILTIN_BASES or base in _LIBRARY_BASES or issubclass(base, BaseException)
    known = known or type(base) is PluginEnumKind
    return known or ownership.owns_class(base)
