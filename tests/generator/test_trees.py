"""What is made from a stranger's texts is, file by file, the tree that harmless ones make."""

import ast
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from generator.literal import one_line
from generator.naming import words
from tests.generator.test_safety import HOSTILE, document, files_of


def harmless(text: str) -> str:
    """Return a text of the same words, which therefore makes the same names."""
    end = "\n" if re.search(r"[\r\n\0]", text) else ""  # of such a name no argument is made
    return (" ".join(words(text)) or "\u3002") + end


def both(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the files of a hostile document, and those of a harmless one of the same names."""
    path = re.sub("[{}]", "", text)  # braces would make more arguments
    plain = harmless(text)
    return files_of(document(text, path=path)), files_of(document(plain, path=harmless(path)))


def tree(source: str) -> str:
    """Return the syntax tree of a module without what its texts say."""
    parsed = ast.parse(source)
    for node in ast.walk(parsed):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(parsed)


@pytest.mark.parametrize("text", HOSTILE)
def test_every_python_file_is_the_tree_that_a_harmless_document_makes(text: str):
    hostile, plain = both(text)
    assert list(hostile) == list(plain)
    modules = [path for path in hostile if path.endswith(".py")]
    assert {"src/pets/server.py", "src/pets/settings.py", "tests/test_server.py"} < set(modules)
    for path in modules:
        assert tree(hostile[path]) == tree(plain[path]), path


def loaded(path: str, content: str) -> Any:
    return tomllib.loads(content) if path.endswith(".toml") else yaml.safe_load(content)


@pytest.mark.parametrize("text", HOSTILE)
def test_every_toml_and_yaml_file_holds_what_a_harmless_document_makes(text: str):
    hostile, plain = both(text)
    files = [path for path in hostile if path.endswith((".toml", ".yaml", ".yml"))]
    expected = [".github/workflows/ci.yml", "host.yaml", "policy.yaml", "pyproject.toml"]
    assert files == expected
    for path in files:
        mine, theirs = loaded(path, hostile[path]), loaded(path, plain[path])
        if path == "pyproject.toml":
            said = mine["project"].pop("description")
            theirs["project"].pop("description")
            assert said == (one_line(text, 200) or one_line("An MCP server."))
        assert mine == theirs, path


@pytest.mark.parametrize("text", HOSTILE)
def test_every_file_without_a_syntax_of_its_own_is_that_of_a_harmless_document(text: str):
    hostile, plain = both(text)
    address = r"(?m)^#?PETS_BASE_URL=[A-Za-z0-9_.:/@+=-]*$"
    for path in (".dockerignore", ".env.example", ".gitignore", "Dockerfile"):
        assert re.sub(address, "", hostile[path]) == re.sub(address, "", plain[path]), path
    assert set(hostile) == {
        path for path in hostile if path.endswith((".py", ".toml", ".yaml", ".yml", ".md"))
    } | {".dockerignore", ".env.example", ".gitignore", "Dockerfile"}


def outline(content: str) -> Iterator[str]:
    """Yield the kinds of blocks and of what is in their lines, as a page is shown."""
    for token in MarkdownIt("commonmark").enable("table").parse(content):
        yield token.type
        children: list[Token] = token.children or []
        yield from (f"{token.type}: {child.type} {child.attrs}" for child in children)


@pytest.mark.parametrize("text", HOSTILE)
def test_every_page_is_shown_with_the_parts_that_a_harmless_document_makes(text: str):
    hostile, plain = both(text)
    pages = [path for path in hostile if path.endswith(".md")]
    assert len(pages) == 3
    for path in pages:
        found = list(outline(hostile[path]))
        assert found == list(outline(plain[path])), path
        assert not any("html" in kind for kind in found)


def test_no_template_syntax_of_a_document_is_evaluated():
    text = "{{ 7 * 7 }}{% for x in range(9) %}x{% endfor %}"
    files = files_of(document(text))
    assert not any("49" in content or "x" * 9 in content for content in files.values())
    (module,) = [content for path, content in files.items() if "/tools/operations_7" in path]
    assert text in module
