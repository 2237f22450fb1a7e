"""A few attempts of each family in every test run; `make test-escape` makes all of them."""

import platform
import sys
from collections.abc import Iterator

import pytest

from host.sandbox.process.layer import REQUIRED
from tests.escape.attempt import Attempt, attempts, run_against_compiler
from tests.escape.process import test_files, test_kernel, test_network, test_processes
from tests.escape.process.arena import Arena
from tests.escape.process.check import check_held

EVERY = 20
"""Of the compiler's table, one attempt in so many."""

FAMILIES = [test_files, test_kernel, test_network, test_processes]
linux = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64",
    reason="the attempts use x86-64 Linux system-call numbers",
)


@pytest.fixture(scope="module", params=["every layer", "linux minimum"])
def arena(request: pytest.FixtureRequest) -> Iterator[Arena]:
    arena = Arena(*(REQUIRED if request.param == "linux minimum" else ()))
    yield arena
    arena.close()


@pytest.mark.parametrize("attempt", attempts()[::EVERY], ids=str)
def test_attempt_reaches_nothing(attempt: Attempt):
    assert run_against_compiler(attempt).reached == []


@linux
def test_process_holds_alone_against_some_of_each_family(arena: Arena):
    for family in FAMILIES:
        for attempt in list(family.ATTEMPTS.values())[:4]:
            check_held(arena, attempt)


@linux
def test_attempts_reach_nothing_behind_both_walls():
    arena = Arena(loader="tests.fakes.walking_loader:compile_plugin")
    for attempt in attempts()[EVERY // 2 :: EVERY]:
        found = arena.run(attempt.source, "verdict")
        assert found["value"]["reached"] == [], str(attempt)
    arena.close()
