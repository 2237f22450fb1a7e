"""`functools` for plugins."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import functools
import types
from collections.abc import Callable, Mapping
from typing import Any

from host.sandbox.compiler.annotations import annotations_of
from host.sandbox.compiler.facades.cached import cached_property
from host.sandbox.compiler.guards import Guards
from host.sandbox.compiler.ownership import Ownership
from host.sandbox.compiler.refusal import named

_Call = Callable[..., Any]
_TOLD = ("__name__", "__qualname__", "__doc__")


def members(guards: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""
    own = guards.ownership

    def update_wrapper(
        wrapper: Any, wrapped: Any, assigned: Any = _TOLD, updated: Any = ("__dict__",)
    ) -> Any:
        """Make a wrapper look like what it wraps; it sets attributes, so only the plugin's own."""
        names = [name for name in assigned if type(name) is str and name in _TOLD]
        if type(wrapper) is functools.partial:
            shown = {name: getattr(wrapped, name) for name in names if hasattr(wrapped, name)}
            vars(wrapper).update(shown, __wrapped__=wrapped)
            return wrapper
        if not own.owns(wrapper):
            _demand_writable(wrapper)
            return wrapper
        _dress(wrapper, wrapped, names)
        if updated and isinstance(wrapper, type):
            message = f"A class's table cannot be updated: wraps({named(wrapped)}, updated=())."
            raise AttributeError(message)
        if updated and own.owns_function(wrapped):
            wrapper.__dict__.update(vars(wrapped))
            wrapper.__annotations__ = dict(wrapped.__annotations__)
        wrapper.__wrapped__ = wrapped
        return wrapper

    def wraps(wrapped: Any, *which: Any, **named: Any) -> _Call:
        return lambda wrapper: update_wrapper(wrapper, wrapped, *which, **named)

    def total_ordering(cls: Any) -> Any:
        if not own.owns_class(cls):  # of an object it would set the library's functions
            message = f"total_ordering works on the plugin's own classes, not on {named(cls)}."
            raise TypeError(message)
        return functools.total_ordering(cls)

    def singledispatch(function: Any) -> Any:
        return _Dispatch(function, guards).call

    return {
        "cached_property": cached_property,
        **_caches(own),
        "update_wrapper": update_wrapper,
        "wraps": wraps,
        "total_ordering": total_ordering,
        "singledispatch": singledispatch,
        "singledispatchmethod": lambda function: _Method(_Dispatch(function, guards)),
    }


def _caches(own: Ownership) -> Mapping[str, Any]:
    """Return what keeps a function's results; the library's copies what a class is made of."""

    def cached(function: Any, size: int | None, *, typed: bool = False) -> Any:
        def called(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        if own.owns_function(function):
            return functools.lru_cache(size, typed)(function)
        made = functools.lru_cache(size, typed)(called)
        look_like(made, function)
        return made

    def lru_cache(maxsize: Any = 128, typed: bool = False) -> Any:
        if callable(maxsize):
            return cached(maxsize, 128, typed=typed)
        if maxsize is not None and not isinstance(maxsize, int):
            message = "Expected first argument to be an integer, a callable, or None"
            raise TypeError(message)
        return lambda function: cached(function, maxsize, typed=typed)

    return {"lru_cache": lru_cache, "cache": lambda function: cached(function, None)}


def look_like(wrapper: Any, wrapped: Any) -> None:
    """Give a wrapper the name of what it wraps, and none of its attributes.

    The library's `wraps` copies them. Of a class these are the very descriptors that all plugins
    share, which tell a class that they are put into (`__set_name__`) apart from the last.
    """
    for name in _TOLD:
        if type(getattr(wrapped, name, None)) is str:
            setattr(wrapper, name, getattr(wrapped, name))
    wrapper.__wrapped__ = wrapped


def _dress(wrapper: Any, wrapped: Any, names: list[str]) -> None:
    for name in names:
        if hasattr(wrapped, name):
            setattr(wrapper, name, getattr(wrapped, name))


def _demand_writable(wrapper: Any) -> None:
    """Raise where Python could set no attribute either; what else is not the plugin's, stays."""
    if isinstance(wrapper, (type, types.MethodType)) or not hasattr(wrapper, "__dict__"):
        message = f"{named(wrapper)} cannot be made to look like something else. Wrap it in a def."
        raise AttributeError(message)


class _Dispatch:
    """One generic function; the library's would evaluate a text annotation as it is."""

    def __init__(self, function: Any, guards: Guards) -> None:
        raw = functools.singledispatch(function)
        self._add, self.find, self._guards = raw.register, raw.dispatch, guards

        def call(*args: Any, **kwargs: Any) -> Any:
            if not args:
                message = f"{function.__name__} needs at least one positional argument."
                raise TypeError(message)
            return raw.dispatch(type(args[0]))(*args, **kwargs)

        call.__name__, call.__doc__ = function.__name__, function.__doc__
        call.register, call.dispatch = self.register, self.find  # pyright: ignore[reportFunctionMemberAccess]
        call.registry = raw.registry  # pyright: ignore[reportFunctionMemberAccess]
        self.call = call

    def register(self, kind: Any, function: Any = None) -> Any:
        """Add an implementation, for a class given or annotated."""
        if self._guards.ownership.owns_function(kind):
            names = kind.__globals__
            found = [item for key, item in annotations_of(kind, names).items() if key != "return"]
            if not found:
                message = f"Annotate the first argument of {kind.__name__}, or register(CLASS)."
                raise TypeError(message)
            return self._add(found[0], kind)
        if function is None:
            return lambda later: self.register(kind, later)
        return self._add(kind, function)


class _Method:
    """A generic method, dispatching on its first argument after self."""

    def __init__(self, dispatch: _Dispatch) -> None:
        self._dispatch = dispatch
        self.register = dispatch.register

    def __get__(self, value: Any, kind: Any = None) -> _Call:
        def method(*args: Any, **kwargs: Any) -> Any:
            found: Any = self._dispatch.find(type(args[0]))
            return found.__get__(value, kind)(*args, **kwargs)

        return method
