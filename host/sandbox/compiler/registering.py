"""What an abstract class of a plugin takes in by `register`, asked by the guards.

A library's abstract class asks its subclasses, and these whom they registered. With
`class M(Mapping)` and `M.register(Generator)` every generator of the process would be a `Mapping`,
for the library and for other plugins, and would be long after the plugin is gone.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# Why: guards and facades take and give objects of any type.

import abc
import typing
from collections.abc import Callable
from typing import Any

from host.sandbox.compiler.ownership import Ownership
from host.sandbox.compiler.refusal import named

_ASKED_BY_NOBODY: tuple[Any, ...] = (abc.ABC, typing.Protocol)


def registrar(own: Ownership, take: Any) -> Callable[[Any], Any]:
    """Return the `register` of a plugin's abstract class.

    Args:
        own: Knows the plugin's classes.
        take: The same without the check, as the class has it.
    """
    holder: type = take.__self__
    asked_by = [base for base in holder.__mro__ if _is_shared(own, base)]

    def register(kind: Any) -> Any:
        # An abstract class of its own could have registered anything, or do so later.
        plain = own.owns_class(kind) and not isinstance(kind, abc.ABCMeta)
        if asked_by and not plain:
            message = (
                f"{holder.__name__} is a {asked_by[0].__name__}, so that it can register plain "
                f"classes of the plugin's own only, not {named(kind)}."
            )
            raise TypeError(message)
        return take(kind)

    return register


def _is_shared(own: Ownership, base: type) -> bool:
    return (
        isinstance(base, abc.ABCMeta) and not own.owns_class(base) and base not in _ASKED_BY_NOBODY
    )
