"""Uses what a plugin can reach, in the ways a plugin can; the reach walk alone calls nothing."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false
# Why: guards and facades take and give objects of any type.

import builtins
import enum
import re
import types
import uuid
from functools import cache
from typing import Any

from host.sandbox.compiler import allowed_modules, compile_plugin
from tests.sandbox.compiler.reach import Reached, outside, reached_outside, walk

EVERYTHING = "".join(
    f"import {module} as m{index}\n" for index, module in enumerate(allowed_modules())
)
USES = """
import contextlib
from abc import ABC
from collections import namedtuple
from collections.abc import Generator
from functools import partialmethod
from re import RegexFlag
from typing import NamedTuple
class Tap:
    def __eq__(self, other):
        told.append(other)
        try:
            other["tapped"] = 1
        except Exception:
            pass
        return False
    def __hash__(self):
        return 1
    def __ror__(self, other):
        told.append(other)
        return 1
told = []
class K:
    pass
class P(property):
    pass
def harmless(*_):
    return 0
def attempted(function, *args):
    try:
        told.append(function(*args))
    except Exception:
        pass
def use(value, names):
    for name in names:
        try:
            setattr(K, name, [0, K])
        except Exception:
            pass
    attempted(lambda: value == Tap())
    attempted(lambda: value | Tap())
    for hold in (classmethod, partialmethod):
        try:
            K.held = hold(value)
        except TypeError:
            continue
        attempted(lambda: K.held)
        attempted(lambda: K().held)
    attempted(lambda: P.__get__(value, K, None))
    attempted(lambda: P.__set_name__(value, K, "x"))
    attempted(lambda: P.__init__(value, harmless))
    found, told[:] = list(told), []
    return found
def extended(kind):
    class Own(kind):
        pass
    return Own
def partials():
    try:
        class Own(partialmethod):
            pass
    except TypeError:
        return []
    from collections import ChainMap
    K.maps = [0, K]
    return [Own.__get__(Own(ChainMap.parents), K, None).func]
def formats():
    class S(str):
        format = format_map = Tap()
    attempted(lambda: S("x").format)
    attempted(lambda: S("x").format_map)
    found, told[:] = list(told), []
    return found
def fields():
    class Q(namedtuple("R", "gi_frame"), ABC):
        pass
    class N(NamedTuple("M", [("gi_frame", int)]), ABC):
        pass
    Q.register(Generator)
    N.register(Generator)
    def matched(kind, x):
        match x:
            case kind.Q(frame):
                return frame
        return None
    def g():
        yield 1
    class Both:
        pass
    for kind in (Q, N):
        Both.Q = kind
        attempted(lambda: matched(Both, g()))
    found, told[:] = list(told), []
    return found
def wrapped():
    from contextlib import contextmanager
    from functools import lru_cache
    @contextmanager
    def managed():
        yield
    def name_of(value):
        return lambda: value.IGNORECASE
    for made in (lru_cache(RegexFlag), managed()(RegexFlag)):
        attempted(name_of(made))
    found, told[:] = list(told), []
    return found
def left():
    class Left:
        def __enter__(self):
            return self
        def __exit__(self, *details):
            told.append(details[2])
            return True
    with Left():
        1 / 0
    found, told[:] = list(told), []
    return found
def managed():
    class Shown(Exception):
        def __setattr__(self, name, value):
            told.append(value)
    class Steps:
        def __iter__(self):
            return self
        def __aiter__(self):
            return self
        def __next__(self):
            return self
        async def __anext__(self):
            return self
        def throw(self, *details):
            told.extend(details)
            raise StopIteration
        async def athrow(self, *details):
            told.extend(details)
            raise StopAsyncIteration
    def relayed():
        yield from Steps()
    def plain():
        yield
    async def later():
        yield
    class Leaving(list):
        def append(self, leave):
            told.append(leave)
            list.append(self, leave)
        def pop(self, *_):
            list.pop(self)
            return lambda *details: told.extend(details)
    class Stack(contextlib.ExitStack):
        def __init__(self):
            self._leaving = self._exit_callbacks = self.leaving = Leaving()
    class AsyncStack(contextlib.AsyncExitStack):
        def __init__(self):
            self._leaving = self._exit_callbacks = self.leaving = Leaving()
    def within(manager):
        with manager as entered:
            if isinstance(entered, contextlib.ExitStack):
                entered.push(lambda *details: told.extend(details))
                entered.enter_context(contextlib.contextmanager(plain)())
            raise Shown("x")
    async def within_async(manager):
        async with manager as entered:
            if isinstance(entered, contextlib.AsyncExitStack):
                entered.push(lambda *details: told.extend(details))
                await entered.enter_async_context(contextlib.asynccontextmanager(later)())
            raise Shown("x")
    for source in (Steps, relayed, plain):
        attempted(within, contextlib.contextmanager(source)())
    for source in (Steps, later):
        attempted(lambda: within_async(contextlib.asynccontextmanager(source)()).send(None))
    for stack in (Stack, contextlib.ExitStack):
        attempted(within, stack())
    for stack in (AsyncStack, contextlib.AsyncExitStack):
        attempted(lambda: within_async(stack()).send(None))
    found, told[:] = list(told), []
    return found
def failed():
    class Failure(AttributeError):
        def __setattr__(self, name, value):
            told.append(value)
    class Failing(property):
        @property
        def total(self):
            raise Failure("x")
    def add(target):
        target.total += 1
    attempted(add, Failing())
    found, told[:] = list(told), []
    return found
"""


def got_by_calling() -> list[Reached]:
    """Return what lies outside the allowed set and is got by using what can be reached."""
    everything = compile_plugin(EVERYTHING, name="all").load()
    _, seen = walk(everything, [], {})
    namespace = compile_plugin(USES, name="uses").load()
    found: list[Reached] = []
    for label in ("formats", "fields", "partials", "wrapped", "left", "managed", "failed"):
        found += judged(label, namespace[label](), namespace)
    for value in list(seen.values()):
        if isinstance(value, (property, types.MappingProxyType, type)):
            results = namespace["use"](value, _names_of(value))
            found += judged(f"{value!r:.60}", results, namespace)
    found += reached_outside(namespace)
    return found


def _names_of(value: Any) -> list[str]:
    """Return the attributes that a property reads; its object is given all of them."""
    code = getattr(getattr(value, "fget", None), "__code__", None)
    names = [] if code is None else list(code.co_names)
    return [name for name in names if not name.startswith("__")]


@cache
def _members_of_flags() -> set[int]:
    """Return the descriptors by which a library's enumerations hand out members."""
    kinds = (re.RegexFlag, uuid.SafeUUID)
    return {
        id(item) for kind in kinds for item in vars(kind).values() if type(item) is enum.property
    }


def judged(label: str, results: list[Any], namespace: Any) -> list[Reached]:
    names = namespace._names
    found: list[Reached] = []
    for result in results:
        what = outside(result, names)
        if type(result) in (types.MethodDescriptorType, types.BuiltinFunctionType):
            raw = result.__name__ in ("format", "format_map") and result is not builtins.format
            what = what or ("a raw format" if raw else None)
        if id(result) in _members_of_flags():
            what = "a descriptor of all plugins"
        if what is not None:
            found.append(Reached(label, what))
    return found
