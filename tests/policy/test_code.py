"""Conditions in code: what a plugin's rule says, and what holds where it does not say."""

from typing import Any

import pytest

from host.domain.errors import PolicyError
from host.policy.case import run_cases
from host.policy.case_document import CaseConfig
from host.policy.decision import decide
from host.policy.policy_set import PolicySet
from tests.policy.conftest import attempt, policy_of


def with_rule(action: str, **more: Any) -> PolicySet:
    other = "deny" if action == "allow" else "allow"
    rule = {"name": "r", "action": action, "match": {"plugin": "guard.odd", **more}}
    return policy_of({"default": other, "rules": [rule]})


def said(policy: PolicySet, found: bool | str | None) -> str:
    facts = policy.gather(attempt())
    if found is not None:
        facts.code["guard.odd"] = found
    return decide(facts, policy).action


@pytest.mark.parametrize(
    ("action", "other"), [("deny", "allow"), ("ask", "allow"), ("allow", "deny")]
)
def test_rule_holds_where_its_plugin_says_so(action: str, other: str):
    policy = with_rule(action)
    assert said(policy, True) == action
    assert said(policy, False) == other


@pytest.mark.parametrize("unsaid", ["it crashed", None])
def test_plugin_that_does_not_say_counts_as_the_stricter(unsaid: str | None):
    assert said(with_rule("deny"), unsaid) == "deny"
    assert said(with_rule("ask"), unsaid) == "ask"
    assert said(with_rule("allow"), unsaid) == "deny"


def test_exception_of_a_deny_does_not_hold_where_its_plugin_does_not_say():
    rule = {"name": "r", "action": "deny", "except": [{"plugin": "guard.odd"}]}
    policy = policy_of({"default": "allow", "rules": [rule]})
    assert said(policy, True) == "allow"
    assert said(policy, False) == "deny"
    assert said(policy, "it crashed") == "deny"


def test_reason_tells_why_a_plugin_did_not_say():
    policy = with_rule("deny")
    facts = policy.gather(attempt())
    facts.code["guard.odd"] = "the plugin rule guard.odd does not say: it took too long"
    assert "does not say: it took too long, so it counts" in decide(facts, policy).reasons[0]


def test_plugin_is_only_asked_where_the_decision_hangs_on_it():
    assert with_rule("deny").open_code(with_rule("deny").gather(attempt())) == ["guard.odd"]
    other = with_rule("deny", user="bob")
    assert other.open_code(other.gather(attempt())) == []
    elsewhere = with_rule("deny", name="mail__send")
    assert elsewhere.open_code(elsewhere.gather(attempt())) == []
    policy = with_rule("deny")
    facts = policy.gather(attempt())
    facts.code["guard.odd"] = False
    assert policy.open_code(facts) == []


@pytest.mark.parametrize("name", ["guard", "guard.", ".odd", "guard.odd()", "guard.a.b", "g d.x"])
def test_what_names_no_function_of_a_plugin_is_a_fault_of_the_file(name: str):
    with pytest.raises(PolicyError, match=r"has to name a plugin and its function, such as"):
        policy_of({"rules": [{"name": "r", "action": "deny", "match": {"plugin": name}}]})


def test_case_says_what_its_plugins_would():
    policy = with_rule("deny")
    calls = {"yes": ({"guard.odd": True}, "deny"), "no": ({"guard.odd": False}, "allow")}
    cases = [
        CaseConfig.model_validate(
            {"name": name, "call": {"name": "a__b", "plugins": plugins}, "expect": expected}
        )
        for name, (plugins, expected) in {**calls, "unsaid": ({}, "deny")}.items()
    ]
    assert [one.problem for one in run_cases(cases, policy)] == [None, None, None]
