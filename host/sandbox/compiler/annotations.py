"""Annotations as values, for schemas and type hints; text ones pass the policy first."""

import ast
import sys
from typing import Any

from host.sandbox.compiler.policy import Policy


def annotations_of(target: Any, names: dict[str, Any]) -> dict[str, Any]:
    """Return the annotations of a plugin's function or class, text ones evaluated.

    Args:
        target: The function or class.
        names: The plugin's globals.

    Raises:
        NameError: A text annotation holds something that a plugin may not contain.
    """
    found: dict[str, Any] = {}
    for part in reversed(target.__mro__) if isinstance(target, type) else [target]:
        own = part.__dict__ if isinstance(part, type) and sys.version_info < (3, 14) else None
        raw = own.get("__annotations__", {}) if own is not None else _raw(part)
        found.update({key: _value(item, names) for key, item in dict(raw).items()})
    return found


def _raw(part: Any) -> Any:
    return getattr(part, "__annotations__", {})


def _value(item: Any, names: dict[str, Any]) -> Any:
    if item is None:
        return type(None)
    return evaluated(item, names) if isinstance(item, str) else item


def evaluated(text: str, names: dict[str, Any]) -> Any:
    """Return the value of an annotation's text, read as the plugin's own code."""
    policy = Policy()
    try:
        tree = policy.visit(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        message = f"The annotation {text!r} is not an expression."
        raise NameError(message) from error
    match tree.body:
        case [ast.Expr(value=value)] if not policy.findings:
            code = compile(ast.Expression(value), "<annotation>", "eval", dont_inherit=True)
            return eval(code, names)  # noqa: S307  # the policy has passed it
        case _:
            message = f"The annotation {text!r} is not available to plugins."
            raise NameError(message)
