"""`contextlib` for plugins: an `ExitStack` that trusts no method of a subclass.

The library's asks the object for a wrapper and marks what it gets (`__wrapped__`).
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false
# Why: guards and facades take and give objects of any type.

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from typing_extensions import override

from host.sandbox.compiler.guards import Guards

_Leave = Callable[[Any, Any, Any], Any]


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
        self._leaving.append(leave if method is None else lambda *details: method(leave, *details))
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
    return {"ExitStack": ExitStack}
