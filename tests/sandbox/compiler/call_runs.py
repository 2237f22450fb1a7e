"""Runs written statements as a plugin and in plain CPython, and tells what became of each."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportPrivateUsage=false
# Why: guards and facades take and give objects of any type.

import contextvars
import re
import sys
import types
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from host.domain.errors import PluginRejectedError
from host.sandbox.compiler import CompiledPlugin, Namespace, compile_plugin, guards
from host.sandbox.compiler.guards import Guards
from host.sandbox.compiler.names import METHODS, kind_of_read
from tests.sandbox.compiler.call_words import ENDLESS, SHORT, UNEQUAL
from tests.sandbox.compiler.calling import judged
from tests.sandbox.compiler.reach import Reached, reached_outside

_QUIET = "init new getattr setattr delattr init_subclass class_getitem set_name repr str hash len"
_TOLD = sorted(METHODS - {f"__{word}__" for word in _QUIET.split()})
_ANSWERS = {"__iter__": "iter(())", "__bool__": "True", "__index__": "1", "__int__": "1"} | {
    "__float__": "1.0", "__eq__": "False", "__ne__": "True", "__contains__": "True",
    "__exit__": "True", "__length_hint__": "1", "__format__": "'t'", "__complex__": "1j",
    "__bytes__": "b't'", "__dir__": "['x']", "__next__": "tell(1)", "__anext__": "self",
}  # fmt: skip
_PLAIN = "throw send athrow close append update keys get write push format default tzname utcoffset"
TAP = "class Tap:\n" + "".join(
    f"    def {name}(self, *a, **k):\n        tell(*a)\n"
    f"        return {_ANSWERS.get(name, 'self')}\n"
    for name in [*_TOLD, *_PLAIN.split()]
)
IMPORTS = "".join(f"import {module} as {short}\n" for module, short in SHORT.items())
HEADER = f"""{IMPORTS}
told = []
v0 = v1 = v2 = v3 = v4 = None
def tell(*found):
    spend()
    if len(told) < 300:
        told.extend(found)
    return found[0] if found else None
{TAP}
class Told(Exception):
    def __setattr__(self, name, value):
        tell(name, value)
class Lost(AttributeError):
    def __setattr__(self, name, value):
        tell(name, value)
class K0:
    pass
class K1(Exception):
    pass
class K2(list):
    pass
def at(value, number):
    return getattr(value, pick(value, number))
def few(found):
    for item, _ in zip(found, range(5)):
        spend()
        yield item
def steps():
    got = yield 1
    tell(got)
async def later():
    yield 1
def given(*found, **named):
    tell(*found, *named.values())
    return found[0]
def drive(coroutine):
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
async def within(manager, error):
    async with manager as entered:
        tell(entered)
        raise error
def named_tuple(name):
    return m_typing.NamedTuple("M", [(name, int)])
"""
_MOST = 2_000
_LONG = 50
_LISTS = (str, bytes, list, tuple, dict, set, frozenset, bytearray)


class Spent(BaseException):
    """A program called its own functions more often than any that ends."""


@dataclass
class Outcome:
    """What became of one statement."""

    how: str
    """`rejected`, `refused` by a guard or facade, `ok`, or the name of an exception."""
    values: list[str] = field(default_factory=list)
    """The program's variables after it, as far as they are plain data."""


@dataclass
class Played:
    """A program that was run."""

    outcomes: list[Outcome]
    picked: list[str]
    hidden: int
    """How often a guard refused, seen or swallowed by library code."""
    found: list[Reached] = field(default_factory=list)


class _Given:
    """The functions that a program has besides Python's."""

    def __init__(self, names: list[str] | None = None) -> None:
        self.picked: list[str] = []
        self._replay = iter(names) if names is not None else None
        self._left = _MOST
        self.all = {name: getattr(self, f"_{name}") for name in ("spend", "pick", "needs", "small")}

    def stop(self) -> None:
        """Let everything run from here on, whatever it was."""
        self._left = 10**9

    def _spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Spent

    def _pick(self, value: Any, number: int) -> str:
        self._spend()
        found = next(self._replay, "") if self._replay else _named(value, number)
        self.picked.append(found)
        return found

    def _needs(self, value: Any) -> list[str]:
        code = getattr(getattr(value, "fget", None), "__code__", None)
        return [name for name in (code.co_names if code else ()) if not name.startswith("__")]

    def _small(self, value: Any) -> Any:
        if type(value) is int:
            return value % 30
        if type(value) in _LISTS and len(value) > _LONG:
            return None
        return value


def _named(value: Any, number: int) -> str:
    listed = type.__dir__(value) if isinstance(value, type) else object.__dir__(value)
    names = sorted(
        name
        for name in set(listed)
        if name.strip("_") not in ENDLESS
        and name.strip("_") not in ("rmul", "rpow", "rlshift", "zfill")
        and kind_of_read(name) != "refused"
    )
    return names[number % len(names)] if names else "x"


def in_the_sandbox(statements: list[str]) -> Played:
    """Run statements as one plugin; judge what it holds and was told."""
    given = _Given()
    namespace = _header().load(extra_builtins=given.all)
    outcomes: list[Outcome] = []
    with _refusals() as count:
        for statement in statements:
            run = partial(_as_plugin, statement, namespace)
            outcomes.append(_ran(run, namespace._names))
            if outcomes[-1].how == "Spent":
                break
    given.stop()
    told = list(namespace["told"])
    found = judged("told", told, namespace) + judged("left", [*namespace.values()], namespace)
    found = [one for one in found if not one.what.startswith(f"function {__name__}")]
    found += reached_outside(namespace, told, given.all.values())
    return Played(outcomes, given.picked, count[0], found)


@cache
def _header() -> CompiledPlugin:
    return compile_plugin(HEADER, name="fuzz")


def _as_plugin(statement: str, namespace: Namespace) -> None:
    namespace.run(compile_plugin(statement, name="fuzz").code)


_APART = ("positional sub-pattern", "_exit_callbacks")
"""Patterns by position end before names that they may not read; a stack needs no `__init__`."""


def _said(error: BaseException) -> str:
    given = BaseException.__dict__["args"].__get__(error)
    return " ".join(item for item in given if type(item) is str)


def _ran(run: Callable[[], object], names: dict[str, Any]) -> Outcome:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run()
    except PluginRejectedError:
        return Outcome("rejected")
    except BaseException as error:  # noqa: BLE001 - programs raise anything
        last = error.__traceback__
        while last is not None and last.tb_next is not None:
            last = last.tb_next
        where = last.tb_frame.f_code.co_filename if last is not None else ""
        if "host/sandbox/compiler" in where or any(text in _said(error) for text in _APART):
            return Outcome("refused")
        return Outcome(type(error).__name__, _values(names))
    return Outcome("ok", _values(names))


@contextmanager
def _refusals() -> Generator[list[int]]:
    """Count what the guards refuse."""
    count = [0]
    refuse, check = guards.refuse, Guards._check_write

    def counted(value: Any, name: str) -> Any:
        count[0] += 1
        return refuse(value, name)

    def checked(self: Guards, target: Any, name: Any) -> None:
        try:
            check(self, target, name)
        except Exception:
            count[0] += 1
            raise

    guards.refuse, Guards._check_write = counted, checked
    try:
        yield count
    finally:
        guards.refuse, Guards._check_write = refuse, check


def in_plain_python(statements: list[str], picked: list[str]) -> list[Outcome]:
    """Run statements in CPython, with the attributes picked that the plugin picked."""
    given = _Given(picked)
    names: dict[str, Any] = {"__name__": "plugin:fuzz", **given.all}
    sys.modules.setdefault("plugin:fuzz", types.ModuleType("plugin:fuzz"))
    context = contextvars.Context()
    context.run(exec, _plain_header(), names)
    outcomes = [_ran(partial(_in, context, statement, names), names) for statement in statements]
    given.stop()
    return outcomes


@cache
def _plain_header() -> types.CodeType:
    return compile(HEADER, "header", "exec", dont_inherit=True)


def _in(context: contextvars.Context, statement: str, names: dict[str, Any]) -> None:
    context.run(_execute, statement, names)


def _execute(statement: str, names: dict[str, Any]) -> None:
    exec(compile(statement, "statement", "exec", dont_inherit=True), names)  # noqa: S102


_COPYING = re.compile(r"@m_(contextlib|functools)[^\n]*\nclass ")
"""Decorators copy nothing from classes, so what is made of a class has other attributes here."""


def kept(statements: list[str], played: Played) -> list[str]:
    """Return the statements that were neither rejected nor refused."""
    pairs = zip(statements, played.outcomes, strict=False)
    return [
        statement
        for statement, outcome in pairs
        if outcome.how not in (*REFUSALS, "Spent") and not _COPYING.search(statement)
    ]


REFUSALS = ("rejected", "refused", "AttributeError", "TypeError")
"""How guards and facades say no; library code may take it for an answer."""


def may_be_compared(statements: list[str], picked: list[str]) -> bool:
    """Return whether a program answers the same whenever it is run."""
    text = "\n".join([*statements, *picked])
    return not any(word in text for word in UNEQUAL)


def _values(names: dict[str, Any]) -> list[str]:
    return [_shown(names.get(f"v{number}")) for number in range(5)]


def _shown(value: Any, depth: int = 0) -> str:
    """Return plain data as text, and of anything else whether it is there."""
    kind = type(value)
    if kind in (int, float, bool, bytes, complex, type(None)):
        return repr(value)
    if kind is str:
        return "text" if "<" in value or "0x" in value or "facade" in value else repr(value)
    if kind in (list, tuple) and depth < 3:
        return f"{kind.__name__}({', '.join(_shown(item, depth + 1) for item in value[:50])})"
    if kind is dict and depth < 3:
        items = list(value.items())[:50]
        return f"dict({[(_shown(a, depth + 1), _shown(b, depth + 1)) for a, b in items]})"
    return "an object"
