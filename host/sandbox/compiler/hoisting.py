"""Finds parameters whose guard can be asked once per call; used by the policy.

`self.total += x` in a loop would ask on every turn whether `self` is the plugin's own object. When
a parameter is never bound again, the answer cannot change, so it is asked at the function's start.
"""

import ast
from collections.abc import Collection, Iterator

from host.sandbox.compiler.names import kind_of_read

_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.comprehension)
_IN_LOOP = 8


def hidden_name(parameter: str) -> str:
    """Return the variable that holds a parameter once it is checked.

    Its dot cannot be written in source text, so a plugin can neither read nor shadow it.
    """
    return f".{parameter}"


def parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the names of a function's parameters that hold one argument each."""
    spec = node.args
    return [arg.arg for arg in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]


def hoisted_parameters(
    node: ast.FunctionDef | ast.AsyncFunctionDef, bound: Collection[str]
) -> list[str]:
    """Return the parameters whose attributes are guarded often enough to ask once.

    Args:
        node: The function.
        bound: Every name that some statement in its body binds.
    """
    uses = dict.fromkeys(set(parameters(node)).difference(bound), 0)
    if not uses:
        return []
    for statement in node.body:
        _count(statement, uses, 1)
    return sorted(name for name, weight in uses.items() if weight >= 2)


def _count(node: ast.AST, uses: dict[str, int], weight: int) -> None:
    if isinstance(node, _LOOPS):
        weight *= _IN_LOOP
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        stored = not isinstance(node.ctx, ast.Load)
        if node.value.id in uses and (stored or kind_of_read(node.attr) == "private"):
            uses[node.value.id] += weight
    for child in ast.iter_child_nodes(node):
        _count(child, uses, weight)


def bound_names(tree: ast.AST) -> Iterator[str]:
    """Yield every name that some statement under a node binds, deletes or redeclares."""
    for node in ast.walk(tree):
        yield from names_bound_by(node)


def names_bound_by(node: ast.AST) -> Iterator[str]:  # noqa: C901  # one case a kind of binding
    """Yield the names that this node itself binds, deletes or redeclares."""
    match node:
        case ast.Name(ctx=ast.Store() | ast.Del()):
            yield node.id
        case ast.arg():
            yield node.arg
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Import() | ast.ImportFrom():
            yield from (name.asname or name.name.partition(".")[0] for name in node.names)
        case ast.ExceptHandler() | ast.MatchAs() | ast.MatchStar():
            if node.name:
                yield node.name
        case ast.MatchMapping():
            if node.rest:
                yield node.rest
        case ast.Global() | ast.Nonlocal():
            yield from node.names
        case _ if type(node).__name__ in ("TypeVar", "ParamSpec", "TypeVarTuple"):
            yield node.name  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        case _:
            pass
