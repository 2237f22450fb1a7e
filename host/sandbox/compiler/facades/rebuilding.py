"""How an object of a plugin's class is made anew by `copy`, as the library makes it.

The library asks the object (`__reduce_ex__`), which may say anything. These ask the class that the
plugin extended, about what that class keeps: from what to make one, and what comes in later.
"""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownLambdaType=false, reportAttributeAccessIssue=false
# Why: facades take and give objects of any type.

import collections
import datetime
import functools
import random
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from host.sandbox.compiler.caches import plain
from host.sandbox.compiler.facades.made_contextlib import AsyncExitStack, ExitStack
from host.sandbox.compiler.facades.made_json import JSONDecoder, share_reader
from host.sandbox.compiler.kinds import PLUGIN_MODULE

_Each = Callable[[Any], Any]


def _nothing(made: Any, value: Any, each: _Each) -> None:
    del made, value, each


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an object is made from, and what is put into it then."""

    args: tuple[Any, ...] = ()
    called: bool = True
    """Whether the class is called; else it is its `__new__` alone."""
    keeps: bool = True
    """Whether the plugin's attributes come along; the library forgets some classes'."""
    items: Iterable[Any] = ()
    """What is appended."""
    pairs: Iterable[tuple[Any, Any]] = ()
    """What is set by key."""
    finish: Callable[[Any, Any, _Each], None] = _nothing
    """Puts in what the extended class keeps out of sight: (made, value, each)."""
    deeply: bool = True
    """Whether it can be copied with all it holds."""


_Read = Callable[[Any], Recipe]


def remade(value: Any, each: _Each, memo: dict[int, Any] | None) -> Any:
    """Return a new object of the same class whose parts are `each(part)`.

    Args:
        value: An object of a plugin's class, or of one of the plain classes of the library.
        each: Gives what stands for a part.
        memo: Told the object before its parts are made, which may hold it; None for a shallow copy.
    """
    kind = type(value)
    recipe = _recipe_of(kind)(value)
    if memo is not None and not recipe.deeply:
        message = f"A {kind.__name__} object cannot be copied deeply. Make a new one."
        raise TypeError(message)
    args = [each(part) for part in recipe.args]
    made = kind(*args) if recipe.called else kind.__new__(kind, *args)
    if type(made) is not kind:
        message = f"{kind.__name__} gave a {type(made).__name__} object, which is no copy."
        raise TypeError(message)
    if memo is not None:
        memo[id(value)] = made
    if recipe.keeps:
        _carry(made, value, each)
    recipe.finish(made, value, each)
    for part in recipe.items:
        made.append(each(part))
    for key, part in recipe.pairs:
        made[each(key)] = each(part)
    return made


def _carry(made: Any, value: Any, each: _Each) -> None:
    """Give a new object another's attributes, past every `__setattr__`, as the library does."""
    for name, part in list(getattr(value, "__dict__", {}).items()):
        vars(made)[name] = each(part)
    for slot in _slots(type(value)):
        try:
            part = slot.__get__(value)
        except AttributeError:
            continue
        slot.__set__(made, each(part))


def _slots(kind: type) -> Iterator[Any]:
    for base in kind.__mro__:
        if "__slots__" in vars(base):
            for item in vars(base).values():
                if type(item) is types.MemberDescriptorType and item.__objclass__ is base:
                    yield item


def _recipe_of(kind: type) -> _Read:
    return next(read for base, read in _RECIPES if base in kind.__mro__)


def _of_counter(value: Any) -> Recipe:
    return Recipe((dict(dict.items(value)),), keeps=False)


def _of_defaultdict(value: Any) -> Recipe:
    factory = _FACTORY.__get__(value)
    args = () if factory is None else (factory,)
    return Recipe(args, keeps=False, pairs=dict.items(value))


_FACTORY: Any = collections.defaultdict.__dict__["default_factory"]
_MAXLEN: Any = collections.deque.__dict__["maxlen"]


def _of_deque(value: Any) -> Recipe:
    length = _MAXLEN.__get__(value)
    args = () if length is None else ((), length)
    return Recipe(args, items=collections.deque.__iter__(value))


def _of_tuple(value: Any) -> Recipe:
    items = tuple(tuple.__iter__(value))
    by_field = type(value).__getnewargs__ is not tuple.__getnewargs__  # a named tuple
    return Recipe(items if by_field else (items,), called=False)


def _of_value(value: Any) -> Recipe:
    return Recipe((plain(value),), called=False)


def _of_moment(value: Any) -> Recipe:
    table = vars(next(base for base in _MOMENTS if base in type(value).__mro__))
    reduced = (
        table["__reduce_ex__"](value, 4) if "__reduce_ex__" in table else table["__reduce__"](value)
    )
    return Recipe(reduced[1], keeps=False)


_MOMENTS = (datetime.datetime, datetime.date, datetime.time, datetime.timedelta)


_PARTS: list[Any] = [functools.partial.__dict__[name] for name in ("func", "args", "keywords")]


def _of_partial(value: Any) -> Recipe:
    return Recipe((_PARTS[0].__get__(value),), finish=_fill_partial)


def _fill_partial(made: Any, value: Any, each: _Each) -> None:
    kept = dict(vars(made))
    functools.partial.__setstate__(made, (*(each(part.__get__(value)) for part in _PARTS), None))
    vars(made).update(kept)  # which the line before took away


def _finish_dice(made: Any, value: Any, each: _Each) -> None:
    core = random.Random.__base__
    core.setstate(made, core.getstate(value))  # pyright: ignore[reportOptionalMemberAccess]
    vars(made)["gauss_next"] = each(vars(value).get("gauss_next"))


def _of_error(value: Any) -> Recipe:
    base: Any = next(base for base in type(value).__mro__ if _is_of_library(base))
    return Recipe(base.__reduce__(value)[1], finish=_finish_error)


def _is_of_library(base: type) -> bool:
    return issubclass(base, BaseException) and not base.__module__.startswith(PLUGIN_MODULE)


def _finish_error(made: Any, value: Any, each: _Each) -> None:
    for base, name in _TOLD:
        if base in type(value).__mro__:
            slot: Any = vars(base)[name]
            slot.__set__(made, each(slot.__get__(value)))


_TOLD: list[tuple[type, str]] = [
    (ImportError, "name"),
    (ImportError, "path"),
    *([(AttributeError, "name")] if sys.version_info >= (3, 12) else []),
]


def _not_copied(value: Any) -> Recipe:
    message = f"A {type(value).__name__} object cannot be copied. Make a new one."
    raise TypeError(message)


_RECIPES: tuple[tuple[type, _Read], ...] = (
    (collections.OrderedDict, lambda value: Recipe(pairs=collections.OrderedDict.items(value))),
    (collections.Counter, _of_counter),
    (collections.defaultdict, _of_defaultdict),
    (dict, lambda value: Recipe(called=False, pairs=dict.items(value))),
    (collections.deque, _of_deque),
    (list, lambda value: Recipe(called=False, items=list.__iter__(value))),
    (set, lambda value: Recipe((list(set.__iter__(value)),))),
    (frozenset, lambda value: Recipe((list(frozenset.__iter__(value)),))),
    (bytearray, lambda value: Recipe((bytes(plain(value)),))),
    (tuple, _of_tuple),
    (str, _of_value),
    (bytes, _of_value),
    (int, _of_value),
    (float, lambda value: Recipe((float.__float__(value),), called=False)),
    (complex, lambda value: Recipe(complex.__getnewargs__(value), called=False)),
    *((base, _of_moment) for base in _MOMENTS),
    (datetime.tzinfo, lambda _: Recipe()),
    (functools.partial, _of_partial),
    (random.Random, lambda _: Recipe(keeps=False, finish=_finish_dice)),
    (types.SimpleNamespace, lambda _: Recipe()),
    (BaseException, _of_error),
    (property, _not_copied),
    (ExitStack, _not_copied),
    (AsyncExitStack, _not_copied),
    (JSONDecoder, lambda _: Recipe(called=False, finish=share_reader, deeply=False)),
    (object, lambda _: Recipe(called=False)),
)
