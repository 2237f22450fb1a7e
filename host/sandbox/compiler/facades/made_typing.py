"""`typing` for plugins: decorators mark own objects only, text annotations pass the policy."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import types
import typing
from collections.abc import Mapping
from typing import Any

from host.sandbox.compiler.annotations import annotations_of
from host.sandbox.compiler.facades.annotated import Annotated
from host.sandbox.compiler.guards import Guards
from host.sandbox.compiler.kinds import visible


def members(guards: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""
    own = guards.ownership

    def overload(function: Any) -> Any:
        def unavailable(*_: Any, **__: Any) -> Any:
            message = f"{function.__name__} has overloads but no implementation. Write one below."
            raise NotImplementedError(message)

        return unavailable

    def runtime_checkable(cls: Any) -> Any:
        own.demand(cls, "runtime_checkable")
        return typing.runtime_checkable(cls)

    def get_type_hints(target: Any, *_: Any, include_extras: bool = False, **__: Any) -> Any:
        own.demand(target, "get_type_hints")
        if own.owns_object(target):
            message = f"{target!r} is not a class or function."
            raise TypeError(message)
        found = annotations_of(target, own.namespace)
        return found if include_extras else {key: _bare(item) for key, item in found.items()}

    def NamedTuple(typename: str, fields: Any = (), /, **named: Any) -> Any:  # noqa: N802
        """Make a named tuple; it belongs to the plugin. As a base class, the library's."""
        made: Any = typing.NamedTuple(typename, list(fields or named.items()))
        made.__module__ = own.module
        return own.adopt(made)

    NamedTuple.__mro_entries__ = lambda _: (_NAMED_TUPLE,)  # pyright: ignore[reportFunctionMemberAccess]
    own.makers.append(NamedTuple)

    return {
        "Annotated": Annotated,
        "NamedTuple": NamedTuple,
        "final": lambda item: item,
        "override": lambda item: item,
        "overload": overload,
        "runtime_checkable": runtime_checkable,
        "get_type_hints": get_type_hints,
        "get_origin": lambda item: _seen(typing.get_origin(item)),
        "get_args": lambda item: tuple(_seen(part) for part in typing.get_args(item)),
    }


_NAMED_TUPLE = typing.NamedTuple.__mro_entries__((typing.NamedTuple,))[0]


def _bare(item: Any) -> Any:
    return item.__origin__ if typing.get_origin(item) is typing.Annotated else item


def _seen(item: Any) -> Any:
    if item is typing.Annotated:
        return Annotated
    if isinstance(item, type) and not isinstance(item, types.GenericAlias):
        return visible(item)
    return item
