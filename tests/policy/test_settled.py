"""A decision about all calls of a tool by a caller is the one that each of them would get."""

from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from host.policy.attempt import Attempt
from host.policy.limit import MemoryCounters
from host.policy.policy_set import PolicySet
from tests.policy.conftest import NOON, attempt, policy_of
from tests.policy.test_shipped import POLICIES, calls

ARGUMENTS: list[Any] = [{}, {"text": "rude"}, {"path": "/etc/passwd", "n": 3}, {"a": [{"b": 1}]}]


def variants(call: Attempt) -> list[Attempt]:
    """The same call with other arguments and at another time."""
    return [
        replace(call, arguments=arguments, now=now)
        for arguments, now in product(ARGUMENTS, [NOON, NOON + timedelta(hours=9)])
    ]


def check(policy: PolicySet, call: Attempt) -> bool:
    found = policy.settle(call)
    if found is None:
        return False
    for one in variants(call):
        facts = policy.gather(one, MemoryCounters())
        decided = policy.decide(one, MemoryCounters())
        assert (decided, facts.labels) == found, one
    return True


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_what_a_shipped_policy_settles_holds_for_every_such_call(name: str):
    settled = [check(POLICIES[name], attempt(**fields)) for fields in calls()]
    assert any(settled)


NOBODY = {"any": ["never-met"]}
DECIDED_EACH_TIME: dict[str, dict[str, Any]] = {
    "arguments": {"match": {"arguments": {"/text": {"in": ["rude"]}}}},
    "the time": {"match": {"times": {"start": "11:00", "end": "13:00"}}},
    "an expression": {"match": {"when": "size(args) > 1"}},
    "an exception": {"match": {}, "except": [{"arguments": {"/text": {"in": ["rude"]}}}]},
    "a limit": {"match": {}, "action": "allow", "limits": [{"most": 1, "per": "day"}]},
}


def policy_with(rule: dict[str, Any]) -> PolicySet:
    allowed = {"name": "free", "action": "allow"}
    return policy_of(
        {"default": "ask", "rules": [allowed, {"name": "r", "action": "deny", **rule}]}
    )


@pytest.mark.parametrize("by", sorted(DECIDED_EACH_TIME))
def test_a_call_that_hangs_on_more_than_its_caller_and_tool_is_looked_at_each_time(by: str):
    assert not check(policy_with(DECIDED_EACH_TIME[by]), attempt())


@pytest.mark.parametrize("by", sorted(DECIDED_EACH_TIME))
def test_a_rule_about_other_calls_does_not_keep_a_call_from_being_settled(by: str):
    rule = DECIDED_EACH_TIME[by]
    for other in ({"name": "web__get"}, {"server": "web"}, {"taint": NOBODY}, {"user": "bob"}):
        assert check(policy_with({**rule, "match": {**rule["match"], **other}}), attempt())
