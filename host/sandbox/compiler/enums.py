"""Enumerations for plugins: the library's, with names made at run time checked."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import enum
from collections.abc import Iterable, Mapping
from typing import Any, cast

from host.sandbox.compiler.caches import plain
from host.sandbox.compiler.refusal import demand_names

_missing: Any = object()


class PluginEnumKind(enum.EnumType):
    """Makes enumerations from a class statement, or from names that are identifiers.

    `Enum("X", {"__reduce_ex__": f}, module="os")` would define what a class statement may not.
    """

    def __call__(cls, value: Any, names: Any = _missing, **options: Any) -> Any:
        """Look a member up by its value, or make an enumeration."""
        demand_names(options)
        if names is _missing and not options:
            return super().__call__(value)
        options = {key: item for key, item in options.items() if key not in ("module", "qualname")}
        extra = sorted(set(options) - {"start", "boundary"})
        if extra:
            message = f"{extra[0]} cannot be given in a plugin. Write a class statement."
            raise TypeError(message)
        members = _members(names)
        for name in [item if type(item) is str else item[0] for item in members]:
            if type(name) is not str or name.startswith("_") or not name.isidentifier():
                message = f"{name!r} cannot name a member. Use a plain identifier."
                raise ValueError(message)
        return super().__call__(value, members, module="plugin:", **options)


def _members(names: Any) -> list[Any]:
    if isinstance(names, str):
        return plain(names).replace(",", " ").split()
    if isinstance(names, Mapping):
        return [(key, item) for key, item in cast("Mapping[Any, Any]", names).items()]
    given = cast("Iterable[Any]", names)
    return [plain(item) if isinstance(item, str) else tuple(item) for item in given]


class Enum(enum.Enum, metaclass=PluginEnumKind):
    """A set of named values."""


class IntEnum(int, enum.ReprEnum, Enum):
    """A set of named integers."""


class StrEnum(str, enum.ReprEnum, Enum):
    """A set of named texts."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[Any]) -> str:
        return name.lower()


class Flag(enum.Flag, Enum, boundary=enum.STRICT):
    """A set of named bits."""

    # `EnumType` would take it from the last base, `Enum`, which counts 1, 2, 3.
    _generate_next_value_ = enum.Flag.__dict__["_generate_next_value_"]


class IntFlag(int, enum.ReprEnum, Flag, boundary=enum.KEEP):
    """A set of named bits that are integers."""
