"""`UserList` and `UserString` for plugins: the library's, each method with a check of its self.

Called with a class in place of `self`, the library's `self.__class__(...)` would answer `type`; and
`UserString.format` would read the attributes that a template names.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# Why: guards and facades take and give objects of any type.

import collections
import types
from collections.abc import Mapping
from typing import Any

from host.sandbox.compiler.guards import Guards
from host.sandbox.compiler.refusal import as_plain_text, self_checked


def user_classes(guards: Guards) -> Mapping[str, Any]:
    """Return both classes, for one plugin."""

    def format(self: Any, /, *args: Any, **kwargs: Any) -> str:  # the method's name
        return guards.formatter.format_text(as_plain_text(self.data), args, kwargs)

    def format_map(self: Any, mapping: Any) -> str:
        return guards.formatter.format_text(as_plain_text(self.data), None, mapping)

    return {
        "UserList": _checked(collections.UserList, {}),
        "UserString": _checked(
            collections.UserString, {"format": format, "format_map": format_map}
        ),
    }


def _checked(library: Any, instead: Mapping[str, Any]) -> type:
    """Return a class like the library's, beside it: no super() leads to its own methods."""
    spelled = {"__module__": "collections", "__hash__": library.__hash__}
    made: Any = types.new_class(
        library.__name__, library.__bases__, {}, lambda names: names.update(spelled)
    )
    for name, found in {**vars(library), **instead}.items():
        if isinstance(found, types.FunctionType):
            setattr(made, name, self_checked(found, made))
        elif isinstance(found, staticmethod):
            setattr(made, name, found)
    made.__abstractmethods__ = frozenset()
    return made
