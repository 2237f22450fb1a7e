"""`Facade`: a frozen bundle of names, the form in which plugins meet modules and the host."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import types
from collections.abc import Mapping
from typing import Any, NoReturn

from typing_extensions import override

_DATA = (str, bytes, int, float, bool, type(None), tuple, frozenset)
_CODE = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type)


class Facade:
    """A frozen object with the given attributes and no others.

    It has no `__name__`: the interpreter's `from x import y` would use it to look into
    `sys.modules`.
    Each facade has a class of its own with slots, so reading costs what reading any attribute does.
    """

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> NoReturn:
        self._refuse(name)

    def __delattr__(self, name: str) -> NoReturn:
        self._refuse(name)

    def _refuse(self, name: str) -> NoReturn:
        message = f"{self!r} cannot be changed: {name!r} is shared. Keep the value in a variable."
        raise AttributeError(message)

    @override
    def __dir__(self) -> list[str]:
        return sorted(type(self).__slots__)


def make_facade(label: str, values: Mapping[str, Any]) -> Facade:
    """Return a facade.

    Args:
        label: What it stands for, such as `module json`; shown by `repr`.
        values: Its attributes.
    """

    def show(_: Facade) -> str:
        return f"<{label}>"

    spelled = {"__slots__": tuple(values), "__repr__": show, "__module__": "sandbox"}
    facade = type("Facade", (Facade,), spelled)()
    for name, value in values.items():
        object.__setattr__(facade, name, value)
    return facade


def sealed(value: Any, label: str) -> Any:
    """Return an object from outside in a form that a plugin may hold.

    Functions, classes and plain data stay; anything else becomes a facade of its public
    attributes, so
    that its class, its private state and its methods' `self` are out of reach.
    """
    if isinstance(value, (*_DATA, *_CODE, Facade)):
        return value
    names = [name for name in dir(value) if not name.startswith("_")]
    return make_facade(
        label, {name: sealed(getattr(value, name), f"{label}.{name}") for name in names}
    )
