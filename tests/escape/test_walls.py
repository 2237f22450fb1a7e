"""The attempts of the compiler's table in confined workers: with both walls, and the process alone.

The compiler alone is in test_compiler_alone.py, the attempts on the process in process/.
"""

import platform
import sys
from collections.abc import Iterator

import pytest

from tests.escape.attempt import Attempt, attempts
from tests.escape.process.arena import Arena

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="the attempts use x86-64 Linux system-call numbers",
)

BOTH = "tests.fakes.walking_loader:compile_plugin"
PROCESS_ALONE = "tests.fakes.walking_loader:compile_plainly"
ATTEMPTS = attempts()


@pytest.fixture(scope="module")
def both() -> Iterator[Arena]:
    arena = Arena(loader=BOTH)
    yield arena
    arena.close()


@pytest.fixture(scope="module")
def process_alone() -> Iterator[Arena]:
    arena = Arena(loader=PROCESS_ALONE)
    yield arena
    arena.close()


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attempt_reaches_nothing_behind_both_walls(both: Arena, attempt: Attempt):
    found = both.run(attempt.source, "verdict")
    assert found["outcome"] == "returned", found
    assert found["value"]["reached"] == []


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attempt_does_no_harm_where_only_the_process_holds(process_alone: Arena, attempt: Attempt):
    found = process_alone.run(attempt.source, "verdict")
    assert found["outcome"] in {"returned", "died", "failed", "timed out", "rejected"}, found
    if found["outcome"] == "returned":
        assert found["value"]["harm"] == []


def test_what_is_stolen_does_harm_where_no_wall_stands():
    arena = Arena("none", loader=PROCESS_ALONE)
    found = arena.run("steal(__builtins__)", "verdict")
    arena.close()
    assert found["value"]["stolen"] == 1
    assert {"read a file", "list a folder", "start a process"} <= set(found["value"]["harm"])
