"""Conditions in CEL, the Common Expression Language: compiled once, asked last, failing closed."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from host.domain.names import nearest_names
from host.policy.answer import Answer

if TYPE_CHECKING:
    import cel

VARIABLES = (
    "agent",
    "annotations",
    "args",
    "attended",
    "client",
    "face",
    "labels",
    "method",
    "name",
    "now",
    "role",
    "server",
    "session",
    "taint",
    "tool",
    "user",
)
"""What an expression can speak of."""

LONGEST = 2_000
"""Characters of an expression."""
MOST_STEPS = 1_000_000
"""Values of the arguments, to the power of the loops over them, that are gone through."""

_LOOP = re.compile(
    r"\.\s*(all|exists|exists_one|existsOne|map|filter|transformList|transformMap)\s*\("
)
_LOCAL = re.compile(r"\(\s*([A-Za-z_]\w*)\s*,(?:\s*([A-Za-z_]\w*)\s*,)?")
_FAILURES = (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, AttributeError)


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled condition; `loops` is how many there are inside."""

    text: str
    program: "cel.Program"
    loops: int

    def match(self, context: "cel.Context", *, values: int) -> Answer:
        """Return whether it holds.

        Unknown is the answer where it fails, as on an argument that is absent or of another type,
        where it yields something else than true or false, and where it would take too long.

        Args:
            context: The variables.
            values: How many values the arguments have.
        """
        if self.loops and max(values, 2) ** self.loops > MOST_STEPS:
            return Answer.UNKNOWN
        try:
            found: Any = self.program.execute(context)
        except _FAILURES:
            return Answer.UNKNOWN
        if found is True:
            return Answer.YES
        return Answer.NO if found is False else Answer.UNKNOWN


def parse_expression(text: str) -> Expression:
    """Compile a condition.

    Raises:
        ValueError: It is not CEL, too long, or speaks of something that is not known.
    """
    import cel  # noqa: PLC0415 - brings a terminal's editor along; most policies have no condition

    if len(text) > LONGEST:
        raise ValueError(f"The condition has more than {LONGEST} characters")
    try:
        program = cel.compile(text)
    except _FAILURES as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        problem = next((line for line in lines if "rror" in line), lines[0] if lines else "")
        raise ValueError(f"This is not a CEL condition: {problem[-200:]}") from None
    loops = len(_LOOP.findall(text))
    own = {name for pair in _LOCAL.findall(text) for name in pair} if loops else set[str]()
    for name in program.variables():
        if name not in VARIABLES and name not in own and not name.startswith("@"):
            near = nearest_names(name, VARIABLES, most=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(VARIABLES)}"
            raise ValueError(f"The condition speaks of {name!r}, which is not known; {hint}")
    _check_functions(program)
    return Expression(text, program, loops)


def _check_functions(program: "cel.Program") -> None:
    for name in program.functions():
        if name[0].isalpha() and name not in _FUNCTIONS:
            near = nearest_names(name, _FUNCTIONS, most=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(_FUNCTIONS)}"
            raise ValueError(f"There is no function {name!r} in CEL here; {hint}")


_FUNCTIONS = (
    *("size", "contains", "startsWith", "endsWith", "matches", "has", "int", "uint", "double"),
    *("string", "bytes", "bool", "type", "dyn", "duration", "timestamp", "getFullYear"),
    *("getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours"),
    *("getMinutes", "getSeconds", "getMilliseconds", "max", "min"),
    *("all", "exists", "exists_one", "map", "filter"),
)


def cel_context(variables: dict[str, Any]) -> "cel.Context":
    """Return the variables in CEL's own form, made once for all conditions of a decision.

    Raises:
        ValueError: Something has no such form, such as half a surrogate pair.
    """
    import cel  # noqa: PLC0415 - see `parse_expression`

    return cel.Context(variables)
