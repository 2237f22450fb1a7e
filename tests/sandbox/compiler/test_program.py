"""A program of code mode behaves like a script."""

from typing import Any

from host.sandbox.compiler import compile_plugin


def _tool(function: Any) -> Any:
    return function


def _ran(source: str) -> Any:
    program = compile_plugin(source, name="program", entry="run")
    body = program.load(extra_builtins={"tool": _tool})["run"]()
    try:
        body.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waits for something")


def test_the_last_expression_is_what_a_program_returns():
    assert _ran("x = 3\nx * 2") == 6


def test_what_a_script_runs_as_main_is_run():
    declared = "found = []\ndef main():\n    found.append(1)\n"
    assert _ran(f"{declared}if __name__ == '__main__':\n    main()\nfound") == [1]
