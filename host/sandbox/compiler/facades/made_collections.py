"""`collections` for plugins."""

import collections
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from typing_extensions import override

from host.sandbox.compiler.facades.chain_map import ChainMap
from host.sandbox.compiler.facades.user_classes import user_classes
from host.sandbox.compiler.guards import Guards


class UserDict(MutableMapping[Any, Any]):
    """A mapping around a dict named `data`.

    The library's asks `copy.copy`, which rebuilds objects as their state tells it to.
    """

    def __init__(self, data: Any = None, /, **items: Any) -> None:
        self.data: dict[Any, Any] = {}
        self.update({} if data is None else data, **items)

    @override
    def __len__(self) -> int:
        return len(self.data)

    @override
    def __getitem__(self, key: Any) -> Any:
        if key in self.data:
            return self.data[key]
        missing = getattr(type(self), "__missing__", None)
        if missing is None:
            raise KeyError(key)
        return missing(self, key)

    @override
    def __setitem__(self, key: Any, item: Any) -> None:
        self.data[key] = item

    @override
    def __delitem__(self, key: Any) -> None:
        del self.data[key]

    @override
    def __iter__(self) -> Iterator[Any]:
        return iter(self.data)

    @override
    def __contains__(self, key: object) -> bool:
        return key in self.data

    @override
    def __repr__(self) -> str:
        return repr(self.data)

    def __copy__(self) -> Any:
        """Return one of the same class over a copy of the dict, without calling the class."""
        made = object.__new__(type(self))
        vars(made).update(vars(self), data=self.data.copy())
        return made

    def __or__(self, other: Mapping[Any, Any]) -> "UserDict":
        """Return both merged; the right one wins."""
        return type(self)({**self.data, **other})


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
        made = collections.namedtuple(  # noqa: PYI024  # fields are known at run time # pyright: ignore[reportUntypedNamedTuple]
            typename, field_names, rename=rename, defaults=defaults, module=guards.ownership.module
        )
        return guards.ownership.adopt(made)

    return {
        "namedtuple": namedtuple,
        "ChainMap": ChainMap,
        "UserDict": UserDict,
        **user_classes(guards),
    }
