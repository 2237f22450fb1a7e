"""Writes a page about each tool from the source of the tools: `python -m PACKAGE.pages`.

With `--check` nothing is written, and the exit status is 1 where a page is missing or old.
"""

import ast
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent
FOLDER = PACKAGE.parents[1] / "docs" / "tools"


def render_pages(modules: dict[str, str]) -> dict[str, str]:
    """Return the pages, file name to text, for modules, name to source."""
    pages: dict[str, str] = {}
    for module, source in modules.items():
        for node in ast.parse(source).body:
            if isinstance(node, ast.AsyncFunctionDef) and node.decorator_list:
                pages[f"{node.name}.md"] = _page(node, module)
    return pages


def _page(node: ast.AsyncFunctionDef, module: str) -> str:
    about, _, arguments = (ast.get_docstring(node) or "").partition("\nArgs:\n")
    lines = [f"# {node.name}", "", _fenced(about), "", f"Module: `tools/{module}.py`.", ""]
    lines += ["| what | value |", "|---|---|", *_facts(node)]
    names = [arg.arg for arg in node.args.args if arg.arg != "ctx"]
    if names:
        lines += ["", "## Arguments", "", "```text", _signature(node), "```"]
    if arguments.strip():
        lines += ["", _fenced(arguments)]
    return "\n".join(lines) + "\n"


def _fenced(text: str) -> str:
    kept = text.strip("\n").replace("```", "'''")
    return f"```text\n{kept}\n```"


def _facts(node: ast.AsyncFunctionDef) -> list[str]:
    declared = node.decorator_list[0]
    if not isinstance(declared, ast.Call):
        return []
    return [f"| {keyword.arg} | `{ast.unparse(keyword.value)}` |" for keyword in declared.keywords]


def _signature(node: ast.AsyncFunctionDef) -> str:
    arguments = node.args.args
    defaults = [None] * (len(arguments) - len(node.args.defaults)) + list(node.args.defaults)
    lines: list[str] = []
    for argument, default in zip(arguments, defaults, strict=True):
        if argument.arg == "ctx" or argument.annotation is None:
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
    return 1 if old and "--check" in sys.argv else 0


if __name__ == "__main__":
    raise SystemExit(main())
