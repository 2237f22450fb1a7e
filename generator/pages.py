"""Writes a page about each tool from the source of the tools: `python -m PACKAGE.pages`.

With `--check` nothing is written, and the exit status is 1 where a page is missing or old,
or is of no tool.
"""

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent
FOLDER = PACKAGE.parents[1] / "docs" / "tools"

_Function = ast.AsyncFunctionDef | ast.FunctionDef


def render_pages(modules: dict[str, str]) -> dict[str, str]:
    """Return the pages, file name to text, for modules, name to source."""
    pages: dict[str, str] = {}
    for module, source in modules.items():
        for node in ast.parse(source).body:
            if isinstance(node, _Function) and node.decorator_list:
                pages[f"{node.name}.md"] = _page(node, module)
    return pages


def _page(node: _Function, module: str) -> str:
    about, _, arguments = (ast.get_docstring(node) or "").partition("\nArgs:\n")
    lines = [f"# {node.name}", "", _fenced(about), "", f"Module: `tools/{module}.py`.", ""]
    lines += ["| what | value |", "|---|---|", *_facts(node)]
    if _arguments(node):
        lines += ["", "## Arguments", "", "```text", _signature(node), "```"]
    if arguments.strip():
        lines += ["", _fenced(arguments)]
    return "\n".join(lines) + "\n"


def _fenced(text: str) -> str:
    kept = text.strip("\n").replace("```", "'''")
    return f"```text\n{kept}\n```"


def _facts(node: _Function) -> list[str]:
    declared = node.decorator_list[0]
    if not isinstance(declared, ast.Call):
        return []
    facts = [(keyword.arg, ast.unparse(keyword.value)) for keyword in declared.keywords]
    return [f"| {name} | `{_in_cell(value)}` |" for name, value in facts]


def _in_cell(text: str) -> str:
    """Return a text that ends neither the code nor the cell of a table that it stands in."""
    return text.replace("`", "'").replace("|", "\\|")


def _arguments(node: _Function) -> list[tuple[ast.arg, ast.expr | None]]:
    """Return the arguments that a caller gives, each with its default."""
    plain, only = [*node.args.posonlyargs, *node.args.args], node.args.kwonlyargs
    defaults = [None] * (len(plain) - len(node.args.defaults)) + list(node.args.defaults)
    pairs = [*zip(plain, defaults, strict=True), *zip(only, node.args.kw_defaults, strict=True)]
    return [pair for pair in pairs if pair[0].arg != "ctx"]


def _signature(node: _Function) -> str:
    lines: list[str] = []
    for argument, default in _arguments(node):
        if argument.annotation is None:
            continue
        value = f" = {ast.unparse(default)}" if default is not None else ""
        kind = ast.unparse(argument.annotation).replace("```", "'''")
        lines.append(f"{argument.arg}: {kind}{value}")
    return "\n".join(lines)


def main() -> int:
    """Write the pages, or check them."""
    files = sorted((PACKAGE / "tools").glob("*.py"))
    pages = render_pages({file.stem: file.read_text("utf-8") for file in files})
    old = 0
    for name, text in pages.items():
        page = FOLDER / name
        if page.exists() and page.read_text("utf-8") == text:
            continue
        old += 1
        if "--check" not in sys.argv:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, "utf-8")
            sys.stdout.write(f"wrote docs/tools/{name}\n")
        else:
            sys.stdout.write(f"docs/tools/{name} is old\n")
    for page in sorted(FOLDER.glob("*.md")):
        if page.name not in pages:
            old += 1
            sys.stdout.write(f"docs/tools/{page.name} is of no tool; remove it\n")
    return 1 if old and "--check" in sys.argv else 0


if __name__ == "__main__":
    raise SystemExit(main())
