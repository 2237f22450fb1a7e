"""`ChainMap` for plugins: several mappings seen as one.

The library's calls `self.__class__(...)` in a property. Run on a class, as `classmethod` does, that
is `type`. Here an object without this class among its own gets nothing.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false
# Why: guards and facades take and give objects of any type.

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Any, Self

from typing_extensions import override

_missing: Any = object()


class ChainMap(MutableMapping[Any, Any]):
    """Several mappings in one view; writes go to the first."""

    def __init__(self, *maps: Any) -> None:
        self.maps: list[Any] = list(maps) or [{}]

    def __missing__(self, key: Any) -> Any:
        """Say that no mapping has the key."""
        raise KeyError(key)

    @override
    def __getitem__(self, key: Any) -> Any:
        for mapping in self.maps:
            try:
                return mapping[key]
            except KeyError:
                continue
        return self.__missing__(key)

    @override
    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 - this is `get`

    @override
    def __len__(self) -> int:
        return len(set[Any]().union(*self.maps))

    @override
    def __iter__(self) -> Iterator[Any]:
        found: dict[Any, None] = {}
        for mapping in reversed(self.maps):
            found |= dict.fromkeys(mapping)
        return iter(found)

    @override
    def __contains__(self, key: object) -> bool:
        return any(key in mapping for mapping in self.maps)

    def __bool__(self) -> bool:
        """Return whether any mapping holds anything."""
        return any(self.maps)

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.maps))})"

    @classmethod
    def fromkeys(cls, keys: Iterable[Any], value: Any = None, /) -> Self:
        """Return one over a new dict."""
        return cls(dict.fromkeys(keys, value))

    def copy(self) -> Self:
        """Return one over a copy of the first mapping and the others as they are."""
        return _kind(self)(self.maps[0].copy(), *self.maps[1:])

    __copy__ = copy

    def new_child(self, m: Any = None, **items: Any) -> Self:
        """Return one with a further mapping in front."""
        first = items if m is None else m
        if m is not None:
            first.update(items)
        return _kind(self)(first, *self.maps)

    @property
    def parents(self) -> Self:
        """One without the first mapping."""
        return _kind(self)(*self.maps[1:])

    @override
    def __setitem__(self, key: Any, value: Any) -> None:
        self.maps[0][key] = value

    @override
    def __delitem__(self, key: Any) -> None:
        try:
            del self.maps[0][key]
        except KeyError:
            message = f"Key not found in the first mapping: {key!r}"
            raise KeyError(message) from None

    @override
    def popitem(self) -> tuple[Any, Any]:
        try:
            return self.maps[0].popitem()
        except KeyError:
            message = "No keys found in the first mapping."
            raise KeyError(message) from None

    @override
    def pop(self, key: Any, *default: Any) -> Any:
        try:
            return self.maps[0].pop(key, *default)
        except KeyError:
            message = f"Key not found in the first mapping: {key!r}"
            raise KeyError(message) from None

    @override
    def clear(self) -> None:
        self.maps[0].clear()

    def __ior__(self, other: Any) -> Self:
        """Put another mapping's items into the first."""
        self.maps[0].update(other)
        return self

    def __or__(self, other: Any) -> Any:
        """Return one whose first mapping holds another's items as well."""
        if not isinstance(other, Mapping):
            return NotImplemented
        made = self.copy()
        made.maps[0].update(other)
        return made

    def __ror__(self, other: Any) -> Any:
        """Return one over a dict of another's items and then of this one's."""
        if not isinstance(other, Mapping):
            return NotImplemented
        found: dict[Any, Any] = dict(other)
        for mapping in reversed(self.maps):
            found.update(mapping)
        return _kind(self)(found)


def _kind(chain: Any) -> Any:
    kind = type(chain)
    if ChainMap not in kind.__mro__:
        message = f"A ChainMap is needed, not a {kind.__name__} object."
        raise TypeError(message)
    return kind
