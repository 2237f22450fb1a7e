"""The pieces of syntax that the policy puts in: guards under names no source text can spell."""

import ast
from typing import TypeVar

READ = ".read"
SEAL = ".seal"
OWN = ".own"
SAFE = ".safe"
TYPE = ".type"
MODULE = ".module"
MEMBER = ".member"
NEW = ".new"
LEAVE = ".leave"
KEYS = ".keys"
"""Names of the guards in a plugin's globals. A dot is no part of an identifier, so a plugin cannot
name, shadow, delete or import over them: the attack on `_getattr_` by a parameter of that name."""

_Node = TypeVar("_Node", bound=ast.AST)


def load(name: str) -> ast.Name:
    """Return an expression that reads a variable."""
    return ast.Name(name, ast.Load())


def call(guard: str, *args: ast.expr) -> ast.Call:
    """Return an expression that calls a guard."""
    return ast.Call(func=load(guard), args=list(args), keywords=[])


def known_or(kinds: str, name: str, fast: ast.expr, slow: ast.expr) -> ast.IfExp:
    """Return `fast` if the variable's class is in the set named `kinds`, else `slow`.

    This is a guard written inline: two look-ups instead of a call.
    """
    kind = call(TYPE, load(name))
    return ast.IfExp(ast.Compare(kind, [ast.In()], [load(kinds)]), fast, slow)


def place(node: _Node, old: ast.AST) -> _Node:
    """Return a new node with the position of the one it replaces."""
    return ast.fix_missing_locations(ast.copy_location(node, old))


def docstring_end(body: list[ast.stmt]) -> int:
    """Return where a function's first statement after its docstring stands."""
    match body[0]:
        case ast.Expr(value=ast.Constant(value=str())):
            return 1
        case _:
            return 0
