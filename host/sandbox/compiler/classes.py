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
from collections.abc import Callable, Mapping
from typing import Any

from host.sandbox.compiler.enums import PluginEnumKind
from host.sandbox.compiler.kinds import PluginType, is_metaclass
from host.sandbox.compiler.ownership import Ownership
from host.sandbox.compiler.refusal import demand_names

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
EXTENDABLE = {
    "abc": "ABC",
    "collections": "Counter OrderedDict defaultdict deque ChainMap UserDict UserList UserString",
    "collections.abc": "*",
    "contextlib": """
        AbstractContextManager AbstractAsyncContextManager ContextDecorator AsyncContextDecorator
        ExitStack AsyncExitStack""",
    "datetime": "date datetime time timedelta tzinfo",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "functools": "partial cached_property",
    "json": "JSONEncoder JSONDecoder",
    "numbers": "*",
    "random": "Random",
    "statistics": "NormalDist",
    "string": "Template Formatter",
    "textwrap": "TextWrapper",
    "types": "SimpleNamespace",
    "typing": """
        Any Generic Protocol SupportsAbs SupportsFloat SupportsIndex SupportsInt SupportsRound""",
    "urllib.parse": "ParseResult SplitResult DefragResult",
    "uuid": "UUID",
}
"""Library classes that a plugin may extend: every attribute they hand down has been judged.

A subclass is the plugin's own, so its attributes are read past checks that hold for a library's.
`partialmethod`, for one, would run a library's property on a class, where `self.__class__` is
`type`.
"""
_library_bases: set[type] = set()


class AbstractKind:
    """What the name `ABCMeta` means in a plugin: only `class X(metaclass=ABCMeta)`."""

    __slots__ = ()


ABSTRACT_KIND = AbstractKind()


def allow_bases(module: str, members: Mapping[str, Any]) -> None:
    """Let plugins extend those classes of a library module that are on the list."""
    listed = EXTENDABLE.get(module, "").split()
    for name, found in members.items():
        if (name in listed or listed == ["*"]) and isinstance(found, type):
            _library_bases.add(found)


def class_builder(ownership: Ownership) -> Callable[..., type]:
    """Return the `__build_class__` of a plugin."""

    def build(body: Callable[..., Any], name: str, /, *bases: Any, **options: Any) -> type:
        demand_names(options)
        for base in bases:
            check_base(base, ownership)
        if "metaclass" in options:
            if options["metaclass"] is not ABSTRACT_KIND:
                message = f"Class {name} has a metaclass. Use a base class with __init_subclass__."
                raise TypeError(message)
            options["metaclass"] = abc.ABCMeta
        made = builtins.__build_class__(body, name, *bases, **options)
        return ownership.adopt(made) if ownership.owns_class(made) else made

    return build


def check_base(base: Any, ownership: Ownership) -> None:
    """Refuse bases with powers: a metaclass, a stand-in, an object that names its own bases.

    A subclass of `BaseExceptionGroup` can break the interpreter (CVE-2025-22153), and an object
    with
    `__mro_entries__` could bring in any class unseen.
    """
    if any(base is maker for maker in ownership.makers):
        return
    if not isinstance(base, type) and not isinstance(base, (types.GenericAlias, *_TYPING_ALIAS)):
        message = f"{base!r} cannot be a base class. Name a class."
        raise TypeError(message)
    for found in types.resolve_bases((base,)):  # what an alias stands for, not what it is called
        if found is PluginType:
            message = "Plugins have no metaclasses. Use a base class with __init_subclass__."
            raise TypeError(message)
        if not isinstance(found, type) or not may_extend(found, ownership):
            message = (
                f"{base.__name__} cannot be extended in a plugin. Keep one in an attribute instead."
            )
            raise TypeError(message)


_TYPING_ALIAS = (type(typing.Sequence), type(typing.Sequence[int]))


def may_extend(base: type, ownership: Ownership) -> bool:
    """Return whether a plugin's class may have this base."""
    if is_metaclass(base) or BaseExceptionGroup in base.__mro__:
        return False
    known = base in _BUILTIN_BASES or base in _library_bases or BaseException in base.__mro__
    known = known or type(base) is PluginEnumKind
    return known or ownership.owns_class(base)
