"""`operator` for plugins: what takes attribute names as text asks the guards."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

from collections.abc import Callable, Mapping
from typing import Any

from host.sandbox.compiler.guards import Guards

_Call = Callable[..., Any]


def members(guards: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""

    def one(value: Any, path: str) -> Any:
        for name in path.split("."):
            value = guards.read(value, name)
        return value

    def attrgetter(first: str, /, *rest: str) -> _Call:
        if any(type(path) is not str for path in (first, *rest)):
            message = "attrgetter takes attribute names, as plain text."
            raise TypeError(message)
        if rest:
            return lambda value: tuple(one(value, path) for path in (first, *rest))
        return lambda value: one(value, first)

    def methodcaller(name: Any, /, *args: Any, **kwargs: Any) -> _Call:
        if not isinstance(name, str):
            message = f"method name must be a string, not {type(name).__name__}"
            raise TypeError(message)
        return lambda value: guards.read(value, name)(*args, **kwargs)

    return {"attrgetter": attrgetter, "methodcaller": methodcaller}
