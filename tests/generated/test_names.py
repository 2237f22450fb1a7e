"""Unlucky names of projects, groups, tools and arguments make servers that pass their checks."""

import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from generator.answers import Answers, spec_of
from generator.project import render_server
from generator.sources.openapi import read_openapi
from generator.sources.read import read_source
from generator.spec import FEATURES
from generator.write import write_project
from tests.generator.projects import make, sources
from tests.generator.unlucky import FEW, SOURCES, make_unlucky

KINDS = ("blank", "openapi", "python", "cli", "database", "curl")
IMPORTED = ("declare", "call", "run", "find", "request", "cast", "filter")
"""What some module of tools imports, and a builtin."""
SHAPES = (
    "list[str]",
    "list[bool]",
    "list[dict]",
    "list[list]",
    "list[list[str]]",
    'list[Literal["a", "b"]]',
    "set[str]",
    "Sequence[str]",
    "str | int",
    "None | dict[str, int]",
    "Optional[list[str]]",
    "list[int | None]",
    "tuple[int, str]",
    "tuple[int, ...]",
    "Tuple[()]",
    "frozenset[str]",
    "Union[int, str]",
    "Annotated[bool, 1]",
    "list",
    "dict",
    "Unknown",
)


def run(folder: Path, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def lint(folder: Path) -> None:
    run(folder, "ruff", "format", "--check", "--no-cache", ".")
    run(folder, "ruff", "check", "--no-cache", ".")


def check(folder: Path) -> None:
    lint(folder)
    run(folder, "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-x")


@pytest.mark.parametrize("name", ["tests-of-ours", "zoo"])
def test_project_is_linted_whatever_its_name_sorts_after(name: str, tmp_path: Path):
    known = sources(tmp_path)
    for kind in KINDS:
        features = ("lifespan", "elicitation")
        lint(make(replace(known[kind], features=features), tmp_path / kind, name).folder)


def paths_of(tags: list[str], names: tuple[str, ...] = ()) -> dict[str, Any]:
    where = {"in": "query", "schema": {"type": "string"}}
    operations = {
        f"/x{number}": {
            "get": {
                "tags": [tag],
                "operationId": name,
                "parameters": [{"name": one, **where} for one in names],
            }
        }
        for number, (tag, name) in enumerate(zip(tags, names or tags, strict=True))
    }
    return {"openapi": "3.1.0", "servers": [{"url": "https://a.b"}], "paths": operations}


def write_openapi(document: dict[str, Any], folder: Path) -> Path:
    spec = spec_of(Answers(kind="openapi", where="x", name="zoo"), read_openapi(document))
    write_project(folder, render_server(spec))
    return folder


def test_tags_named_like_builtins_and_files_of_every_project_are_groups(tmp_path: Path):
    tags = ["filter", "type", "input", "id", "callable", "staticmethod"]
    tags += ["server", "conformance", "extras", "conftest", "v10", "v2", "v1"]
    folder = write_openapi(paths_of(tags), tmp_path / "zoo")
    assert (folder / "src/zoo/tools/server_tools.py").exists()
    check(folder)


def test_tools_and_arguments_named_like_what_their_module_imports(tmp_path: Path):
    check(write_openapi(paths_of(["a"] * len(IMPORTED), IMPORTED), tmp_path / "zoo"))


def test_functions_and_arguments_named_like_what_their_module_imports(tmp_path: Path):
    file = tmp_path / "filter.py"
    arguments = ", ".join(f"{name}: str" for name in IMPORTED)
    file.write_text("".join(f"def {name}({arguments}): ...\n" for name in (*IMPORTED, "aB", "a_b")))
    check(make(Answers(kind="python", where=str(file)), tmp_path, "zoo").folder)


def test_columns_named_like_what_their_module_imports(tmp_path: Path):
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute(f"create table request({', '.join(f'{n} text' for n in IMPORTED)})")
    connection.close()
    where = f"sqlite:///{tmp_path / 'shop.db'}"
    check(make(Answers(kind="database", where=where), tmp_path, "zoo").folder)


def test_commands_and_options_named_like_what_their_module_imports(tmp_path: Path):
    script = tmp_path / "tool"
    options = "".join(f"  --{name} TEXT  About.\\n" for name in IMPORTED)
    commands = "".join(f"  {name}  About.\\n" for name in IMPORTED)
    said = f"Usage: tool [OPTIONS]\\n\\nOptions:\\n{options}\\nCommands:\\n{commands}"
    script.write_text(f"#!{sys.executable}\nprint('''{said}''')\n")
    script.chmod(0o755)
    answers = Answers(kind="cli", where=str(script), only=IMPORTED, name="zoo")
    folder = tmp_path / "zoo"
    source = read_source(answers)
    assert "set the variable that ends in `_PROGRAM`" in " ".join(source.notes)
    write_project(folder, render_server(spec_of(answers, source)))
    check(folder)


def test_tools_named_like_the_examples_of_features_are_kept_beside_them(tmp_path: Path):
    names = ["count_visit", "greet_user", "count_slowly"]
    source = read_openapi(paths_of(["a", "b", "extras"], tuple(names)))
    answers = Answers(kind="openapi", where="x", name="zoo", features=FEATURES)
    write_project(tmp_path / "all", files := render_server(spec_of(answers, source)))
    lint(tmp_path / "all")
    pages = {path for path in files if path.startswith("docs/tools/")}
    assert pages == {f"docs/tools/{name}{end}.md" for name in names for end in ("", "_2")}
    assert all(f'- "{name}_2"\n' in files["policy.yaml"] for name in names)
    answers = replace(answers, features=FEATURES[:2])  # what tasks need is installed for few tests
    write_project(tmp_path / "zoo", render_server(spec_of(answers, source)))
    check(tmp_path / "zoo")


def test_curl_line_whose_group_is_a_builtin(tmp_path: Path):
    answers = Answers(kind="curl", where="curl 'https://a.b/filter?declare=1&request=2'")
    check(make(answers, tmp_path, "zoo").folder)


def test_argument_of_any_annotation_has_a_sample_that_fits(tmp_path: Path):
    file = tmp_path / "shapes.py"
    lines = [f"def f{number}(x: {shape}): ...\n" for number, shape in enumerate(SHAPES)]
    file.write_text("from typing import *\nUnknown = object\n" + "".join(lines))
    check(make(Answers(kind="python", where=str(file)), tmp_path, "zoo").folder)


@pytest.mark.parametrize("kind", SOURCES)
def test_project_passes_its_tests_and_types_whatever_its_source_calls_things(
    kind: str, tmp_path: Path
):
    folder = make_unlucky(kind, tmp_path, FEW).folder
    check(folder)
    run(folder, "pyright", "--pythonpath", sys.executable)
