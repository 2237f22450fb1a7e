"""The compiler alone: no attempt reaches an object outside the allowed set."""

import pytest

from tests.escape.attempt import (
    Attempt,
    attempts,
    run_against_compiler,
    stolen_in_plain_python,
)
from tests.sandbox.compiler.shared_state import fingerprint

ATTEMPTS = attempts()


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attempt_reaches_nothing_outside_the_allowed_set(attempt: Attempt):
    before = fingerprint()
    assert run_against_compiler(attempt).reached == []
    assert fingerprint() == before, "the attempt changed something that plugins share"


@pytest.mark.parametrize("attempt", [item for item in ATTEMPTS if item.has_control], ids=str)
def test_attempt_succeeds_where_there_is_no_wall(attempt: Attempt):
    assert stolen_in_plain_python(attempt), "it steals nothing even in plain CPython"


def test_the_table_holds_several_hundred_attempts():
    assert len(ATTEMPTS) >= 300
    assert len({str(attempt) for attempt in ATTEMPTS}) == len(ATTEMPTS)
