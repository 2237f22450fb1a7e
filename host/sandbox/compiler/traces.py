"""What stands for a traceback where Python hands one to a plugin: in `__exit__`, and nowhere else.

A traceback leads to frames, and those to everybody's variables. No name of a frame can be read in a
plugin, but what it does not hold it cannot lose either.
"""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# Why: guards take and give objects of any type.

from collections.abc import Callable
from types import TracebackType
from typing import Any

from host.sandbox.compiler.facade import make_facade

TRACE = make_facade("traceback", {})


def without_trace(details: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return arguments in which a stand-in takes each traceback's place."""
    return tuple(TRACE if type(item) is TracebackType else item for item in details)


def with_trace(details: tuple[object, ...]) -> tuple[object, ...]:
    """Return what a library's `__exit__` is to get where a plugin hands on the stand-in."""
    shown = next((item for item in details if isinstance(item, BaseException)), None)
    trace = shown.__traceback__ if shown is not None else None
    return tuple(trace if item is TRACE else item for item in details)


def leaver_of_own(function: Any) -> Any:
    """Return a plugin's `__exit__` or `__aexit__`, which is not shown the traceback."""
    raw: Callable[..., Any] = function.__func__ if type(function) is staticmethod else function

    def leave(*details: Any) -> Any:
        return raw(*without_trace(details))

    for name in ("__name__", "__qualname__", "__doc__"):
        setattr(leave, name, getattr(raw, name, None) or getattr(leave, name))
    return staticmethod(leave) if type(function) is staticmethod else leave
