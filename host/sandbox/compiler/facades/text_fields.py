"""Text annotations that `dataclasses` reads: `ClassVar`, `InitVar` and `KW_ONLY`.

It looks their names up in the module that the class names, and plugins have no module to look into.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false, reportAttributeAccessIssue=false
# Why: facades take and give objects of any type.

import dataclasses
import re
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any

from host.sandbox.compiler.facade import Facade

_SHAPE = re.compile(r"(?:\s*(\w+)\s*\.)?\s*(\w+)")


def with_meanings(cls: type, make: Callable[[], type], names: Mapping[str, Any]) -> type:
    """Return what `make` makes of a class while such texts are what they name.

    Args:
        cls: A class of the plugin's.
        make: Turns it into a dataclass.
        names: The plugin's globals.
    """
    before = annotations_in(cls)
    meant = {name: _meaning(item, names) for name, item in before.items()}
    if all(meant[name] is item for name, item in before.items()):
        return make()
    cls.__annotations__ = meant
    made = cls
    try:
        made = make()
    finally:
        made.__annotations__ = cls.__annotations__ = dict(before)
    return made


def annotations_in(cls: type) -> dict[str, Any]:
    """Return what a class's own body annotates; what cannot be evaluated yet stays a reference."""
    if sys.version_info >= (3, 14):
        import annotationlib  # noqa: PLC0415  # from 3.14 on

        return annotationlib.get_annotations(cls, format=annotationlib.Format.FORWARDREF)
    return dict(vars(cls).get("__annotations__", {}))


def _meaning(item: Any, names: Mapping[str, Any]) -> Any:
    match = _SHAPE.match(item) if type(item) is str else None
    if match is None:
        return item
    module, name = match.groups()
    found = names.get(name) if module is None else _member(names.get(module), name)
    return found if _is_told(found) else item


def _member(module: Any, name: str) -> Any:
    return getattr(module, name, None) if issubclass(type(module), Facade) else None


def _is_told(found: Any) -> bool:
    """Return whether it is one of the three, bare or with a type; by identity, not by `==`."""
    if any(found is item for item in (typing.ClassVar, dataclasses.InitVar, dataclasses.KW_ONLY)):
        return True
    if type(found) is dataclasses.InitVar:
        return True
    return type(found) is _ALIAS and found.__origin__ is typing.ClassVar


_ALIAS = type(typing.ClassVar[int])
