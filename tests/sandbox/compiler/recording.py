"""Gives objects that record what they are handed to every library function a plugin can call."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# Why: objects of any type are handed over.

import gc
import sys
import types
import warnings
from collections import deque
from collections.abc import Iterator
from functools import cache
from typing import Any

from host.sandbox.compiler import CompiledPlugin, Namespace, allowed_modules, compile_plugin
from host.sandbox.compiler.catalog import preload
from tests.sandbox.compiler.calling import judged
from tests.sandbox.compiler.reach import Reached, reached_outside
from tests.sandbox.compiler.shared_state import library_modules

SHOWN = "a table of the library"
KEPT = "keeps an object of a plugin"
_MUTABLE = (dict, list, set, bytearray, deque)
_UNUSED = ("typing", "collections.abc", "urllib", "numbers", "abc")
"""They have nothing to call but classes that take no arguments."""

ENDLESS = {
    "hashlib": "scrypt pbkdf2_hmac",
    "itertools": "count cycle repeat product",
    "math": "factorial comb perm",
    "operator": "pow ipow lshift ilshift",
    "random": "randbytes getrandbits",
}
"""Names that a number which lies keeps busy; what they are handed is a number of C."""

_METHODS = """
    append copy count decode encode endswith expandtabs extend find format get index insert items
    join keys lower lstrip partition pop replace rstrip setdefault sort split splitlines startswith
    strip translate update upper values"""
_OPERATORS = "add radd mul rmul or ror and rand sub rsub mod rmod"
_STAYING = {"expandtabs", "join", "lower", "replace", "strip", "translate", "upper"}
"""Methods whose result is again one that records, so that what is done with it is seen."""
_TURNING = {"encode": "Bytes", "decode": "Str"}
_ITEMS = {str: "Str('~')", bytes: "Int(126)"}
"""What iterating gives, whatever the value really holds."""

ANY = """
class Anything:
    def __getattr__(self, name):
        return lambda *given, **named: hear(*given, *named.values()) or self
    def __iter__(self): return iter([self])
    def __len__(self): return 2
    def __str__(self): return Str("a b")
    def __repr__(self): return Str("a b")
    def __format__(self, how): return hear(how) or Str("a b")
    def __bytes__(self): return Bytes(b"a b")
    def __hash__(self): return hash("x")
    def __eq__(self, other): return hear(other) or True
    def __lt__(self, other): return hear(other) or True
    def __index__(self): return 3
    def __contains__(self, other): return hear(other) or True
    def __call__(self, *given, **named): return hear(*given, *named.values()) or self
    def __getitem__(self, index): return hear(index) or (self if index == 0 else 1)
    def __get__(self, target, kind=None): return hear(target) or self
    def __enter__(self): return self
    def __exit__(self, *details): hear(*details)
    def __setitem__(self, key, value): hear(key, value)
"""


def _operators() -> str:
    return "".join(
        f"    def __{name}__(self, other): return hear(other) or self\n"
        for name in _OPERATORS.split()
    )


def _recording(base: type) -> str:
    """Return a class of the plugin's own, of a built-in one, that tells all it is given."""
    name = base.__name__.title()
    lines = [f"class {name}({base.__name__}):"]
    for method in _METHODS.split():
        if not hasattr(base, method):
            continue
        found = f"super().{method}(*given, **named)"
        made = name if method in _STAYING else _TURNING.get(method, "")
        lines += [
            f"    def {method}(self, *given, **named):",
            "        hear(*given, *named.values())",
            f"        try: return {made}({found})",
            "        except Exception: return self",
        ]
    lines += [
        "    def __hash__(self): return 5",
        "    def __eq__(self, other): return hear(other) or True",
    ]
    if hasattr(base, "__getitem__"):
        lines += [
            f"    def __iter__(self): return iter([{_ITEMS.get(base, 'Anything()')}])",
            "    def __getitem__(self, index):",
            "        hear(index)",
            "        return super().__getitem__(index)",
            "    def __contains__(self, other): return hear(other) or False",
        ]
    return "\n".join(lines) + "\n" + _operators()


RUN = """
import copy
import string
OWN = (Anything, Str, Bytes, Int, List, Dict)
PLAIN = (str, int, float, complex, bytes, tuple, list, dict, set, frozenset)
MADE_OFTEN = ("type", "generator", "function", "NoneType")
def values():
    return [Anything(), Str("a b"), Bytes(b"a b"), List([1, Anything()]), Dict(a=1), Int(2),
            [Str("k")], {Str("k"): Anything()}, 3]
def rows():
    one = values()
    first = one[:4] + one[5:6]
    yield ()
    yield from ((value,) for value in one)
    yield from ((left, right) for left in first for right in first)
    yield (one[0], one[1], one[0])
    yield (one[1], one[1], one[1])
    yield (one[1], one[0], one[0], one[0])
def used(label, function, deeper):
    begin(label)
    for given in rows():
        try:
            result = function(*given)
        except Exception:
            continue
        hear(result)
        if deeper and not isinstance(result, OWN + PLAIN) and (
            type(result).__name__ not in MADE_OFTEN
        ):
            methods_used(label, result)
            begin(label)
def methods_used(label, result):
    for name in dir(result):
        if name in ("send", "throw"):
            continue
        try:
            method = getattr(result, name)
        except Exception:
            continue
        if callable(method):
            used(label + "()." + name, method, False)
def extended(kind):
    class Own(kind):
        def __getattr__(self, name):
            return Anything()
    return Own
def filled(kind, given, value):
    made = kind(*given)
    for name in list(getattr(made, "__dict__", ())):
        setattr(made, name, value)
    return made
def extension_used(label, kind):
    begin(label)
    kind = extended(kind)
    one = values()
    for value in one[:5]:
        for given in ((), (one[0],), (one[1],), (one[1], one[1])):
            try:
                made = filled(kind, given, value)
            except Exception:
                continue
            for ask in (str, hash, iter, len, copy.deepcopy, lambda own: own == own):
                attempted(ask, made)
            for name in dir(kind):
                begin(label + "." + name)
                attempted(lambda: getattr(made, name)())
                for given in one[:5]:
                    attempted(lambda: getattr(made, name)(given))
def attempted(function, *given):
    try:
        hear(function(*given))
    except Exception:
        pass
def template_of(value):
    class Own(string.Template):
        delimiter = value
    return Own("~a").safe_substitute(a=1)
def use_all():
    for value in values():
        begin("string.Template")
        attempted(template_of, value)
    for module, names in NAMES.items():
        for name in names:
            found = getattr(MODULES[module], name, None)
            if callable(found):
                used(module + "." + name, found, True)
            if isinstance(found, type):
                attempted(extension_used, "extension of " + module + "." + name, found)
"""


@cache
def _compiled(modules: tuple[str, ...]) -> CompiledPlugin:
    imports = "".join(f"import {name} as m{index}\n" for index, name in enumerate(modules))
    bound = ", ".join(f"{name!r}: m{index}" for index, name in enumerate(modules))
    names = {
        name: sorted(set(allowed_modules()[name]) - set(ENDLESS.get(name, "").split()))
        for name in modules
    }
    kinds = "".join(map(_recording, (str, bytes, int, list, dict)))
    source = f"{imports}MODULES = {{{bound}}}\nNAMES = {names!r}\n{ANY}{_operators()}{kinds}{RUN}"
    return compile_plugin(source, name="recording")


class _Recorder:
    """What the plugin's objects tell to; keeps one of each kind for each function."""

    def __init__(self) -> None:
        self._before = dict(containers())
        self._label = ""
        self.kept: dict[tuple[str, type, int], Any] = {}
        self.shared: set[Reached] = set()

    def begin(self, label: str) -> None:
        self._label = label

    def hear(self, *values: Any) -> None:
        for value in values:
            if id(value) in self._before:
                self.shared.add(Reached(self._label, SHOWN))
            elif not isinstance(value, (str, bytes, int, float, complex, type(None))):
                key = (self._label, type(value), len(value) if type(value) is tuple else 0)
                self.kept.setdefault(key, value)


def handed_over(modules: list[str] | None = None) -> list[Reached]:
    """Return what library functions hand to a plugin's objects, or return, and must not.

    That is what lies outside the allowed set, and each table that was the library's before.

    Args:
        modules: Those whose functions are called; all when None.
    """
    preload()
    chosen = modules or [name for name in allowed_modules() if name not in _UNUSED]
    compiled = _compiled(tuple(chosen))
    recorder = _Recorder()
    given = {"begin": recorder.begin, "hear": recorder.hear}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is outdated; it is called all the same
        namespace = compiled.load(extra_builtins=given)
        namespace.context.run(namespace["use_all"])
        found = [*_sorted(recorder.shared), *_outside(recorder, namespace, list(given.values()))]
        for value in recorder.kept.values():
            if isinstance(value, types.CoroutineType):
                value.close()  # here, where nobody is warned that it was not awaited
        return found


def _outside(recorder: _Recorder, namespace: Namespace, given: list[Any]) -> list[Reached]:
    tables = dict(containers())
    kept = recorder.kept.items()
    found = [Reached(label, SHOWN) for (label, _, _), value in kept if id(value) in tables]
    own = namespace["OWN"]
    found += [
        Reached(home, KEPT)
        for home, table in tables.values()
        for item in gc.get_referents(table)
        if type(item) in own
    ]
    for (label, _, _), value in kept:
        found += judged(label, [value], namespace)
    return found + reached_outside(namespace, list(recorder.kept.values()), given)


def _sorted(found: set[Reached]) -> list[Reached]:
    return sorted(found, key=lambda one: (one.path, one.what))


def containers() -> Iterator[tuple[int, tuple[str, Any]]]:
    """Yield what the library keeps and could change: its tables by identity, each with its home.

    Found by the references that the collector knows, from the allowed modules and from what they
    import of the library; of other modules nothing is followed.
    """
    modules = library_modules()
    seen = {id(vars(module)) for module in [*sys.modules.values()] if _has_names(module)}
    for name, module in modules.items():
        todo = deque(vars(module).values())
        while todo:
            value = todo.popleft()
            if id(value) in seen or isinstance(value, (types.ModuleType, str, bytes, int)):
                continue
            seen.add(id(value))
            if isinstance(value, _MUTABLE):
                yield id(value), (name, value)
            todo.extend(gc.get_referents(value))


def _has_names(module: Any) -> bool:
    return isinstance(module, types.ModuleType)
