"""Turns import statements into calls on the module facades; used by the policy.

A real `import` is never compiled in: its opcodes fall back to `sys.modules` (for `from json import
decoder` they look up "json.decoder"), where the real modules are.
"""

import ast
from collections import Counter
from collections.abc import Callable, Collection

from host.sandbox.compiler import advice
from host.sandbox.compiler.catalog import members_of, module_names, public_members
from host.sandbox.compiler.hoisting import bound_names
from host.sandbox.compiler.rewriting import MEMBER, MODULE, call, place

Reject = Callable[[ast.AST, str, tuple[str, str]], None]


def expand_stars(tree: ast.Module) -> None:
    """Write out `from module import *` as the names that plugins see of the module.

    Where there is no such module the statement stays, and is rejected like any other.
    """
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.names[0].name != "*":
            continue
        if not node.level and node.module in module_names():
            aliases = [ast.alias(name) for name in public_members(node.module)]
            node.names = [ast.copy_location(alias, node) for alias in aliases]


def modules_bound(tree: ast.Module) -> dict[str, str]:
    """Return the names that stand for a library module wherever they are used, and for which.

    Those are left out that anything else is bound to as well, in any scope.
    """
    times = Counter(bound_names(tree))
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        for alias in node.names if isinstance(node, ast.Import) else ():
            name = alias.asname or alias.name
            if alias.name in module_names() and "." not in name:
                found[name] = alias.name
                times[name] -= 1
    return {name: module for name, module in found.items() if times[name] <= 0}


class Imports:
    """Rewrites the import statements of one plugin.

    Args:
        extra: Generated modules that will be there at load time, such as `tools.github`.
        reject: Called for each name that cannot be had.
    """

    def __init__(self, extra: Collection[str], reject: Reject) -> None:
        self._extra = frozenset(extra) | {name.partition(".")[0] for name in extra}
        self._reject = reject

    def of_modules(self, node: ast.Import) -> list[ast.Assign]:
        """Return what stands for `import a, b.c as d`."""
        found = [self._module(node, alias) for alias in node.names]
        return [place(item, node) for item in found]

    def _module(self, node: ast.Import, alias: ast.alias) -> ast.Assign:
        self._check_module(node, alias.name)
        top = alias.name.partition(".")[0]
        value = call(MODULE, ast.Constant(alias.name if alias.asname else top))
        return ast.Assign(targets=[ast.Name(alias.asname or top, ast.Store())], value=value)

    def of_members(self, node: ast.ImportFrom) -> list[ast.stmt]:
        """Return what stands for `from a import b, c as d`."""
        module = node.module or ""
        if node.level:
            reason = ("A plugin is a single module.", "Put the code into the plugin's own file.")
            self._reject(node, "from . import", reason)
            return [place(ast.Pass(), node)]  # no body is left empty
        if not self._check_module(node, module):
            return [place(ast.Pass(), node)]
        return [place(self._member(node, module, alias), node) for alias in node.names]

    def _member(self, node: ast.ImportFrom, module: str, alias: ast.alias) -> ast.Assign:
        if alias.name == "*":
            reason = ("It hides where names come from.", "Name what you import.")
            self._reject(node, f"from {module} import *", reason)
        elif module not in self._extra and f"{module}.{alias.name}" not in module_names():
            known = members_of(module)
            if alias.name not in known:
                reason = advice.about_member(module, alias.name, known)
                self._reject(node, f"from {module} import {alias.name}", reason)
        value = call(MEMBER, ast.Constant(module), ast.Constant(alias.name))
        return ast.Assign(targets=[ast.Name(alias.asname or alias.name, ast.Store())], value=value)

    def _check_module(self, node: ast.AST, name: str) -> bool:
        if name in self._extra or name in module_names():
            return True
        generated = [one for one in self._extra if one.partition(".")[0] == name.partition(".")[0]]
        known = generated or module_names()
        self._reject(node, f"import {name}", advice.about_module(name, known))
        return False
