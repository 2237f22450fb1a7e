"""Shapes of source that the policy lets through as they are."""

import ast
from collections.abc import Callable, Iterator, Mapping

from host.sandbox.compiler.formatting import is_flat
from host.sandbox.compiler.names import REFUSED, is_dunder, is_matchable


def as_text(annotation: ast.expr | None) -> ast.expr | None:
    """Return an annotation as its source text, as `from __future__ import annotations` asks."""
    if annotation is None:
        return None
    return ast.copy_location(ast.Constant(ast.unparse(annotation)), annotation)


def is_literal(statement: ast.stmt, target: ast.Name, ok: Callable[[str], bool]) -> bool:
    """Return whether a statement binds a name to a text, or several, that are all in order."""
    match statement:
        case ast.Assign(targets=[only], value=value) if only is target:
            pass
        case ast.AnnAssign(target=only, value=ast.expr() as value) if only is target:
            pass
        case _:
            return False
    items = value.elts if isinstance(value, (ast.Tuple, ast.List)) else [value]
    texts = [item.value for item in items if isinstance(item, ast.Constant)]
    return len(texts) == len(items) and all(isinstance(text, str) and ok(text) for text in texts)


def is_flat_format(node: ast.Attribute, owner: ast.expr) -> bool:
    """Return whether `format` is read of a literal template without attributes or items."""
    match owner:
        case ast.Constant(value=str(text)):
            return node.attr == "format" and is_flat(text)
        case _:
            return False


def is_ignored(name: str) -> bool:
    """Return whether an enumeration's `_ignore_` may name it: not what tells whose class it is."""
    return name.isidentifier() and not is_dunder(name)


def is_slot(name: str) -> bool:
    """Return whether `__slots__` may name it."""
    return name in ("__dict__", "__weakref__") or not (is_dunder(name) or name in REFUSED)


LITERAL: Mapping[str, Callable[[str], bool]] = {
    "__match_args__": is_matchable,
    "__slots__": is_slot,
    "_ignore_": is_ignored,
}
"""Names that a class body binds to names of attributes, and which those may be."""


def computed_names(statement: ast.stmt) -> Iterator[ast.Name]:
    """Yield where a statement of a class body binds one of those to anything but literal names.

    A computed `__match_args__` of `("__globals__",)` would let a class pattern read them, an
    `_ignore_` of `["__module__"]` would make a class that is nobody's.
    """
    for node in ast.walk(statement):
        if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Store):
            continue
        if node.id in LITERAL and not is_literal(statement, node, LITERAL[node.id]):
            yield node
