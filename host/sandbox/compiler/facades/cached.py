"""`functools.cached_property` for plugins: it works on objects, under the name it was bound to.

The library's works on whatever it is bound to, so by a class method on a class, whose table it
reads by any name: it would give a generated `__init__` away, or what an abstract class keeps.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# Why: guards and facades take and give objects of any type.

from types import GenericAlias
from typing import Any

from host.sandbox.compiler.names import REFUSED, is_dunder

_missing: Any = object()
_NAME = ".name"
"""Where each keeps the name that it was bound to; no source can spell it as an attribute."""


class cached_property:  # noqa: N801  # the library's name
    """Computes an attribute once for each object, and keeps it in the object's own table."""

    def __init__(self, func: Any) -> None:
        self.func = func
        self.attrname: str | None = None
        self.__doc__ = func.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        """Take the name under which a class has it; only one."""
        if not _is_usable(name):
            message = f"{name!r} cannot name a cached_property. Use a plain identifier."
            raise TypeError(message)
        bound = _own_table(self).get(_NAME)
        if bound not in (None, name):
            message = (
                "Cannot assign the same cached_property to two different names "
                f"({bound!r} and {name!r})."
            )
            raise TypeError(message)
        _own_table(self)[_NAME] = name
        self.attrname = name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """Return the value, computed by the first who asks."""
        if instance is None:
            return self
        name: Any = _own_table(self).get(_NAME)
        if not _is_usable(name):
            message = "Cannot use cached_property instance without calling __set_name__ on it."
            raise TypeError(message)
        table = _table_of(instance, name)
        value = table.get(name, _missing)
        if value is _missing:
            value = table[name] = self.func(instance)
        return value

    __class_getitem__ = classmethod(GenericAlias)


def _own_table(target: Any) -> dict[str, Any]:
    return object.__getattribute__(target, "__dict__")


def _is_usable(name: Any) -> bool:
    """Return whether it is a plain name: the other keys of an object's table are not its own."""
    return type(name) is str and name.isidentifier() and not is_dunder(name) and name not in REFUSED


def _table_of(instance: Any, name: Any) -> dict[str, Any]:
    try:
        table: Any = _own_table(instance)
    except AttributeError:
        table = None
    if type(table) is not dict or issubclass(type(instance), type):
        message = (
            f"No '__dict__' attribute on {type(instance).__name__!r} instance to cache {name!r} "
            "property."
        )
        raise TypeError(message)
    return table
