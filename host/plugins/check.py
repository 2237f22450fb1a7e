"""What is wrong with a plugin before anybody installs it; used by the command line."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from host.domain.errors import PluginLoadError, SandboxError
from host.plugins.bundle import CODE, TESTS, Bundle
from host.plugins.crew import Crew
from host.plugins.shapes import shape_problem
from host.sandbox.pool import DeclaredFunction, SandboxPool


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or may be.

    Attributes:
        file: Name of the file.
        line: Its line, counted from 1; 0 where the whole file is meant.
        column: Its column, counted from 1; 0 where there is none.
        construct: What was found.
        why: Why it is wrong.
        instead: What to write instead.
        fatal: Whether the plugin cannot be used like this.
    """

    file: str
    line: int
    column: int
    construct: str
    why: str
    instead: str
    fatal: bool = True

    def sentence(self) -> str:
        """Return it as one line for a person."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        quoted = f" `{self.construct}`:" if self.construct else ""
        mark = "" if self.fatal else " warning:"
        return f"{place}:{mark}{quoted} {self.why} {self.instead}".rstrip()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found.

    Attributes:
        problems: Faults and warnings, by line.
        functions: What the plugin declares; empty where it does not load.
    """

    problems: tuple[Problem, ...]
    functions: tuple[DeclaredFunction, ...]

    @property
    def good(self) -> bool:
        """Whether the plugin can be used."""
        return not any(problem.fatal for problem in self.problems)


async def check_bundle(pool: SandboxPool, bundle: Bundle) -> Verdict:
    """Compile and load a plugin in the sandbox, and look for what would go wrong later.

    Raises:
        SandboxError: The sandbox itself cannot be used.
    """
    try:
        crew = await Crew.start(pool, bundle)
    except PluginLoadError as error:
        return Verdict(tuple(load_problems(error)), ())
    functions = tuple(crew.functions)
    crew.retire()
    problems = [*_check_functions(functions), *_check_calls(bundle)]
    return Verdict(tuple(sorted(problems, key=lambda one: one.line)), functions)


def load_problems(error: SandboxError, *, above: int | None = None) -> Iterator[Problem]:
    """Yield why a plugin does not load.

    Args:
        error: What the sandbox said.
        above: Lines of the plugin's own where its tests were loaded behind it.
    """
    findings: Sequence[object] = getattr(error, "findings", ())
    for finding in findings:
        if isinstance(finding, dict):
            said = cast("dict[str, Any]", finding)
            line = int(said.get("line", 0))
            tests = above is not None and line > above
            yield Problem(
                TESTS if tests else CODE,
                line - above if above is not None and tests else line,
                int(said.get("column", 0)),
                str(said.get("construct", "")),
                str(said.get("why", "")),
                str(said.get("instead", "")),
            )
    if not findings:
        yield Problem(CODE, 0, 0, "", str(error), "")


def _check_functions(functions: Sequence[DeclaredFunction]) -> Iterator[Problem]:
    if not functions:
        why, instead = "It declares nothing.", "Mark a function with @tool."
        yield Problem(CODE, 0, 0, "", why, instead)
    for function in functions:
        if function.kind == "tool" and not function.description:
            why = "Models choose tools by their description, and this one has none."
            yield Problem(CODE, 0, 0, function.name, why, "Give it a docstring.", fatal=False)
        shape = None if function.kind == "tool" else shape_problem(function)
        if shape:
            yield Problem(CODE, 0, 0, function.name, shape, "See docs/plugins.md for the shapes.")
        properties: dict[str, object] = function.parameters.get("properties", {})
        for name, schema in properties.items():
            if schema == {} and function.kind == "tool":
                why = f"The parameter {name} has no type, so models have to guess."
                yield Problem(CODE, 0, 0, function.name, why, "Annotate it.", fatal=False)


def _check_calls(bundle: Bundle) -> Iterator[Problem]:
    """Compare the tools that are named in the code with those that the manifest asks for."""
    try:  # it has passed the sandbox's own compiler, so this is a plain and bounded tree
        tree = ast.parse(bundle.code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    allowed = bundle.manifest.capabilities
    for node in ast.walk(tree):
        called = _called_tool(node)
        if called is not None and not allowed.allows_tool(called):
            yield Problem(
                CODE,
                getattr(node, "lineno", 0),
                getattr(node, "col_offset", 0) + 1,
                f"host.call_tool({called!r})",
                "The manifest does not ask for this tool, so the call would be refused.",
                "Add it to capabilities.tools.",
                fatal=False,
            )


def _called_tool(node: ast.AST) -> str | None:
    match node:
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="host"), attr="call_tool"),
            args=[ast.Constant(value=str(name)), *_],
        ):
            return name
        case _:
            return None
