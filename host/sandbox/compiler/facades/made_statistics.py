"""`statistics` for plugins: numbers only.

The library converts a result to the data's class by calling it; given classes as data it would call
`type`.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import functools
import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from host.sandbox.compiler.catalog import MADE
from host.sandbox.compiler.guards import Guards


def members(_: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""
    return {name: _numeric(getattr(statistics, name)) for name in MADE["statistics"].split()}


def _numeric(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        data = [_without_classes(arg) for arg in args]
        return function(*data, **{key: _without_classes(item) for key, item in kwargs.items()})

    return checked


def _without_classes(data: Any) -> Any:
    if isinstance(data, (str, int, float)) or not isinstance(data, Iterable):
        items = [data]
    else:
        items = data = list(data)
    if any(isinstance(item, type) for item in items):
        message = "statistics needs numbers, not classes."
        raise TypeError(message)
    return data
