"""What the guards check with, and the words in which they refuse."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# Why: guards and facades take and give objects of any type.

import enum
import types
from collections.abc import Callable, Mapping
from typing import Any, NoReturn


def self_checked(found: Callable[..., Any], holder: type) -> Callable[..., Any]:
    """Return a library's method that insists on a self of its class, as methods written in C do.

    Called with something else, `Counter.copy(int)` would answer `type`, and a dataclass's generated
    `__init__` would set attributes on whatever it is given.
    """

    def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if holder not in type(self).__mro__:  # `issubclass` would ask whom the plugin registered
            message = f"{found.__name__}() needs a {holder.__name__}, not {named(self)}."
            raise TypeError(message)
        return found(self, *args, **kwargs)

    method.__name__ = found.__name__
    return method


def unshared(found: Any) -> Any:
    """Return a read-only view of a copy.

    A view hands out what it is a view of: to `__eq__` and `__ror__` of whatever stands beside it.
    """
    return (
        types.MappingProxyType(dict(found))
        if isinstance(found, (dict, types.MappingProxyType))
        else found
    )


def plain_keys(given: Any) -> dict[Any, Any]:
    """Return what follows `**` in a call, under plain names.

    A text that says that it equals `metaclass` at one time and not at another would be checked as
    one name and used as another.
    """
    if type(given) is dict and all(type(name) is str for name in given):
        return given
    if not hasattr(type(given), "keys"):
        message = f"argument after ** must be a mapping, not {type(given).__name__}"
        raise TypeError(message)
    return {
        str.__str__(name) if isinstance(name, str) else name: given[name]
        for name in list(given.keys())
    }


def demand_names(options: Mapping[Any, Any]) -> None:
    """Raise unless keyword arguments have plain names, however they came."""
    if any(type(name) is not str for name in options):
        message = "keywords must be plain texts"
        raise TypeError(message)


def is_enum_table(target: Any, name: str) -> bool:
    """Return whether `target._name_` is what a finished enumeration makes its members by."""
    sunder = name.startswith("_") and name.endswith("_") and not name.startswith("__")
    return isinstance(target, enum.EnumType) and sunder


def is_of_group(target: Any) -> bool:
    """Return whether it is an exception group; `except*` trusts what its `split` says."""
    return isinstance(target, BaseExceptionGroup)


def as_plain_text(value: Any) -> str:
    """Return a template as it is, or raise."""
    if isinstance(value, str):
        return value
    message = f"format needs a str, not {type(value).__name__}."
    raise TypeError(message)


def named(value: Any) -> str:
    """Return what messages call a value."""
    if isinstance(value, type):
        return f"class {value.__name__}"
    return f"a {type(value).__name__} object"


def refuse(value: Any, name: str) -> NoReturn:
    """Raise: this attribute is not for plugins."""
    message = f"{name!r} of {named(value)} is not available to plugins."
    raise AttributeError(message)
