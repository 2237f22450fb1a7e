"""`dataclasses` for plugins."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from host.sandbox.compiler.facades.made_copy import Copier
from host.sandbox.compiler.guards import Guards
from host.sandbox.compiler.names import is_matchable

_Made = Callable[..., Any]


def members(guards: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""

    def dataclass(cls: Any = None, /, *, match_args: bool = True, **options: Any) -> Any:
        """Turn a class into a dataclass; it sets attributes, so only the plugin's own classes."""
        if cls is None:
            return lambda found: dataclass(found, match_args=match_args, **options)
        if not guards.ownership.owns_class(cls):
            message = f"dataclass works on the plugin's own classes, not on {cls!r}."
            raise TypeError(message)
        made: type = dataclasses.dataclass(cls, match_args=False, **options)
        if match_args and "__match_args__" not in vars(made):
            type.__setattr__(made, "__match_args__", _matched(made))
        return guards.ownership.adopt(made)

    def asdict(value: Any, *, dict_factory: _Made = dict) -> Any:
        _demand_dataclass(value)
        return _Plain(guards, dict_factory).of(value)

    def astuple(value: Any, *, tuple_factory: _Made = tuple) -> Any:
        _demand_dataclass(value)
        return _Plain(guards, lambda pairs: tuple_factory([item for _, item in pairs])).of(value)

    return {"dataclass": dataclass, "asdict": asdict, "astuple": astuple}


def _matched(made: Any) -> tuple[str, ...]:
    """Return the fields that patterns may read by position, up to the first that they may not.

    A pattern reads past the guards, and an abstract base class accepts what was registered with it.
    """
    found: list[str] = []
    for field in dataclasses.fields(made):
        if field.init and not field.kw_only:
            if not is_matchable(field.name):
                break
            found.append(field.name)
    return tuple(found)


def _demand_dataclass(value: Any) -> None:
    if isinstance(value, type) or not dataclasses.is_dataclass(value):
        message = f"{value!r} is not an instance of a dataclass."
        raise TypeError(message)


class _Plain:
    """Turns dataclasses into dicts or tuples without asking objects how to copy them."""

    def __init__(self, guards: Guards, shape: _Made) -> None:
        self._copier = Copier(guards)
        self._shape = shape

    def of(self, value: Any) -> Any:
        kind = type(value)
        if dataclasses.is_dataclass(kind):
            return self._shape(
                [
                    (field.name, self.of(getattr(value, field.name)))
                    for field in dataclasses.fields(value)
                ]
            )
        if kind in (list, tuple):
            return kind([self.of(item) for item in value])
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            return tuple.__new__(kind, [self.of(item) for item in value])
        if kind is dict:
            return {self.of(key): self.of(item) for key, item in value.items()}
        return self._copier.deep(value, {})
