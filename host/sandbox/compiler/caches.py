"""Caches of the library that all plugins' values pass through; used when a module is handed out.

`pattern.sub(S("x"), text)`, where `S` is a plugin's str with a `__hash__` and an `__eq__` of its
own, would put that object into a table in which the next plugin's "x" is looked up: it would find
the first plugin's pattern there. So these tables get plain values only. Nor is a table shown:
`re.escape(S("x"))` would call the plugin's own `translate` with the dict by which `re` escapes for
everybody.
"""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false, reportAttributeAccessIssue=false
# Why: the caches are private names of the library, and differ from release to release.

import _strptime
import dataclasses
import fractions
import functools
import re
import textwrap
import types
import typing
import urllib.parse
from collections.abc import Callable
from typing import Any

from typing_extensions import override

"é".encode("ascii", "namereplace")
"""Loads the table of characters' names, which Python imports by the guards' own `__import__` if a
plugin is the first to need it."""


def settle(module: str) -> None:
    """Let a library module's caches take plain values only; once a process."""
    if settler := _SETTLERS.get(module):
        settler()


def start_anew(module: str) -> None:
    """Empty what a library module keeps of other plugins' annotations."""
    if module == "typing":
        for clear in typing._cleanups:
            clear()


def plain(value: Any) -> Any:
    """Return a text, bytes or number of a plugin's own class as one of Python's."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes):
        return b"".join((value,))
    if isinstance(value, bytearray):
        return bytearray(b"".join((value,)))
    if isinstance(value, int) and type(value) is not bool:
        return int.__index__(value)
    return value


def on_plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a library's function that is given plain values."""

    def called(*args: Any, **named: Any) -> Any:
        return function(*map(plain, args), **{name: plain(item) for name, item in named.items()})

    called.__name__ = function.__name__
    if emptied := getattr(function, "cache_clear", None):
        vars(called)["cache_clear"] = emptied  # as `re.purge` expects
    return called


class _ByValue(dict[Any, Any]):
    """A cache whose keys are plain values."""

    @override
    def get(self, key: Any, default: Any = None, /) -> Any:
        return super().get(plain(key), default)

    @override
    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(plain(key), value)


OF_TEXT = frozenset(
    {"base64", "hashlib", "html", "re", "string", "textwrap", "urllib.parse", "uuid"}
)
"""Modules whose functions, written in Python, call methods of the texts and bytes they are given:
plugins' classes of these are given as plain ones."""


def as_given(module: str, value: Any) -> Any:
    """Return a library's object as a plugin may call it."""
    return on_plain(value) if module in OF_TEXT and type(value) is types.FunctionType else value


@functools.cache
def _settle_re() -> None:
    compiled: Any = getattr(re, "_compile")  # noqa: B009  # a private name

    def compile_plain(pattern: Any, flags: Any) -> Any:
        if not isinstance(flags, int):
            message = f"flags must be re.RegexFlag or int, not {type(flags).__name__}"
            raise TypeError(message)
        return compiled(plain(pattern), plain(flags))

    setattr(re, "_compile", compile_plain)  # noqa: B010  # a private name
    if hasattr(re, "_compile_repl"):
        setattr(re, "_compile_repl", on_plain(getattr(re, "_compile_repl")))  # noqa: B009, B010  # a private name
    setattr(re, "escape", on_plain(re.escape))  # noqa: B010 - `string.Template` calls it as well
    missing: Any = re.RegexFlag._missing_
    found: Any = staticmethod(on_plain(missing))
    type.__setattr__(re.RegexFlag, "_missing_", found)  # it keeps the members that it makes


@functools.cache
def _settle_time() -> None:
    setattr(_strptime, "_regex_cache", _ByValue(getattr(_strptime, "_regex_cache")))  # noqa: B009, B010  # a private name


@functools.cache
def _settle_fractions() -> None:
    if hasattr(fractions, "_hash_algorithm"):
        setattr(fractions, "_hash_algorithm", on_plain(getattr(fractions, "_hash_algorithm")))  # noqa: B009, B010  # a private name


@functools.cache
def _settle_text() -> None:
    _settle_re()
    munged: Any = getattr(textwrap.TextWrapper, "_munge_whitespace")  # noqa: B009  # a private name

    def munge(self: textwrap.TextWrapper, text: Any) -> str:
        if not isinstance(text, str):  # it would be shown the table of spaces
            message = f"textwrap needs a str, not {type(text).__name__}"
            raise TypeError(message)
        return munged(self, plain(text))

    setattr(textwrap.TextWrapper, "_munge_whitespace", munge)  # noqa: B010  # a private name


@functools.cache
def _settle_addresses() -> None:
    split: Any = urllib.parse.urlsplit
    split_anew: Any = getattr(split, "__wrapped__", split)
    split_plain: Any = functools.wraps(split_anew)(on_plain(split_anew))
    split_plain.cache_clear = split_plain.cache_info = lambda: None  # as `clear_cache` expects
    setattr(urllib.parse, "urlsplit", split_plain)  # noqa: B010 - a cache asks its keys
    for name in ("quote_from_bytes", "unquote_to_bytes"):  # others call these with own results
        setattr(urllib.parse, name, on_plain(getattr(urllib.parse, name)))


@functools.cache
def _settle_fields() -> None:
    """Give each field a table of metadata from the start; the library's empty one is for all."""
    begin = dataclasses.Field.__init__

    def begin_apart(self: Any, *args: Any, **named: Any) -> None:
        begin(self, *args, **named)
        if not self.metadata:
            self.metadata = types.MappingProxyType({})

    setattr(dataclasses.Field, "__init__", begin_apart)  # noqa: B010  # a class of the library


_SETTLERS: dict[str, Callable[[], None]] = {
    "re": _settle_re,
    "string": _settle_re,
    "textwrap": _settle_text,
    "urllib.parse": _settle_addresses,
    "dataclasses": _settle_fields,
    "time": _settle_time,
    "datetime": _settle_time,
    "fractions": _settle_fractions,
}
