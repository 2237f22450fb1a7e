"""Python files, help texts, databases and curl lines of strangers: none becomes code."""

import ast
import shlex
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from generator.answers import Answers, spec_of
from generator.errors import GeneratorError
from generator.project import render_server
from generator.sources.read import read_source
from tests.generator.test_safety import HOSTILE

TEXTS = [text for text in HOSTILE if "\x00" not in text and "\ud800" not in text]
CALLS = {"declare", "call", "run", "find", "request", "WithJsonSchema", "Field"}
"""All that the module of a group of tools calls, whatever it was made from."""
IMPORTS = {"collections.abc", "typing", "pydantic"}


def python_file(folder: Path, text: str) -> Answers:
    file = folder / "theirs.py"
    file.write_text(
        f"from typing import Literal\n__doc__ = {text!r}\n"
        f"def tool(a: Literal[{text!r}, 'b'], b: str = {text!r}, *, c: 'str' = {text!r}) -> str:\n"
        f"    {('About. ' + text + chr(10) + chr(10) + 'Args:' + chr(10) + '    a: ' + text)!r}\n",
        encoding="utf-8",
    )
    return Answers(kind="python", where=str(file), name="theirs")


def command(folder: Path, text: str) -> Answers:
    script = folder / "tool"
    said = (
        f"Usage: tool [OPTIONS] <{text}> FILE\n\n{text}\n\nOptions:\n  --name TEXT  {text}\n"
        f"  --{text}  x\n  -x, --{text} <{text}>  y\n\nCommands:\n  list  {text}\n  {text}  z\n"
    )
    script.write_text(f"#!{sys.executable}\nprint({said!r})\n", encoding="utf-8")
    script.chmod(0o755)
    return Answers(kind="cli", where=shlex.quote(str(script)), name="theirs")


def database(folder: Path, text: str) -> Answers:
    file = folder / "theirs.db"
    quoted = '"' + text.replace('"', '""') + '"'
    with sqlite3.connect(file) as connection:
        connection.execute(f"create table {quoted}({quoted} text, other {quoted})")
    connection.close()
    return Answers(kind="database", where=f"sqlite:///{file}", name="theirs")


def curl(folder: Path, text: str) -> Answers:
    del folder
    parts = ["curl", "-H", f"X-{text}: {text}", "-H", f"Authorization: Bearer {text}"]
    parts += ["-d", f"{text}={text}&b=1", f"https://example.com/{text}?{text}={text}"]
    return Answers(kind="curl", where=shlex.join(parts), name="theirs")


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("source", [python_file, command, database, curl])
def test_text_of_a_stranger_stays_a_text(
    source: Callable[[Path, str], Answers], text: str, tmp_path: Path
):
    answers = source(tmp_path, text)
    try:
        files = render_server(spec_of(answers, read_source(answers)))
    except GeneratorError:
        assert source is curl  # an address that is none
        return
    modules = {
        path: ast.parse(content, path)
        for path, content in files.items()
        if path.endswith(".py") and not path.endswith("/functions.py")
    }
    for path, tree in modules.items():
        if "/tools/" in path and not path.endswith("__init__.py"):
            check_tools(tree)
    for path, content in files.items():
        assert ".." not in path
        assert "\u202e" not in content or path.endswith("/functions.py")


def check_tools(tree: ast.Module) -> None:
    """See that a module of tools is the expected tree: imports, tools, a table of them."""
    kinds = [type(node).__name__ for node in tree.body]
    assert set(kinds) <= {"Expr", "ImportFrom", "AsyncFunctionDef", "Assign", "AnnAssign"}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            assert node.module in IMPORTS or (node.module or "").startswith("theirs.")
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant)
        if isinstance(node, ast.AsyncFunctionDef):
            assert [type(one).__name__ for one in node.body] == ["Expr", "Return"]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            assert isinstance(node.func, ast.Name)
            assert node.func.id in CALLS
        assert not isinstance(node, ast.Lambda | ast.JoinedStr | ast.ListComp | ast.Attribute)
