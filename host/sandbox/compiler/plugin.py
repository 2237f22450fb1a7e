"""Compiles a plugin's source and loads it; the worker's way into this package."""

import ast
import contextvars
import sys
import types
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from host.domain.errors import PluginRejectedError
from host.sandbox.compiler.annotations import annotations_of
from host.sandbox.compiler.builtin import builtins_for
from host.sandbox.compiler.facade import sealed
from host.sandbox.compiler.finding import Finding
from host.sandbox.compiler.guards import Guards
from host.sandbox.compiler.imports import expand_stars
from host.sandbox.compiler.kinds import PLUGIN_MODULE
from host.sandbox.compiler.library import Library
from host.sandbox.compiler.ownership import Ownership
from host.sandbox.compiler.policy import Policy
from host.sandbox.compiler.program import as_function
from host.sandbox.compiler.refusal import plain_keys
from host.sandbox.compiler.rewriting import (
    KEYS,
    LEAVE,
    MEMBER,
    MODULE,
    NEW,
    OWN,
    READ,
    SAFE,
    SEAL,
    TYPE,
)
from host.sandbox.compiler.traces import leaver_of_own

MAX_SOURCE = 1_000_000
"""Characters of source; a parser's memory grows with it."""


class Namespace(Mapping[str, Any]):
    """What a loaded plugin defined: its functions, classes and variables by name."""

    def __init__(self, names: dict[str, Any], guards: Guards, library: Library) -> None:
        self._names = names
        self._guards = guards
        self._library = library
        self.context = contextvars.Context()
        """Holds the plugin's decimal context; what runs the plugin's functions enters it."""

    @override
    def __getitem__(self, name: str) -> Any:
        if _is_internal(name):
            raise KeyError(name)
        return self._names[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return (name for name in list(self._names) if not _is_internal(name))

    @override
    def __len__(self) -> int:
        return sum(1 for _ in self)

    def become(self, name: str, modules: Mapping[str, Mapping[str, Any]]) -> None:
        """Give a blank namespace the name of its plugin, and what the plugin may import besides."""
        module = f"{PLUGIN_MODULE}{name}"
        sys.modules.setdefault(module, types.ModuleType(module))  # empty: dataclasses look for it
        self._names["__name__"] = self._guards.ownership.module = module
        self._library.generated = modules

    def run(self, code: types.CodeType) -> None:
        """Run compiled plugin source in this namespace."""
        self.context.run(exec, code, self._names)  # the policy has passed it

    def annotations(self, function: Any) -> dict[str, Any]:
        """Return a function's or class's annotations as values.

        Text annotations are compiled by the policy before they are evaluated; the library's
        `typing.get_type_hints` would evaluate them as they are.
        """
        return annotations_of(function, self._names)

    def describe(self, error: BaseException) -> str:
        """Return what went wrong, with the plugin's own lines and nobody else's."""
        kind, module = type(error).__name__, self._names["__name__"]
        lines: list[str] = []
        step = error.__traceback__
        while step is not None:
            if step.tb_frame.f_globals is self._names:
                lines.append(f"{module.removeprefix(PLUGIN_MODULE)}:{step.tb_lineno}")
            step = step.tb_next
        place = f" (at {', '.join(lines[-8:])})" if lines else ""
        return f"{kind}: {error}{place}"


def _is_internal(name: str) -> bool:
    return name.startswith((".", "__"))


@dataclass(frozen=True, slots=True)
class CompiledPlugin:
    """A plugin that passed the policy; it can be loaded any number of times."""

    name: str
    code: types.CodeType

    def load(
        self,
        *,
        host: object = None,
        extra_builtins: Mapping[str, Any] | None = None,
        modules: Mapping[str, Mapping[str, Any]] | None = None,
        output: Callable[[str], object] | None = None,
        into: Namespace | None = None,
    ) -> Namespace:
        """Run the module's body and return what it defined.

        Args:
            host: The plugin's only exit; its public attributes are all that the plugin sees of it.
            extra_builtins: Further built-in names, such as `tool`; a `print` here replaces ours.
            modules: Generated modules that the plugin may import, name to members.
            output: Called with each text that `print` writes; by default the text is dropped.
            into: A blank namespace to run in, which has `host`, built-ins and output already.
        """
        if into is None:
            into = blank_namespace(host=host, extra_builtins=extra_builtins, output=output)
        into.become(self.name, modules or {})
        into.run(self.code)
        return into

    def prepare(
        self,
        *,
        host: object = None,
        extra_builtins: Mapping[str, Any] | None = None,
        modules: Mapping[str, Mapping[str, Any]] | None = None,
        output: Callable[[str], object] | None = None,
    ) -> Namespace:
        """Return the namespace in which the module's body will run; takes what `load` takes."""
        namespace = blank_namespace(host=host, extra_builtins=extra_builtins, output=output)
        namespace.become(self.name, modules or {})
        return namespace


def blank_namespace(
    *,
    host: object = None,
    extra_builtins: Mapping[str, Any] | None = None,
    output: Callable[[str], object] | None = None,
) -> Namespace:
    """Return a namespace that has its guards and no plugin yet; takes what `load` takes."""
    names: dict[str, Any] = {}
    guards = Guards(Ownership(PLUGIN_MODULE, names))
    library = Library(guards, {})
    available = builtins_for(guards, output or _drop)
    available["host"] = sealed(host, "host")
    available.update({name: sealed(value, name) for name, value in (extra_builtins or {}).items()})
    names.update({"__builtins__": available, READ: guards.read, SEAL: guards.seal})
    names.update({OWN: guards.ownership.pure, SAFE: guards.ownership.safe, TYPE: type})
    names.update({MODULE: library.module, MEMBER: library.member, NEW: guards.maker_of_own})
    names.update({LEAVE: leaver_of_own, KEYS: plain_keys})
    return Namespace(names, guards, library)


def _drop(_: str) -> None:
    return None


def compile_plugin(
    source: str, *, name: str, modules: Collection[str] = (), entry: str | None = None
) -> CompiledPlugin:
    """Compile a plugin.

    Args:
        source: Its Python source.
        name: What tracebacks and messages call it.
        modules: Generated modules that will be given to `load`, such as `tools.github`.
        entry: The source is the body of a tool of this name, which may `return` and `await`, and
            returns its last expression; None for a module.

    Raises:
        PluginRejectedError: The source holds something that a plugin may not contain.
    """
    findings, code = _compiled(source, name, modules, entry)
    if code is None:
        raise PluginRejectedError(name, [str(finding) for finding in findings], findings=findings)
    return CompiledPlugin(name, code)


def check_plugin(source: str, *, name: str, modules: Collection[str] = ()) -> list[Finding]:
    """Return what a plugin may not contain, by line; nothing means that it compiles."""
    return _compiled(source, name, modules)[0]


def _compiled(
    source: str, name: str, modules: Collection[str], entry: str | None = None
) -> tuple[list[Finding], types.CodeType | None]:
    if len(source) > MAX_SOURCE:
        why = f"The source has {len(source)} characters; {MAX_SOURCE} are allowed."
        return [Finding(0, 1, name, why, "Split the plugin, or move data out of it.")], None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return _transformed(source, name, modules, entry)
    except SyntaxError as error:
        why = f"It is not valid Python: {error.msg}."
        line = (error.text or "").strip() or name
        return [Finding(error.lineno or 0, error.offset or 1, line, why, "Correct the line.")], None
    except (RecursionError, MemoryError, ValueError, OverflowError) as error:
        why = f"Python cannot compile it: {error}."
        return [Finding(0, 1, name, why, "Split long or deeply nested expressions.")], None


def _transformed(
    source: str, name: str, modules: Collection[str], entry: str | None
) -> tuple[list[Finding], types.CodeType | None]:
    tree = ast.parse(source, name)
    if entry is not None:
        tree = as_function(tree, entry)
    if "*" in source:
        expand_stars(tree)
    policy = Policy(modules)
    tree = policy.visit(tree)
    findings = sorted(policy.findings, key=lambda item: (item.line, item.column))
    if findings:
        return findings, None
    return [], compile(tree, f"<plugin {name}>", "exec", dont_inherit=True, optimize=0)
