"""`string` for plugins: a `Formatter` that reads attributes through the guards."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportMissingImports=false
# Why: guards and facades take and give objects of any type.

import string
import types
from _string import formatter_field_name_split
from collections.abc import Mapping, Sequence
from typing import Any

from host.sandbox.compiler.guards import Guards


def members(guards: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""

    def get_field(
        self: Any, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        first, rest = formatter_field_name_split(field_name)
        value = self.get_value(first, args, kwargs)
        for is_attribute, key in rest:
            value = guards.read(value, key) if is_attribute else value[key]
        return value, first

    return {"Formatter": _formatter(get_field)}


def _formatter(get_field: Any) -> type:
    """Return a class like the library's, beside it: no super() leads to its own `get_field`."""
    taken = {
        name: found
        for name, found in vars(string.Formatter).items()
        if isinstance(found, types.FunctionType)
    }
    spelled = {**taken, "get_field": get_field, "__module__": "string"}
    return type("Formatter", (), spelled)
