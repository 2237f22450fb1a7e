"""Generated programs that call what they can reach: rejected, refused, or as in CPython."""

import gc
import os
from collections.abc import Iterator

import pytest

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.compiler.call_grammar import written
from tests.sandbox.compiler.call_runs import (
    REFUSALS,
    in_plain_python,
    in_the_sandbox,
    kept,
    may_be_compared,
)
from tests.sandbox.compiler.shared_state import fingerprint
from tests.sandbox.compiler.test_fuzz import examples

pytestmark = pytest.mark.filterwarnings("ignore")  # programs leave coroutines that nobody awaits
PROGRAMS = st.lists(st.integers(0, 2**24 - 1), min_size=1, max_size=8)


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()  # here, where warnings about what programs left are ignored


@settings(
    max_examples=examples(20),
    derandomize="HOST_FUZZ_EXAMPLES" not in os.environ,  # a long run makes programs of its own
    deadline=None,
    database=None,
    suppress_health_check=(HealthCheck.too_slow,),
)
@given(PROGRAMS)
def test_program_that_calls_is_refused_or_behaves_as_in_cpython_and_reaches_nothing(
    numbers: list[int],
):
    check_program(numbers)


def check_program(numbers: list[int]) -> None:
    """Run a program here and in CPython, and judge what it got."""
    statements = written(numbers)
    before = fingerprint()
    played = in_the_sandbox(statements)
    assert played.found == []
    assert fingerprint() == before
    plain = kept(statements, played)
    again = in_the_sandbox(plain)
    if again.hidden or not may_be_compared(plain, again.picked):
        return
    for here, there in zip(again.outcomes, in_plain_python(plain, again.picked), strict=False):
        if here.how in REFUSALS:  # a refusal that the program took for an answer
            return
        assert here == there
