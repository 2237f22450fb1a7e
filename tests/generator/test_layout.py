"""Projects are laid out and linted whatever names and texts their source has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from generator.answers import Answers, spec_of
from generator.layout import lay_out
from generator.project import render_server
from generator.sources.blank import read_blank
from generator.update import update_project
from generator.write import write_project
from tests.generator.unlucky import SOURCES, make_unlucky

UGLY = {"a.py": "x = 'It\\'s'\n", "b.md": "x = 'y'\n"}
PRETTY = {"a.py": 'x = "It\'s"\n', "b.md": "x = 'y'\n"}


def test_project_is_formatted_and_linted_whatever_its_source_calls_things(tmp_path: Path):
    for kind in SOURCES:
        make_unlucky(kind, tmp_path)
    for words in (["format", "--check"], ["check", "--output-format=concise"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--no-cache", tmp_path / "made"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_python_is_laid_out_and_all_else_stays_as_it_is():
    said: list[str] = []
    assert lay_out(UGLY, say=said.append) == PRETTY
    assert lay_out({"b.md": "x = 'y'\n"}, say=said.append) == {"b.md": "x = 'y'\n"}
    assert said == []


def test_file_that_is_no_python_stays_and_is_said_while_others_are_laid_out():
    said: list[str] = []
    assert lay_out({**UGLY, "c.py": "def (\n"}, say=said.append) == {**PRETTY, "c.py": "def (\n"}
    (sentence,) = said
    assert "c.py" in sentence
    assert "`ruff format` in the project" in sentence


@pytest.mark.parametrize(
    ("ruff", "why"),
    [
        (("no-such-program-anywhere",), "cannot be run (FileNotFoundError)"),
        ((sys.executable, "-c", "raise SystemExit(3)"), "ruff ended with 3"),
    ],
)
def test_without_ruff_files_stay_as_they_are_and_it_is_said(ruff: tuple[str, ...], why: str):
    said: list[str] = []
    assert lay_out(UGLY, say=said.append, ruff=ruff) == UGLY
    assert [why in sentence for sentence in said] == [True]


def test_module_called_ruff_in_a_project_is_not_run(tmp_path: Path):
    mark = tmp_path / "it_ran"
    files = {"ruff.py": f"open({os.fspath(mark)!r}, 'w')\n", **UGLY}
    assert lay_out(files)["a.py"] == PRETTY["a.py"]
    assert not mark.exists()


def test_layout_follows_the_line_length_of_a_template_of_ones_own(tmp_path: Path):
    (tmp_path / "pyproject.j2").write_text(
        "{# file: pyproject.toml #}\n[tool.ruff]\nline-length = 60\n"
    )
    spec = spec_of(Answers(name="notes"), read_blank())
    narrow = render_server(spec, extra_templates=[tmp_path])
    wide = render_server(spec)
    lines = [
        sum(text.count("\n") for path, text in files.items() if path.endswith(".py"))
        for files in (narrow, wide)
    ]
    assert lines[0] > lines[1]


OLD = "a = 'It\\'s'\n\n\n\nb = 1\n"
"""A file as it was made once, by a version that did not lay it out."""
NEW = 'a = "It\'s"\n\n\nb = 2\n'


@pytest.mark.parametrize(
    ("mine", "change", "now"),
    [
        (OLD, "changed", NEW),
        ('a = "It\'s"\n\n\nb = 1\n', "changed", NEW),
        ('a = "It\'s"\nmine = 1\n\n\nb = 1\n', "merged", 'a = "It\'s"\nmine = 1\n\n\nb = 2\n'),
        ("a = 'It\\'s'\n\n\n\nb = 3\n", "conflict", None),
    ],
    ids=["untouched", "laid-out-by-its-author", "laid-out-and-edited", "both-edited"],
)
def test_update_takes_a_layout_for_no_edit(mine: str, change: str, now: str | None, tmp_path: Path):
    write_project(tmp_path / "zoo", {"a.py": mine})
    outcome = update_project(tmp_path / "zoo", {"a.py": OLD}, {"a.py": NEW})
    assert outcome.changes == {"a.py": change}
    text = (tmp_path / "zoo/a.py").read_text("utf-8")
    assert text == now or (now is None and "<<<<<<< yours" in text)
