"""What stands for a traceback where Python hands one to a plugin: in `__exit__`, and nowhere else.

A traceback leads to frames, and those to everybody's variables. No name of a frame can be read in a
plugin, but what it does not hold it cannot lose either.
"""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# Why: guards take and give objects of any type.

from types import FunctionType, MethodType, TracebackType
from typing import Any

from host.sandbox.compiler.facade import make_facade

TRACE = make_facade("traceback", {})


def without_trace(details: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return arguments in which a stand-in takes each traceback's place."""
    return tuple(TRACE if type(item) is TracebackType else item for item in details)


def leaver_of_own(function: Any) -> Any:
    """Return a plugin's `__exit__` or `__aexit__`, which is not shown the traceback."""
    if type(function) is not FunctionType:
        return _Leaver(function)

    def leave(*details: Any) -> Any:
        return function(*without_trace(details))

    leave.__dict__.update(vars(function))  # what makes it abstract
    for name in ("__name__", "__qualname__", "__doc__"):
        setattr(leave, name, getattr(function, name))
    return leave


class _Leaver:
    """An `__exit__` that a decorator made, such as a class method; bound as what was decorated."""

    __slots__ = ("_given",)

    def __init__(self, given: Any) -> None:
        self._given = given

    def __get__(self, target: object, kind: type | None = None) -> Any:
        """Return a method that is called as the decorated one would be."""
        given = self._given
        bind = getattr(type(given), "__get__", None)
        bound = given if bind is None else bind(given, target, kind)

        def leave(called: Any, *details: Any) -> Any:
            return called(*without_trace(details))

        return MethodType(leave, bound)

    def __set_name__(self, owner: type, name: str) -> None:
        """Tell what was decorated its name, as Python would have."""
        tell = getattr(type(self._given), "__set_name__", None)
        if tell is not None:
            tell(self._given, owner, name)

    @property
    def __isabstractmethod__(self) -> bool:
        return bool(getattr(self._given, "__isabstractmethod__", False))
