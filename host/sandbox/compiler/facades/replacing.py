"""`dataclasses.replace` for plugins: it asks the class for its fields, and reads by the guards.

The library's asks the object, whose own table may call any attribute a field.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# Why: guards and facades take and give objects of any type.

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

from host.sandbox.compiler.guards import Guards
from host.sandbox.compiler.refusal import demand_names

_ERROR: type[Exception] = TypeError if sys.version_info >= (3, 13) else ValueError
"""What the library's raises."""
_OF_CLASS: Any = getattr(dataclasses, "_FIELD_CLASSVAR")  # noqa: B009  # a private name
_ONLY_GIVEN: Any = getattr(dataclasses, "_FIELD_INITVAR")  # noqa: B009  # a private name


def replacer(guards: Guards) -> Callable[..., Any]:
    """Return `replace` for one plugin."""

    def replace(value: Any, /, **changes: Any) -> Any:
        demand_names(changes)
        kind: Any = type(value)
        if isinstance(value, type) or not hasattr(kind, "__dataclass_fields__"):
            message = "replace() should be called on dataclass instances"
            raise TypeError(message)
        for name, item in kind.__dataclass_fields__.items():
            if _is_kept(name, item, given=name in changes):
                changes[name] = guards.read(value, name)
        return kind(**changes)

    return replace


def _is_kept(name: str, item: Any, *, given: bool) -> bool:
    """Return whether a field's value is that of the object."""
    part = getattr(item, "_field_type")  # noqa: B009  # a private name
    if part is _OF_CLASS:
        return False
    if not item.init and given:
        message = f"field {name} is declared with init=False, it cannot be specified with replace()"
        raise _ERROR(message)
    if item.init and not given and part is _ONLY_GIVEN and item.default is dataclasses.MISSING:
        message = f"InitVar {name!r} must be specified with replace()"
        raise _ERROR(message)
    return item.init and not given
