"""`contextlib` for plugins: what wraps functions marks nothing that is shared.

The library's `ExitStack` asks the object for a wrapper and marks what it gets (`__wrapped__`); its
decorators copy what a class that they are given is made of. It also hands tracebacks on, to a
plugin's own `throw`, `__setattr__` and `__exit__`; nothing here does.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# Why: guards and facades take and give objects of any type.

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType
from typing import Any, NoReturn, Self

from typing_extensions import override

from host.sandbox.compiler.facades.made_functools import look_like
from host.sandbox.compiler.guards import Guards
from host.sandbox.compiler.traces import TRACE

_Leave = Callable[[Any, Any, Any], Any]


class ContextDecorator:
    """Lets a context manager decorate functions."""

    def _recreate_cm(self) -> Any:
        return self

    def __call__(self, function: Any) -> Any:
        """Return a function that runs in the context."""
        manager: Any = self

        def inner(*args: Any, **kwargs: Any) -> Any:
            with manager._recreate_cm():
                return function(*args, **kwargs)

        look_like(inner, function)
        return inner


class AsyncContextDecorator:
    """Lets an asynchronous context manager decorate functions."""

    def _recreate_cm(self) -> Any:
        return self

    def __call__(self, function: Any) -> Any:
        """Return a function that runs in the context."""
        manager: Any = self

        async def inner(*args: Any, **kwargs: Any) -> Any:
            async with manager._recreate_cm():
                return await function(*args, **kwargs)

        look_like(inner, function)
        return inner


class _Managed(ContextDecorator, AbstractContextManager[Any, bool]):
    """What a function marked `contextmanager` returns."""

    def __init__(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._origin = (function, args, kwargs)
        self._steps = function(*args, **kwargs)

    @override
    def _recreate_cm(self) -> Any:
        return _Managed(*self._origin)

    @override
    def __enter__(self) -> Any:
        try:
            return next(self._steps)
        except StopIteration:
            raise RuntimeError("generator didn't yield") from None

    @override
    def __exit__(self, *details: object) -> bool:
        kind, error = _of_two(*details)
        if kind is None:
            try:
                next(self._steps)
            except StopIteration:
                return False
            return self._go_on("generator didn't stop")
        thrown = kind() if error is None else error
        before = _trace_of(thrown)
        try:
            self._steps.throw(thrown)  # alone: with three arguments an own `throw` got the trace
        except StopIteration as raised:
            return raised is not thrown
        except BaseException as raised:
            if _is_let_out(raised, thrown, before, kinds=(StopIteration,)):
                return False
            raise
        return self._go_on("generator didn't stop after throw()")

    def _go_on(self, message: str) -> NoReturn:
        try:
            raise RuntimeError(message)
        finally:
            self._steps.close()


class _AsyncManaged(AsyncContextDecorator, AbstractAsyncContextManager[Any, bool]):
    """What a function marked `asynccontextmanager` returns."""

    def __init__(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._origin = (function, args, kwargs)
        self._steps = function(*args, **kwargs)

    @override
    def _recreate_cm(self) -> Any:
        return _AsyncManaged(*self._origin)

    @override
    async def __aenter__(self) -> Any:
        try:
            return await anext(self._steps)
        except StopAsyncIteration:
            raise RuntimeError("generator didn't yield") from None

    @override
    async def __aexit__(self, *details: object) -> bool:
        kind, error = _of_two(*details)
        if kind is None:
            try:
                await anext(self._steps)
            except StopAsyncIteration:
                return False
            return await self._go_on("generator didn't stop")
        thrown = kind() if error is None else error
        before = _trace_of(thrown)
        try:
            await self._steps.athrow(thrown)
        except StopAsyncIteration as raised:
            return raised is not thrown
        except BaseException as raised:
            if _is_let_out(raised, thrown, before, kinds=(StopIteration, StopAsyncIteration)):
                return False
            raise
        return await self._go_on("generator didn't stop after athrow()")

    async def _go_on(self, message: str) -> NoReturn:
        try:
            raise RuntimeError(message)
        finally:
            await self._steps.aclose()


_TRACE_OF: Any = BaseException.__dict__["__traceback__"]
_CONTEXT_OF: Any = BaseException.__dict__["__context__"]
"""Set past a `__setattr__` of the plugin's own, which would be shown the traceback."""


def _of_two(kind: Any, error: Any, _: object, /) -> tuple[Any, Any]:
    return kind, _checked(error)


def _checked(error: Any) -> Any:
    """Return an exception or None; of anything else the type would be told, of a class `type`."""
    if error is None or issubclass(type(error), BaseException):
        return error
    message = f"an exception or None is left with, not {type(error).__name__}"
    raise TypeError(message)


def _trace_of(error: Any) -> TracebackType | None:
    return error.__traceback__ if isinstance(error, BaseException) else None


def _is_let_out(
    raised: BaseException,
    thrown: Any,
    before: TracebackType | None,
    *,
    kinds: tuple[type[BaseException], ...],
) -> bool:
    """Return whether a generator let out what was thrown into it, and take our lines off it."""
    turned = isinstance(raised, RuntimeError) and isinstance(thrown, kinds)
    if raised is thrown or (turned and raised.__cause__ is thrown):
        _TRACE_OF.__set__(thrown, before)
        return True
    return False


def contextmanager(function: Any) -> Any:
    """Turn a generator function into a maker of context managers."""
    return _making(_Managed, function)


def asynccontextmanager(function: Any) -> Any:
    """Turn an asynchronous generator function into a maker of context managers."""
    return _making(_AsyncManaged, function)


def _making(kind: Any, function: Any) -> Any:
    def made(*args: Any, **kwargs: Any) -> Any:
        return kind(function, args, kwargs)

    look_like(made, function)
    return made


class _Stack:
    """What both stacks have; what is to be left is kept under a name that no source can spell."""

    def __init__(self) -> None:
        _kept(self)[_LEAVING] = []

    def enter_context(self, manager: Any) -> Any:
        """Enter a context manager, to be left with the stack."""
        enter, leave = _pair(type(manager), "__enter__", "__exit__")
        entered = enter(manager)
        _leaving(self).append((True, lambda *details: leave(manager, *details)))
        return entered

    def push(self, leave: Any) -> Any:
        """Register a context manager's `__exit__`, or a function of the same shape."""
        _leaving(self).append((True, _leaver(leave, "__exit__")))
        return leave

    def callback(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Register a function to be called, whatever happened."""

        def leave(*_: object) -> None:
            function(*args, **kwargs)

        _leaving(self).append((True, leave))
        return function

    def pop_all(self) -> Any:
        """Return a stack with all that is registered here, which is then no longer."""
        moved = type(self)()
        _kept(moved)[_LEAVING] = _leaving(self)
        _kept(self)[_LEAVING] = []
        return moved


_LEAVING = ".leaving"


def _kept(stack: Any) -> dict[str, Any]:
    """Return a stack's own attributes; a slot would keep it from being a list as well."""
    return object.__getattribute__(stack, "__dict__")


def _leaving(stack: Any) -> list[tuple[bool, _Leave]]:
    """Return what a stack calls when it is left, each with whether it is called at once."""
    return _kept(stack).setdefault(_LEAVING, [])


def _pair(kind: type, enter: str, leave: str) -> tuple[Any, Any]:
    try:
        return getattr(kind, enter), getattr(kind, leave)
    except AttributeError:
        which = "asynchronous context manager" if enter == "__aenter__" else "context manager"
        message = f"{kind.__qualname__!r} object does not support the {which} protocol"
        raise TypeError(message) from None


def _leaver(leave: Any, name: str) -> _Leave:
    method = getattr(type(leave), name, None)
    return leave if method is None else lambda *details: method(leave, *details)


def _details(pending: BaseException | None) -> tuple[Any, Any, Any]:
    """Return what is told to what is left; a stand-in takes the traceback's place."""
    return (None, None, None) if pending is None else (type(pending), pending, TRACE)


def _conclude(error: BaseException | None, pending: BaseException | None) -> bool:
    """Raise what is still to be raised, or return whether the error has been dealt with."""
    if pending is not None and pending is not error:
        context = pending.__context__
        try:
            raise pending
        finally:
            _CONTEXT_OF.__set__(pending, context)
    return error is not None and pending is None


class ExitStack(_Stack, AbstractContextManager[Any, bool]):
    """Leaves context managers and calls functions when it is left, the last first."""

    def close(self) -> None:
        """Leave everything now."""
        self.__exit__(None, None, None)

    @override
    def __enter__(self) -> Self:
        return self

    @override
    def __exit__(self, _: object, error: BaseException | None, __: object, /) -> bool:
        pending, leaving = _checked(error), _leaving(self)
        while leaving:
            _, leave = leaving.pop()
            try:
                pending = None if leave(*_details(pending)) else pending
            except BaseException as raised:  # noqa: BLE001 - it goes on to those further out
                _follow(raised, pending, error)
                pending = raised
        return _conclude(error, pending)


class AsyncExitStack(_Stack, AbstractAsyncContextManager[Any, bool]):
    """Leaves context managers of both kinds and calls functions when it is left, the last first."""

    async def enter_async_context(self, manager: Any) -> Any:
        """Enter an asynchronous context manager, to be left with the stack."""
        enter, leave = _pair(type(manager), "__aenter__", "__aexit__")
        entered = await enter(manager)
        _leaving(self).append((False, lambda *details: leave(manager, *details)))
        return entered

    def push_async_exit(self, leave: Any) -> Any:
        """Register a context manager's `__aexit__`, or a coroutine function of the same shape."""
        _leaving(self).append((False, _leaver(leave, "__aexit__")))
        return leave

    def push_async_callback(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Register an asynchronous function to be called, whatever happened."""

        async def leave(*_: object) -> None:
            await function(*args, **kwargs)

        _leaving(self).append((False, leave))
        return function

    async def aclose(self) -> None:
        """Leave everything now."""
        await self.__aexit__(None, None, None)

    @override
    async def __aenter__(self) -> Self:
        return self

    @override
    async def __aexit__(self, _: object, error: BaseException | None, __: object, /) -> bool:
        pending, leaving = _checked(error), _leaving(self)
        while leaving:
            at_once, leave = leaving.pop()
            try:
                answer = leave(*_details(pending))
                pending = None if (answer if at_once else await answer) else pending
            except BaseException as raised:  # noqa: BLE001 - it goes on to those further out
                _follow(raised, pending, error)
                pending = raised
        return _conclude(error, pending)


def _follow(raised: BaseException, pending: Any, outermost: Any) -> None:
    """Let an exception show the one that it followed, as nested `with` statements would."""
    last = raised
    while (context := last.__context__) is not None:
        if context is pending or last is pending:
            return
        if context is outermost:
            break
        last = context
    if last is not pending:
        _CONTEXT_OF.__set__(last, pending)


def members(_: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""
    return {
        "contextmanager": contextmanager,
        "asynccontextmanager": asynccontextmanager,
        "ContextDecorator": ContextDecorator,
        "AsyncContextDecorator": AsyncContextDecorator,
        "ExitStack": ExitStack,
        "AsyncExitStack": AsyncExitStack,
    }
