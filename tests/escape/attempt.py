"""The shared table of attempts: each file of `attempts/` is one Python construct.

An attempt is source that calls `steal(x)` with something a plugin must not hold. It is independent
of the wall it is run against. A heading `### name` starts one; `### name !` marks one that means
nothing in plain CPython (it attacks the sandbox's own parts), so it has no control run, and
`### name <3.13` one that CPython itself stops from that version on.
"""

import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from typing_extensions import override

from host.domain.errors import PluginRejectedError
from host.sandbox.compiler import Namespace, compile_plugin
from tests.sandbox.compiler.reach import Reached, outside, reached_outside

FOLDER = Path(__file__).with_name("attempts")


@dataclass(frozen=True)
class Attempt:
    """One way out that somebody might try."""

    construct: str
    name: str
    source: str
    has_control: bool

    @override
    def __str__(self) -> str:
        return f"{self.construct}/{self.name}"


@dataclass(frozen=True)
class Outcome:
    """What the wall made of an attempt."""

    how: Literal["rejected", "raised", "ran"]
    reached: list[Reached]


def attempts() -> list[Attempt]:
    """Return every attempt of the table."""
    return [attempt for path in sorted(FOLDER.glob("*.txt")) for attempt in _read(path)]


def _read(path: Path) -> Iterator[Attempt]:
    for block in path.read_text(encoding="utf-8").split("### ")[1:]:
        heading, _, source = block.partition("\n")
        name, _, mark = heading.strip().partition(" ")
        yield Attempt(path.stem, name, source.strip() + "\n", _works_in_python(mark))


def _works_in_python(mark: str) -> bool:
    if not mark.startswith("<"):
        return mark != "!"
    return sys.version_info < tuple(map(int, mark[1:].split(".")))


def run_against_compiler(attempt: Attempt) -> Outcome:
    """Compile and load an attempt as a plugin, and walk what it left or stole."""
    try:
        plugin = compile_plugin(attempt.source, name="attempt")
    except PluginRejectedError:
        return Outcome("rejected", [])
    stolen: list[Any] = []
    told: list[str] = []
    namespace: Namespace = plugin.prepare(
        extra_builtins={"steal": stolen.append, "report": told.append}
    )
    try:
        namespace.run(plugin.code)
    except Exception:  # noqa: BLE001  # whatever an attack ends with
        return Outcome("raised", _told(told) + reached_outside(namespace, stolen))
    return Outcome("ran", _told(told) + reached_outside(namespace, stolen))


def _told(texts: list[str]) -> list[Reached]:
    """Return what leaked as text, which an attempt reports itself."""
    return [Reached("report", f"text of {len(text)} characters") for text in texts]


def stolen_in_plain_python(attempt: Attempt) -> list[str]:
    """Return what an attempt steals where no wall is, to show that it is a real one."""
    stolen: list[Any] = []
    told: list[str] = []
    names: dict[str, Any] = {"__name__": "attempt", "steal": stolen.append, "report": told.append}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it walks past, and of what it is written like
        try:  # noqa: SIM105  # it may fail after it stole
            exec(compile(attempt.source, "attempt", "exec", dont_inherit=True), names)  # noqa: S102
        except Exception:  # noqa: BLE001, S110  # it may fail after it stole
            pass
        return told + [reason for item in stolen if (reason := outside(item, None))]
