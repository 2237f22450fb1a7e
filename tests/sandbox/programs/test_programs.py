"""Ordinary programs print in the sandbox what they print in plain CPython."""

import builtins
import contextvars
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from host.sandbox.compiler import compile_plugin
from tests.escape.process.arena import Arena

PROGRAMS = [
    block.partition("\n")
    for block in Path(__file__).with_name("programs.txt").read_text("utf-8").split("### ")[1:]
]


def in_plain_python(source: str) -> str:
    written: list[str] = []

    def show(*values: object, sep: str = " ", end: str = "\n") -> None:
        written.append(sep.join(str(value) for value in values) + end)

    names: dict[str, Any] = {
        "__name__": "plugin:program",
        "__builtins__": {**vars(builtins), "print": show},
    }
    module = types.ModuleType("plugin:program")
    module.__dict__.update(names)
    before = sys.modules.get("plugin:program")
    sys.modules["plugin:program"] = module  # dataclasses looks text annotations up there
    code = compile(source, "program", "exec", dont_inherit=True)
    try:
        contextvars.Context().run(
            exec, code, vars(module)
        )  # a decimal context ends with the program
    finally:
        sys.modules["plugin:program"] = before or types.ModuleType("plugin:program")
    return "".join(written)


def in_the_sandbox(source: str) -> str:
    written: list[str] = []
    compile_plugin(source, name="program").load(output=written.append)
    return "".join(written)


_KEPT = r"""_said = []
def print(*values, sep=" ", end="\n"):
    _said.append(sep.join([str(value) for value in values]) + end)
"""
_TOLD = """
@tool
def said() -> str:
    "What was printed."
    return "".join(_said)
"""


def in_worker(arena: Arena, source: str) -> str:
    """Run a program as a plugin of a confined worker; return what it printed, or how it failed."""
    first, _, rest = (
        source.partition("\n") if source.startswith("from __future__") else ("", "", source)
    )
    found = arena.run(f"{first}\n{_KEPT}{rest}\n{_TOLD}", "said", timeout=60)
    told = found["value"] if found["outcome"] == "returned" else str(found)
    return told.replace("plugin:attempt", "plugin:program")


@pytest.mark.parametrize(
    ("name", "source"),
    [(item[0], item[2]) for item in PROGRAMS],
    ids=[item[0] for item in PROGRAMS],
)
def test_program_prints_what_it_prints_in_plain_python(name: str, source: str):
    assert in_the_sandbox(source) == in_plain_python(source)


@pytest.mark.skipif(sys.platform != "linux", reason="the confined process is Linux's")
def test_some_programs_print_the_same_in_a_confined_worker():
    arena = Arena(loader="host.sandbox.compiler:compile_plugin")
    for name, _, source in PROGRAMS[::25] + PROGRAMS[-8:]:
        assert in_worker(arena, source) == in_plain_python(source), name
    arena.close()


def test_there_are_at_least_a_hundred_programs():
    assert len(PROGRAMS) >= 100
