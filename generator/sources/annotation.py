"""Annotations of a module's functions as a generated tool can write them, and values that fit."""

import ast
from collections.abc import Sequence
from typing import Any

from generator.literal import Code
from generator.shape import or_none, shape_of

PLAIN = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
"""Python's plain types, in JSON Schema's words."""
_LISTS = ("list", "List", "Sequence", "Iterable", "Collection", "MutableSequence")
_SETS = {"set": "set", "Set": "set", "frozenset": "frozenset", "FrozenSet": "frozenset"}
_TUPLES = ("tuple", "Tuple")
_MAPPINGS = ("dict", "Dict", "Mapping", "MutableMapping")
_WIDEST = 60
"""Most characters of an annotation in an annotation; a wider one would be laid out on lines."""


def annotate(node: ast.expr | None) -> str:
    """Return an annotation as the project can write it; one that it cannot know is `Any`.

    What the module defines or imports itself is not reached for: it may be there for type checkers
    only.
    """
    if node is None:
        return "Any"
    if isinstance(node, ast.Constant) and node.value is None:
        return "None"
    if isinstance(node, ast.Name):
        return node.id if node.id in {*PLAIN, "None"} else _bare(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [annotate(node.left), annotate(node.right)]
        return "Any" if "Any" in sides else _united(sides)
    if isinstance(node, ast.Subscript):
        return _subscript(node)
    return "Any"


def _united(sides: Sequence[str]) -> str:
    """Return a type that takes what either side takes."""
    some = list(dict.fromkeys(sides))
    if not any("\n" in side for side in some):
        return " | ".join(some)
    (wide, *rest) = [side for side in some if side != "None"]
    return or_none(Code(wide)) if not rest else "Any"


def _bare(outer: str) -> str:
    """Return a container that says nothing of what is in it."""
    if outer in (*_LISTS, *_TUPLES, *_SETS):
        return "list[Any]"
    return "dict[str, Any]" if outer in _MAPPINGS else "Any"


def _subscript(node: ast.Subscript) -> str:
    outer = ast.unparse(node.value).rpartition(".")[2]
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if outer in ("Annotated", "Optional", "Union") and parts:
        some = parts if outer == "Union" else parts[:1]
        sides = [*map(annotate, some), *(["None"] if outer == "Optional" else [])]
        return "Any" if "Any" in sides else _united(sides)
    if outer == "Literal":
        return _choice(parts)
    if outer in _TUPLES:
        return _tuple(parts)
    if outer in (*_LISTS, *_SETS):
        inside = _inside(parts[0] if parts else None)
        hashed = set(inside.replace("|", " ").split()) <= {*PLAIN, "None"}
        return f"{_SETS[outer] if outer in _SETS and hashed else 'list'}[{inside}]"
    return _bare(outer)


def _choice(parts: Sequence[ast.expr]) -> str:
    values = [item.value for item in parts if isinstance(item, ast.Constant)]
    if values and len(values) == len(parts) and all(isinstance(v, str) for v in values):
        return shape_of({"type": "string", "enum": values}).annotation
    return "Any"


def _tuple(parts: Sequence[ast.expr]) -> str:
    """Return a tuple with the type of each place, or of all of them."""
    if not parts:
        return "list[Any]"
    if isinstance(parts[-1], ast.Constant) and parts[-1].value is ...:
        return f"tuple[{_inside(parts[0])}, ...]"
    said = f"tuple[{', '.join(map(_inside, parts))}]"
    return said if len(said) <= _WIDEST else "list[Any]"


def _inside(node: ast.expr | None) -> str:
    """Return an annotation that stands in another one: on one line."""
    found = annotate(node)
    return found if "\n" not in found and len(found) <= _WIDEST else "Any"


def takes(annotation: str, value: object) -> bool:
    """Return whether a default is of a type that an annotation of `annotate` says."""
    return value is None or _takes(ast.parse(f"({annotation})", mode="eval").body, value)


def _takes(node: ast.expr, value: object) -> bool:
    if isinstance(node, ast.BinOp):
        return _takes(node.left, value) or _takes(node.right, value)
    if isinstance(node, ast.Subscript):
        said = [one.value for one in ast.walk(node.slice) if isinstance(one, ast.Constant)]
        return ast.unparse(node.value) == "Literal" and value in said
    wider = {"bool": {"bool", "int", "float"}, "int": {"int", "float"}}
    kind = type(value).__name__
    return ast.unparse(node) in {"Any", kind, *wider.get(kind, ())}


def sample_of_annotation(annotation: str) -> Any:  # noqa: ANN401 - a JSON value
    """Return a value that fits an annotation of `annotate`."""
    return _fitting(ast.parse(f"({annotation})", mode="eval").body)


def _fitting(node: ast.expr) -> Any:  # noqa: ANN401 - a JSON value
    if isinstance(node, ast.BinOp):
        left = _fitting(node.left)
        return _fitting(node.right) if left is None else left
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Subscript):
        outer = ast.unparse(node.value)
        if outer == "Literal":
            return _fitting(node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice)
        if outer == "tuple" and isinstance(node.slice, ast.Tuple):
            places = [one for one in node.slice.elts if ast.unparse(one) != "..."]
            return [_fitting(one) for one in places]
        return {} if outer == "dict" else [_fitting(node.slice)]
    return shape_of({"type": PLAIN.get(ast.unparse(node), "string")}).sample
