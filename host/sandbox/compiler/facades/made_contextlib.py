"""`contextlib` for plugins: what wraps functions marks nothing that is shared.

The library's `ExitStack` asks the object for a wrapper and marks what it gets (`__wrapped__`); its
decorators copy what a class that they are given is made of.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# Why: guards and facades take and give objects of any type.

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from typing_extensions import override

from host.sandbox.compiler.facades.made_functools import look_like
from host.sandbox.compiler.guards import Guards
from host.sandbox.compiler.traces import with_trace, without_trace

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


_Generated: Any = contextlib._GeneratorContextManager
_AsyncGenerated: Any = contextlib._AsyncGeneratorContextManager


class _Managed(ContextDecorator, _Generated):
    """What a function marked `contextmanager` returns."""

    @override
    def _recreate_cm(self) -> Any:
        return _Generated._recreate_cm(self)

    def __exit__(self, *details: object) -> Any:
        return _Generated.__exit__(self, *with_trace(details))


class _AsyncManaged(AsyncContextDecorator, _AsyncGenerated):
    """What a function marked `asynccontextmanager` returns."""

    @override
    def _recreate_cm(self) -> Any:
        return _AsyncGenerated._recreate_cm(self)

    async def __aexit__(self, *details: object) -> Any:
        return await _AsyncGenerated.__aexit__(self, *with_trace(details))


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


class ExitStack(AbstractContextManager[Any, bool]):
    """Leaves context managers and calls functions when it is left, the last first."""

    def __init__(self) -> None:
        self._leaving: list[_Leave] = []

    def enter_context(self, manager: Any) -> Any:
        """Enter a context manager, to be left with the stack."""
        kind = type(manager)
        try:
            enter, leave = kind.__enter__, kind.__exit__
        except AttributeError:
            message = f"{kind.__qualname__!r} object does not support the context manager protocol"
            raise TypeError(message) from None
        entered = enter(manager)
        self._leaving.append(lambda *details: leave(manager, *details))
        return entered

    def push(self, leave: Any) -> Any:
        """Register a context manager's `__exit__`, or a function of the same shape."""
        method = getattr(type(leave), "__exit__", None)
        if method is None:
            self._leaving.append(lambda *details: leave(*without_trace(details)))
        else:
            self._leaving.append(lambda *details: method(leave, *details))
        return leave

    def callback(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Register a function to be called, whatever happened."""

        def leave(*_: object) -> None:
            function(*args, **kwargs)

        self._leaving.append(leave)
        return function

    def pop_all(self) -> "ExitStack":
        """Return a stack with all that is registered here, which is then no longer."""
        if ExitStack not in type(self).__mro__:
            message = "pop_all() needs an ExitStack."
            raise TypeError(message)
        moved = type(self)()
        moved._leaving, self._leaving = self._leaving, []
        return moved

    def close(self) -> None:
        """Leave everything now."""
        self.__exit__(None, None, None)

    @override
    def __enter__(self) -> Self:
        return self

    @override
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> bool:
        pending = error
        while self._leaving:
            details = (None, None, None)
            if pending is not None:
                details = (type(pending), pending, pending.__traceback__)
            try:
                if self._leaving.pop()(*details):
                    pending = None
            except BaseException as raised:  # noqa: BLE001 - it goes on to those further out
                _follow(raised, pending, error)
                pending = raised
        if pending is not None and pending is not error:
            context = pending.__context__
            try:
                raise pending
            finally:
                pending.__context__ = context
        return error is not None and pending is None


class AsyncExitStack:
    """Leaves context managers of both kinds and calls functions when it is left, the last first."""

    def __init__(self) -> None:
        self._leaving: list[_Leave] = []

    def enter_context(self, manager: Any) -> Any:
        """Enter a context manager, to be left with the stack."""
        leave = type(manager).__exit__
        entered = type(manager).__enter__(manager)
        self._leaving.append(lambda *details: leave(manager, *details))
        return entered

    async def enter_async_context(self, manager: Any) -> Any:
        """Enter an asynchronous context manager, to be left with the stack."""
        leave = type(manager).__aexit__
        entered = await type(manager).__aenter__(manager)
        self._leaving.append(lambda *details: leave(manager, *details))
        return entered

    def callback(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Register a function to be called, whatever happened."""

        def leave(*_: object) -> None:
            function(*args, **kwargs)

        self._leaving.append(leave)
        return function

    def push_async_callback(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Register an asynchronous function to be called, whatever happened."""

        async def leave(*_: object) -> None:
            await function(*args, **kwargs)

        self._leaving.append(leave)
        return function

    async def aclose(self) -> None:
        """Leave everything now."""
        await self.__aexit__(None, None, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        pending = error
        while self._leaving:
            details = (None, None, None)
            if pending is not None:
                details = (type(pending), pending, pending.__traceback__)
            try:
                answer = self._leaving.pop()(*details)
                if isinstance(answer, Awaitable):
                    answer = await answer
                pending = None if answer else pending
            except BaseException as raised:  # noqa: BLE001 - it goes on to those further out
                _follow(raised, pending, error)
                pending = raised
        if pending is not None and pending is not error:
            raise pending
        return error is not None and pending is None


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
        last.__context__ = pending


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
