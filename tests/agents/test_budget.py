"""What a run sets aside for a request cannot be spent by another one at the same time."""

import pytest

from host.agents.budget import RunBudget
from host.agents.config import AgentLimits
from host.domain.errors import RunLimitError


def test_requests_at_the_same_time_do_not_spend_the_same_money() -> None:
    outer = RunBudget("outer", AgentLimits(cost=1))
    left, right = (RunBudget(name, AgentLimits(cost=5), outer.now) for name in ("a", "b"))
    with left.setting_aside(0.75):
        said = r"limit of \$1: \$0\.0000 is used, \$0\.7500 is kept for requests under way"
        with pytest.raises(RunLimitError, match=said), right.setting_aside(0.5):
            raise AssertionError
        with right.setting_aside(0.25):
            left.now.use(10, 0.0)
    with right.setting_aside(1.0):
        right.now.use(10, 1.0)
    with pytest.raises(RunLimitError, match=r"limit of \$1, \$1\.0000 used"):
        left.now.check()


def test_request_that_fails_gives_back_what_was_kept_for_it() -> None:
    budget = RunBudget("a", AgentLimits(cost=1))
    with pytest.raises(ZeroDivisionError), budget.setting_aside(1.0):
        raise ZeroDivisionError
    with budget.setting_aside(1.0):
        assert budget.limited


def test_run_without_a_limit_of_cost_around_it_keeps_nothing() -> None:
    outer = RunBudget("outer", AgentLimits())
    inner = RunBudget("inner", AgentLimits(), outer.now)
    assert not inner.limited
    inner.hand_over("other", AgentLimits(cost=1))
    assert inner.limited


def test_steps_of_requests_under_way_are_not_left_for_others() -> None:
    outer = RunBudget("outer", AgentLimits(steps=2))
    left, right = (RunBudget(name, AgentLimits(), outer.now) for name in ("a", "b"))
    with left.step(), right.step():
        with pytest.raises(RunLimitError, match="limit of 2 steps"), outer.step():
            raise AssertionError
        assert (left.now.steps, outer.now.steps) == (1, 2)


def test_step_that_was_not_answered_is_given_back() -> None:
    outer = RunBudget("outer", AgentLimits(steps=1))
    inner = RunBudget("inner", AgentLimits(), outer.now)
    with pytest.raises(ZeroDivisionError), inner.step(5):
        raise ZeroDivisionError
    with inner.step():
        pass
    with pytest.raises(RunLimitError, match="limit of 1 steps"):
        outer.now.check()


def test_tokens_that_requests_under_way_have_sent_are_not_left_for_others() -> None:
    outer = RunBudget("outer", AgentLimits(tokens=1000))
    left, right = (RunBudget(name, AgentLimits(), outer.now) for name in ("a", "b"))
    said = "limit of 1,000 tokens, 100 used and 900 in requests under way"
    assert left.counted
    left.now.use(100, 0.0)
    with left.step(900), pytest.raises(RunLimitError, match=said), right.step(1):
        raise AssertionError
    with right.step(1):
        assert not RunBudget("alone", AgentLimits()).counted
