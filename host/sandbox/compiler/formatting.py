"""`str.format` for plugins: fields are resolved through the guards.

The built-in one reads any attribute that the template names, past every check at compile time:
`"{0.__class__.__init__.__globals__}".format(x)`.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import string
from _string import formatter_field_name_split
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from typing_extensions import override

Read = Callable[[Any, str], Any]


def is_flat(template: str) -> bool:
    """Return whether a template names arguments only, never their attributes or items."""
    try:
        fields = list(string.Formatter().parse(template))
    except ValueError:
        return False
    names = [(name or "", spec or "") for _, name, spec, _ in fields]
    return all(not set(".[") & set(name) and "{" not in spec for name, spec in names)


class GuardedFormatter(string.Formatter):
    """Formats as `str.format` does, reading attributes through a guard."""

    def __init__(self, read: Read) -> None:
        super().__init__()
        self._read = read

    @override
    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        first, rest = formatter_field_name_split(field_name)
        value = self.get_value(first, args, kwargs)
        for is_attribute, key in rest:
            value = self._read(value, key) if is_attribute else value[key]
        return value, first

    @override
    def get_value(self, key: int | str, args: Any, kwargs: Mapping[str, Any]) -> Any:
        if isinstance(key, int) and args is None:
            message = "Format string contains positional fields"
            raise ValueError(message)
        return super().get_value(key, args, kwargs)

    def format_text(
        self, template: str, args: Sequence[Any] | None, kwargs: Mapping[str, Any]
    ) -> str:
        """Return the template with its fields filled; without `args`, those with names only."""
        given: Any = args
        return self.vformat(template, given, kwargs)
