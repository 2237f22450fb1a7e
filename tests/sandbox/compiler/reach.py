"""Walks everything a plugin can reach, and names what it should not have reached."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportPrivateUsage=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false, reportImplicitOverride=false
# pyright: reportMissingImports=false, reportUnnecessaryComparison=false
# pyright: reportIncompatibleVariableOverride=false, reportIncompatibleMethodOverride=false
# Why: guards and facades take and give objects of any type.

import builtins
import io
import types
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from host.sandbox.compiler import Namespace, allowed_modules, compile_plugin
from host.sandbox.compiler.builtin import builtin_names
from host.sandbox.compiler.kinds import PluginType, visible
from host.sandbox.compiler.names import METHODS

_INSIDES = (
    types.ModuleType,
    types.FrameType,
    types.CodeType,
    types.TracebackType,
    types.CellType,
    io.IOBase,
)
_EXPORTED = {name for names in allowed_modules().values() for name in names}
_ROOTS = {module.partition(".")[0] for module in allowed_modules()} | {
    "_collections_abc",
    "sandbox",
}
_C_MODULES = _ROOTS | {f"_{module}" for module in _ROOTS} | {
    "builtins", None, "_hashlib", "_blake2", "_sre", "_operator", "binascii", "_md5", "_sha1",
    "_sha2", "_sha3", "_sha256", "_sha512", "_bisect", "_heapq", "_random", "_abc",
}  # fmt: skip
_METHODS_APART = ("__hash_new", "global_enum_repr", "global_flag_repr", "global_str")
LIMIT = 20_000


@dataclass(frozen=True)
class Reached:
    """Something outside the allowed set, and the way to it."""

    path: str
    what: str


def outside(  # noqa: PLR0911  # one answer a kind
    value: Any, names: Mapping[str, Any] | None
) -> str | None:
    """Return why a value lies outside the allowed set, or None.

    Args:
        value: What was reached.
        names: The plugin's globals; None when the code ran in plain CPython.
    """
    if isinstance(value, _INSIDES):
        return type(value).__name__
    if isinstance(value, type):
        return _class_outside(value)
    if isinstance(value, dict) and _is_namespace(value):
        return "a namespace of the interpreter"
    if isinstance(value, types.FunctionType):
        return _function_outside(value, names)
    if isinstance(value, types.MethodType):
        held = value.__func__
        if not isinstance(held, types.FunctionType) or _is_written_by_dataclass(held):
            return None
        return _function_outside(held, names)
    if isinstance(value, types.BuiltinFunctionType):
        return _builtin_outside(value)
    module = type(value).__module__
    if (
        module.startswith("host.sandbox.compiler")
        and not module.endswith(
            (
                ".enums",
                "facades.chain_map",
                "facades.made_collections",
                "facades.made_functools",
                "facades.cached",
                "facades.made_contextlib",
                "facades.made_json",
                "facades.made_string",
                "facades.user_classes",
            )
        )
        and type(value).__name__ not in ("Facade", "AbstractKind")
    ):
        return f"a {type(value).__name__} of the sandbox"
    return None


def _is_namespace(value: dict[Any, Any]) -> bool:
    inside = isinstance(dict.get(value, "__builtins__"), (dict, types.ModuleType))
    return (
        inside
        or dict.get(value, "len") is len
        or hasattr(dict.get(value, "__loader__"), "load_module")
    )


def _class_outside(value: type) -> str | None:
    if value is PluginType:
        return None
    return None if visible(value) is value else f"class {value.__module__}.{value.__qualname__}"


def _function_outside(  # noqa: PLR0911  # one answer a home
    value: types.FunctionType, names: Mapping[str, Any] | None
) -> str | None:
    if names is not None and value.__globals__ is names:
        return None
    home = str(value.__globals__.get("__name__"))
    if names is None and home in ("attempt", "__main__"):
        return None
    qualname = value.__code__.co_qualname
    first = qualname.partition(".")[0]
    if home.startswith("host.sandbox.compiler"):
        return None if _is_handed_out(value, home) else f"function {home}.{value.__qualname__}"
    if home.startswith("namedtuple_") or home in ("builtins", "__create_fn__", "None"):
        return None
    root = home.partition(".")[0]
    if root in _ROOTS and (first in _EXPORTED or "<locals>" in qualname):
        return None
    if root in _ROOTS and (_is_method_of_base(value) or value.__name__ in _METHODS_APART):
        return None
    return f"function {home}.{value.__qualname__}"


def _is_written_by_dataclass(value: types.FunctionType) -> bool:
    return str(value.__globals__.get("__name__")).startswith("plugin:") and (
        value.__code__.co_filename == "<string>"
    )


def _is_handed_out(value: types.FunctionType, home: str) -> bool:
    """Wrappers that facades and builtins give to plugins, all of them closures or facade
    members."""
    parts = ("<locals>" in value.__code__.co_qualname, ".facades." in home, home.endswith(".enums"))
    return any(parts) or value.__name__ in ("_item", "__dir__", "__call__", "__repr__")


def _is_method_of_base(value: types.FunctionType) -> bool:
    """Methods of the private bases of exported classes, such as urllib.parse's result mixins."""
    name = value.__name__
    return "." in value.__qualname__ and (not name.startswith("_") or name in METHODS)


def _builtin_outside(value: types.BuiltinFunctionType) -> str | None:
    owner = value.__self__
    if isinstance(owner, types.ModuleType):
        if owner is builtins:
            known = value.__name__ in builtin_names() and value.__name__ not in _GUARDED
            return None if known else f"builtin {value.__name__}"
        return None if owner.__name__ in _C_MODULES else f"{owner.__name__}.{value.__name__}"
    return None


_GUARDED = ("getattr", "hasattr", "setattr", "delattr", "vars", "dir", "print")


def reached_outside(
    namespace: Namespace, extra: list[Any] | None = None, given: Iterable[Any] = ()
) -> list[Reached]:
    """Return what lies outside the allowed set and can be reached by reading alone.

    Follows every attribute that the guards give out, every item of every container, and the roots
    that the plugin left or handed over; calls nothing.

    Args:
        namespace: The plugin's.
        extra: What it handed over.
        given: What the test gave it besides.
    """
    known = {**_library(), **{id(item): item for item in given}}
    return walk(namespace, extra or [], known)[0]


def walk(
    namespace: Namespace, extra: list[Any], known: Mapping[int, Any]
) -> tuple[list[Reached], dict[int, Any]]:
    """Return what was reached outside, and everything that was seen, but for what is known."""
    names = namespace._names
    read = names[".read"]
    roots = [(key, value) for key, value in namespace.items()]
    roots += [(f"stolen[{index}]", value) for index, value in enumerate(extra)]
    roots += [
        (key, value) for key, value in names["__builtins__"].items() if not key.startswith("__")
    ]
    found: list[Reached] = []
    seen: dict[int, Any] = dict(known)
    todo = deque(roots)
    while todo and len(seen) < LIMIT:
        path, value = todo.popleft()
        if id(value) in seen or isinstance(value, (str, bytes, int, float, complex)):
            continue
        seen[id(value)] = value
        reason = outside(value, names)
        if reason is not None:
            found.append(Reached(path, reason))
            continue
        todo.extend(_edges(path, value, read))
    return found, seen


@cache
def _library() -> dict[int, Any]:
    """Return the classes and functions that every plugin can import, found clean once."""
    source = "".join(
        f"import {module} as m{index}\n" for index, module in enumerate(allowed_modules())
    )
    namespace = compile_plugin(source, name="library").load()
    found, seen = walk(namespace, [], {})
    assert not found, found
    return {key: item for key, item in seen.items() if isinstance(item, (type, types.FunctionType))}


def _edges(path: str, value: Any, read: Any) -> Iterator[tuple[str, Any]]:
    for name in _attributes(value):
        try:
            yield f"{path}.{name}", read(value, name)
        except Exception:  # noqa: BLE001, S112  # a plugin's property may raise anything
            continue
    if type(value) in (list, tuple, set, frozenset, deque):
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(list(value)))
    elif type(value) is dict or isinstance(value, types.MappingProxyType):
        for number, (key, item) in enumerate(_items(value)):
            shown = repr(key)[:40] if type(key) is str else number
            yield f"{path}.key({shown})", key
            yield f"{path}[{shown}]", item


def _items(value: Any) -> list[tuple[Any, Any]]:
    try:
        found = list(value.items())
    except Exception:  # noqa: BLE001  # a view asks what it is a view of
        return []
    return [pair for pair in found if type(pair) is tuple and len(pair) == 2]


_LEAVES = (
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
)
"""Made anew by each read, so a walk through them would not end; judged, but not walked."""


def _attributes(value: Any) -> list[str]:
    if isinstance(value, _LEAVES):
        return []
    try:
        names = type.__dir__(value) if isinstance(value, type) else object.__dir__(value)
    except Exception:  # noqa: BLE001  # a plugin's object may raise anything
        return []
    return [name for name in names if name not in METHODS or isinstance(value, type)]


def mutable_shared(namespace: Namespace) -> list[Reached]:
    """Return containers that a fresh plugin can reach and change: they would join two plugins."""
    names = namespace._names
    read = names[".read"]
    found: list[Reached] = []
    seen: dict[int, Any] = {}
    todo = deque(namespace.items())
    while todo and len(seen) < LIMIT:
        path, value = todo.popleft()
        if id(value) in seen or isinstance(value, (str, bytes, int, float, complex)):
            continue
        seen[id(value)] = value
        if isinstance(value, (list, dict, set, bytearray, deque)):
            found.append(Reached(path, f"shared {type(value).__name__}"))
        todo.extend(_edges(path, value, read))
    return found
