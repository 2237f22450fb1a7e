"""`collections` for plugins."""

import collections
from collections.abc import Iterable, Mapping
from typing import Any

from host.sandbox.compiler.guards import Guards


def members(guards: Guards) -> Mapping[str, Any]:
    """Return the names that differ from the library's."""

    def namedtuple(
        typename: str,
        field_names: str | Iterable[str],
        *,
        rename: bool = False,
        defaults: Iterable[Any] | None = None,
        **_: Any,
    ) -> type:
        """Make a named tuple; it belongs to the plugin, whatever module it was to name."""
        made = collections.namedtuple(  # pyright: ignore[reportUntypedNamedTuple]
            typename, field_names, rename=rename, defaults=defaults, module=guards.ownership.module
        )
        return guards.ownership.adopt(made)

    return {"namedtuple": namedtuple}
