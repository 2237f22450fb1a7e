"""More generated programs than every test run has; and that they would show a mend that is gone."""

from collections.abc import Iterator
from random import Random

import pytest

from tests.sandbox.compiler.call_grammar import written
from tests.sandbox.compiler.call_runs import in_the_sandbox
from tests.sandbox.compiler.test_calling import MENDS
from tests.sandbox.compiler.test_fuzz_calls import _collected, check_program, pytestmark

__all__ = ["_collected", "pytestmark"]


def programs(seed: int, count: int) -> Iterator[list[int]]:
    """Return the numbers of programs, the same ones every time."""
    dice = Random(seed)  # noqa: S311 - so that a failure can be looked at again
    return ([dice.randrange(2**24) for _ in range(8)] for _ in range(count))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(4))
def test_generated_programs_are_refused_or_behave_as_in_cpython_and_reach_nothing(seed: int):
    for numbers in programs(seed, 100):
        check_program(numbers)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "mend", ["fields are judged", "formatters are told by identity", "no traceback is shown"]
)
def test_generated_programs_notice_a_mend_that_is_switched_off(
    mend: str, monkeypatch: pytest.MonkeyPatch
):
    in_the_sandbox([])  # what is walked once is walked with all mends
    switch_off, expected = MENDS[mend]
    switch_off(monkeypatch)
    found = (in_the_sandbox(written(numbers)).found for numbers in programs(5, 1_000))
    assert any(expected in {one.what for one in got} for got in found)
