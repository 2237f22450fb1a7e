"""What a plugin gets for `type(x)`: never `type` itself, never a class outside the allowed set.

With `type` in hand a plugin could make a class past every check (`type("X", (), {...})`), and with
a
library's inner class it could reach that library's methods. Both are answered with a stand-in.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import types
import weakref
from functools import cache
from typing import Any, NoReturn

from typing_extensions import override

_CLOSED = (
    types.FunctionType,
    types.CodeType,
    types.FrameType,
    types.TracebackType,
    types.ModuleType,
    types.CellType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.GeneratorType,
    types.CoroutineType,
    types.AsyncGeneratorType,
    types.MethodWrapperType,
    weakref.ReferenceType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.GenericAlias,
)


class StandInKind(type):
    """The class of stand-ins: they answer isinstance and show a name, and cannot be called."""

    @override
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _real[cls])

    @override
    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _real[cls])

    @override
    def __call__(cls, *_: object, **__: object) -> NoReturn:
        message = f"{cls.__name__} cannot be called from a plugin. Only isinstance can use it."
        raise TypeError(message)

    @override
    def __setattr__(cls, name: str, value: object) -> NoReturn:
        message = f"{cls.__name__} is shared and cannot be changed. Keep {name!r} in a variable."
        raise AttributeError(message)

    @override
    def __repr__(cls) -> str:
        return f"<class '{cls.__name__}'>"


_real: dict[type, type] = {}
"""Stand-in to the class it stands for; not an attribute, which plugins could read."""


@cache
def stand_in(real: type) -> type:
    """Return the class that plugins see in place of another; the same one every time."""
    made = StandInKind(real.__name__, (), {"__module__": "builtins", "__slots__": ()})
    _real[made] = real
    return made


class _TypeKind(type):
    @override
    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, type)

    @override
    def __subclasscheck__(cls, subclass: type) -> bool:
        return subclass is cls or issubclass(subclass, type)

    @override
    def __call__(cls, *args: Any) -> type:
        if len(args) == 1:
            return visible(type(args[0]))
        message = "type() takes one argument in a plugin. Write a class statement instead."
        raise TypeError(message)

    @override
    def __setattr__(cls, name: str, value: object) -> NoReturn:
        message = f"type is shared and cannot be changed. Keep {name!r} in a variable."
        raise AttributeError(message)

    @override
    def __repr__(cls) -> str:
        return "<class 'type'>"


class _TypeAlias(types.GenericAlias):
    """What `type[X]` is: for annotations only.

    A library's alias can be called, and marks what the call returns; `type[int](x)` would mark x's
    class.
    """

    __slots__ = ()
    __module__ = "types"

    def __call__(self, *_: object, **__: object) -> NoReturn:
        message = "type[...] is for annotations. Call type(x)."
        raise TypeError(message)


def _item(_: object, item: Any) -> Any:
    return _TypeAlias(PluginType, item)


PluginType: type = _TypeKind(
    "type", (), {"__module__": "builtins", "__slots__": (), "__class_getitem__": classmethod(_item)}
)
"""What the name `type` means in a plugin."""

_library_classes: set[type] = {ExceptionGroup}


def allow_class(found: Any) -> None:
    """Let plugins see a library class as itself."""
    if isinstance(found, type):
        _library_classes.add(found)


def is_metaclass(found: type) -> bool:
    """Return whether instances of a class are classes."""
    return issubclass(found, type)


def visible(found: type) -> type:
    """Return a class as a plugin may see it.

    Static types, written in C, answer only calls on their own instances, so they may be seen. A
    class written in Python may be seen when a facade hands it out or the plugin made it.
    """
    if found is PluginType or is_metaclass(found):
        return PluginType
    if type(found) is StandInKind or found in _library_classes:
        return found
    if found in _CLOSED:
        return stand_in(found)
    if found.__flags__ & _HEAP and not _is_plugin_made(found):
        return stand_in(found)
    return found


_HEAP = 1 << 9
PLUGIN_MODULE = "plugin:"
"""How the `__module__` of every plugin's class starts; a colon is in no real module's name."""


def _is_plugin_made(found: type) -> bool:
    module = type.__getattribute__(found, "__dict__").get("__module__")
    return isinstance(module, str) and module.startswith(PLUGIN_MODULE)
