"""The policy: RestrictedPython's transformer, taught ordinary Python."""

import ast
from collections.abc import Collection
from typing import Any, cast

from RestrictedPython.transformer import RestrictingNodeTransformer
from typing_extensions import override

from host.sandbox.compiler import advice
from host.sandbox.compiler.catalog import members_of
from host.sandbox.compiler.finding import Finding
from host.sandbox.compiler.hoisting import (
    bound_names,
    hidden_name,
    hoisted_parameters,
    names_bound_by,
)
from host.sandbox.compiler.imports import Imports, modules_bound
from host.sandbox.compiler.names import (
    CLASS_NAMES,
    METHODS,
    METHODS_LATER,
    MODULE_NAMES,
    READ_NAMES,
    REFUSED,
    is_dunder,
    is_matchable,
    kind_of_read,
    kind_of_write,
)
from host.sandbox.compiler.rewriting import (
    KEYS,
    LEAVE,
    NEW,
    OWN,
    READ,
    SAFE,
    SEAL,
    call,
    docstring_end,
    known_or,
    load,
    place,
)
from host.sandbox.compiler.shapes import LITERAL, as_text, computed_names, is_flat_format

_CHECKED = {"__new__": NEW, "__exit__": LEAVE, "__aexit__": LEAVE}
"""Special methods and what each is wrapped in, where it is defined."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef

_PLAIN = [
    "Call",
    "Subscript",
    "comprehension",
    "Assign",
    "AugAssign",
    "For",
    "AsyncFor",
    "With",
    "AsyncWith",
    "Await",
    "Return",
    "Yield",
    "YieldFrom",
    "Raise",
    "Try",
    "TryStar",
    "If",
    "While",
    "Global",
    "Nonlocal",
    "Match",
    "match_case",
    "MatchValue",
    "MatchSingleton",
    "MatchSequence",
    "MatchStar",
    "MatchMapping",
    "MatchAs",
    "MatchOr",
    "TypeVar",
    "ParamSpec",
    "TypeVarTuple",
    "TypeAlias",
    "Name",
    "ExceptHandler",
    "Lambda",
    "ListComp",
    "SetComp",
    "DictComp",
    "GeneratorExp",
    "NamedExpr",
]
"""Nodes that need no rewriting: whatever they touch, a plugin was allowed to hold."""


class Policy(RestrictingNodeTransformer):
    """Decides on every node of a plugin's source; collects findings instead of stopping.

    Node types that neither this class nor RestrictedPython knows are rejected, so that new syntax
    of a new Python is closed until somebody has thought about it.
    """

    def __init__(self, modules: Collection[str] = ()) -> None:
        super().__init__()
        self.findings: list[Finding] = []
        self._imports = Imports(modules, self.reject)
        self._scopes: list[str] = []
        self._classes: list[str] = []
        self._hidden: list[frozenset[str]] = []
        self._bound: frozenset[str] = frozenset()
        self._text_annotations = False
        self._module_names: dict[str, str] = {}

    def reject(self, node: ast.AST, construct: str, reason: tuple[str, str]) -> None:
        """Record that a construct is not allowed, with why and what to write instead."""
        line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", -1) + 1
        finding = Finding(line, column, construct, *reason)
        if finding not in self.findings:
            self.findings.append(finding)

    @override
    def error(self, node: ast.AST, info: str) -> None:
        self.reject(node, type(node).__name__, (f"{info}", "Write it with simpler statements."))

    @override
    def not_allowed(self, node: ast.AST) -> None:
        reason = (
            "This construct is not known to the sandbox.",
            "Write it with simpler statements.",
        )
        self.reject(node, type(node).__name__, reason)

    @override
    def visit(self, node: ast.AST) -> Any:
        for name in names_bound_by(node):
            self._check_binding(node, name)
        return super().visit(node)

    # Names

    def _check_binding(self, node: ast.AST, name: str) -> None:
        in_class = self._scopes[-1:] == ["class"]
        if self._scopes[-1:] == ["function"] and name in METHODS:
            # A local variable; a class decorator writes `cls.__repr__ = __repr__`.
            if name not in METHODS_LATER or isinstance(node, ast.Global):
                self.reject(node, name, advice.IN_CLASS)
        elif is_dunder(name):
            allowed = CLASS_NAMES if in_class else MODULE_NAMES
            by_name = isinstance(node, ast.Name) or name not in LITERAL
            if name not in allowed or not by_name:
                self.reject(node, name, advice.about_attribute(name))
            elif name in _CHECKED and not isinstance(node, _Function):
                self.reject(node, name, advice.MAKER)
        elif in_class and name in REFUSED:
            self.reject(node, name, advice.about_attribute(name))

    @override
    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load) and node.id not in self._bound:
            hidden = is_dunder(node.id) and node.id not in READ_NAMES
            if hidden or node.id in advice.BUILTINS:
                self.reject(node, node.id, advice.about_builtin(node.id))
        return node

    @override
    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        if node.arg and is_dunder(node.arg):
            self.reject(node, node.arg, advice.about_attribute(node.arg))
        node = self.node_contents_visit(node)
        if node.arg is None:  # `f(**names)`: a text that lies about what it equals is no name
            node.value = place(call(KEYS, node.value), node.value)
        return node

    # Attributes

    @override
    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        owner = node.value
        node = self.node_contents_visit(node)
        if isinstance(node.ctx, ast.Load):
            self._check_member(node, owner)
            return self._read(node, owner)
        if kind_of_write(node.attr) == "refused":
            self.reject(node, f".{node.attr}", advice.about_attribute(node.attr))
        node.value = place(self._sealed(node.value), node)
        return node

    def _check_member(self, node: ast.Attribute, owner: ast.expr) -> None:
        """Say of `textwrap.NAME` what is said of `from textwrap import NAME`."""
        if not isinstance(owner, ast.Name) or owner.id not in self._module_names:
            return
        module = self._module_names[owner.id]
        known = members_of(module)
        if node.attr not in known and kind_of_read(node.attr) in ("public", "gated"):
            reason = advice.about_member(module, node.attr, known)
            self.reject(node, f"{owner.id}.{node.attr}", reason)

    def _read(self, node: ast.Attribute, owner: ast.expr) -> ast.AST:
        kind = kind_of_read(node.attr)
        if kind == "public" or is_flat_format(node, owner):
            return node
        if kind == "refused":
            self.reject(node, f".{node.attr}", advice.about_attribute(node.attr))
            return node
        guarded = call(READ, node.value, ast.Constant(self._mangled(node.attr)))
        if kind == "dunder" or not isinstance(node.value, ast.Name):
            return place(guarded, node)
        if kind == "private" and node.value.id in self._hidden_now():
            node.value = place(load(hidden_name(node.value.id)), node)
            return node
        kinds = OWN if kind == "private" else SAFE
        return place(known_or(kinds, node.value.id, node, guarded), node)

    def _sealed(self, value: ast.expr) -> ast.expr:
        if not isinstance(value, ast.Name):
            return call(SEAL, value)
        if value.id in self._hidden_now():
            return load(hidden_name(value.id))
        return known_or(OWN, value.id, load(value.id), call(SEAL, load(value.id)))

    def _hidden_now(self) -> frozenset[str]:
        return self._hidden[-1] if self._hidden else frozenset()

    def _mangled(self, name: str) -> str:
        stripped = self._classes[-1].lstrip("_") if self._classes else ""
        if name.startswith("__") and not is_dunder(name) and stripped:
            return f"_{stripped}{name}"
        return name

    # Functions and classes

    @override
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    @override
    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: _Function) -> ast.AST:
        if self._text_annotations:
            node.returns = as_text(node.returns)
        inner = {name for statement in node.body for name in bound_names(statement)}
        hoisted = hoisted_parameters(node, inner)
        body, node.body = node.body, []
        self._scopes.append("function")
        node = self.node_contents_visit(node)
        own_names = {arg.arg for arg in ast.walk(node.args) if isinstance(arg, ast.arg)}
        outer = self._hidden_now() - inner - own_names
        self._hidden.append(outer | frozenset(hoisted))
        node.body = self._visited(body)
        self._hidden.pop()
        self._scopes.pop()
        self._ask_once(node, hoisted)
        if node.name in _CHECKED and self._scopes[-1:] == ["class"]:
            node.decorator_list.insert(0, place(load(_CHECKED[node.name]), node))
        return node

    def _visited(self, body: list[ast.stmt]) -> list[ast.stmt]:
        holder = self.node_contents_visit(ast.Module(body=body, type_ignores=[]))
        return holder.body

    def _ask_once(self, node: _Function, hoisted: list[str]) -> None:
        start = docstring_end(node.body)
        for name in hoisted:
            value = known_or(OWN, name, load(name), call(SEAL, load(name)))
            target = ast.Name(hidden_name(name), ast.Store())
            node.body.insert(start, place(ast.Assign(targets=[target], value=value), node.body[-1]))

    @override
    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        own_names = {arg.arg for arg in ast.walk(node.args) if isinstance(arg, ast.arg)}
        self._hidden.append(self._hidden_now() - own_names)
        self._scopes.append("function")
        node = self.node_contents_visit(node)
        self._scopes.pop()
        self._hidden.pop()
        return node

    @override
    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        body, node.body = node.body, []
        node = self.node_contents_visit(node)
        self._scopes.append("class")
        self._classes.append(node.name)
        self._hidden.append(frozenset())
        for statement in body:
            self._check_class_statement(statement)
        node.body = self._visited(body)
        self._hidden.pop()
        self._classes.pop()
        self._scopes.pop()
        return node

    def _check_class_statement(self, statement: ast.stmt) -> None:
        for node in computed_names(statement):
            why = "Its names are read past the guards, so they must be plain and in sight."
            self.reject(node, node.id, (why, 'Assign a literal tuple, such as ("x", "y").'))

    # Annotations

    @override
    def visit_arg(self, node: ast.arg) -> ast.AST:
        if self._text_annotations:
            node.annotation = as_text(node.annotation)
        return self.node_contents_visit(node)

    @override
    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        """Allow annotated assignments."""
        if self._text_annotations:
            node.annotation = as_text(node.annotation) or node.annotation
        return self.node_contents_visit(node)

    # Patterns

    @override
    def visit_MatchClass(self, node: ast.MatchClass) -> ast.AST:
        """Allow class patterns; their keywords read attributes past every guard."""
        for name in node.kwd_attrs:
            if not is_matchable(name):
                why = "A pattern reads attributes past the guards, so only plain names are allowed."
                self.reject(node, f"{name}=", (why, "Read the attribute in the case's body."))
        self._pattern(node, node.cls)
        node.patterns = [self.visit(item) for item in node.patterns]
        node.kwd_patterns = [self.visit(item) for item in node.kwd_patterns]
        return node

    @override
    def visit_MatchMapping(self, node: ast.MatchMapping) -> ast.AST:
        """Allow mapping patterns."""
        for key in node.keys:
            self._pattern(node, key)
        node.patterns = [self.visit(item) for item in node.patterns]
        return node

    @override
    def visit_MatchValue(self, node: ast.MatchValue) -> ast.AST:
        """Allow value patterns of plain dotted names; a guard cannot be put inside a pattern."""
        return self._pattern(node, node.value)

    def _pattern(self, node: ast.AST, value: ast.expr) -> ast.AST:
        for part in ast.walk(value):
            if isinstance(part, ast.Attribute) and not is_matchable(part.attr):
                why = "A pattern reads attributes past the guards, so only plain names are allowed."
                self.reject(part, f".{part.attr}", (why, "Compare with == in an `if`."))
            elif isinstance(part, ast.Name):
                self.visit_Name(part)
        return node

    # Modules

    @override
    def visit_Module(self, node: ast.Module) -> ast.AST:
        self._bound = frozenset(bound_names(node)) - READ_NAMES
        self._module_names = modules_bound(node)
        node.body = [item for item in node.body if not self._is_future(item)]
        node.body = self._visited(node.body)
        return node

    def _is_future(self, item: ast.stmt) -> bool:
        if not isinstance(item, ast.ImportFrom) or item.module != "__future__":
            return False
        self._text_annotations |= any(name.name == "annotations" for name in item.names)
        return True

    @override
    def visit_Import(self, node: ast.Import) -> Any:
        return self._imports.of_modules(node)

    @override
    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        return self._imports.of_members(node)


def _install_plain_visits() -> None:
    def visit(self: Policy, node: ast.AST) -> ast.AST:
        return self.node_contents_visit(node)

    for name in _PLAIN:
        method = f"visit_{name}"
        if method not in Policy.__dict__:
            setattr(Policy, method, cast("Any", visit))


_install_plain_visits()
