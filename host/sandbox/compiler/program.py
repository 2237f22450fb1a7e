"""Turns a short program into the body of a tool, so that it may `return`, for code mode."""

import ast

from typing_extensions import override


def as_function(tree: ast.Module, name: str) -> ast.Module:
    """Return a module that declares one tool, whose body is what the module's was.

    Lines stay what they were. Where the last statement is an expression, it is returned.

    Args:
        tree: The program; it is used up.
        name: The tool's name.
    """
    tree = _Main().visit(tree)
    body = tree.body or [ast.Pass()]
    last = body[-1]
    if isinstance(last, ast.Expr):
        body[-1] = ast.copy_location(ast.Return(last.value), last)
    shell = ast.parse(f"@tool\nasync def {name}(): pass")
    function = shell.body[0]
    if isinstance(function, ast.AsyncFunctionDef):
        function.body = body
    ast.fix_missing_locations(shell)
    return shell


class _Main(ast.NodeTransformer):
    """Lets `if __name__ == "__main__":` run, as it would in a script."""

    @override
    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id == "__name__" and isinstance(node.ctx, ast.Load):
            return ast.copy_location(ast.Constant("__main__"), node)
        return node
