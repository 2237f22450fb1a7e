from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host.domain.principal import Principal
from host.policy import screen
from host.policy.decision import explain
from host.policy.policy_set import PolicySet
from tests.policy.conftest import attempt, policy_of

SIZE = 30


def ruled(number: int) -> dict[str, Any]:
    matcher: dict[str, Any] = {"regex" if number % 2 else "search": f"v{number}[a-zé]*"}
    if number % 5 == 0:
        matcher["length"] = {"max": 6}
    action = ("ask", "deny", "allow")[number % 3]
    return {
        "name": f"r{number}",
        "action": action,
        "match": {"arguments": {"/to": matcher}},
        "except": [{"user": "bob"}] if number % 7 == 0 else [],
    }


def build() -> PolicySet:
    rules = [ruled(number) for number in range(SIZE)]
    return policy_of({"default": "ask", "rules": rules})


POLICY = build()

words = st.one_of(
    st.sampled_from([f"v{number}" for number in range(SIZE)]),
    st.sampled_from(["ｖ7", "v\u200b9", "v11é", "V13", "v\ud800", "", "v3\nx"]),  # noqa: RUF001
    st.text(max_size=6),
)
values = st.one_of(
    st.lists(words, max_size=3).map("".join),
    st.integers(),
    st.none(),
    st.booleans(),
    st.lists(words, max_size=2),
)
arguments = st.dictionaries(st.sampled_from(["to", "To", "tо", "cc"]), values, max_size=3)  # noqa: RUF001


@settings(
    deadline=None, max_examples=300, database=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(arguments, st.sampled_from(["ann", "bob"]))
def test_ruling_out_together_decides_as_asking_one_by_one(given_arguments: Any, user: str):
    call = attempt(arguments=given_arguments, principal=Principal(user, "cursor"))
    facts = POLICY.gather(call)
    candidates = POLICY.candidates("tool", call.name, call.server)
    assert len(candidates.screens) == 2
    one_by_one = {rule.id for rule in candidates.rules if rule.actions(facts)}
    together = {rule.id for rule in candidates.possible(facts) if rule.actions(facts)}
    assert together == one_by_one


def test_few_rules_are_ruled_out_only_by_their_argument():
    call = attempt(arguments={"to": "v7"})
    candidates = POLICY.candidates("tool", call.name, call.server)
    assert [rule.id for rule in candidates.possible(POLICY.gather(call))] == ["p0/r7"]


def test_rules_that_were_ruled_out_together_are_explained_too():
    told = explain(POLICY.gather(attempt(arguments={"to": "v7"})), POLICY)
    assert len(told.rules) == SIZE
    assert {one.verdict for one in told.rules} == {"applies", "does not apply"}


def test_a_screen_that_gives_up_for_lack_of_memory_rules_nothing_out():
    class GivenUp:
        def Match(self, text: bytes) -> list[int]:  # noqa: N802 - RE2's name
            return []

    full = POLICY.candidates("tool", "files__write", "files").screens[0]
    given_up = screen.Screen(full.pointer, full.rules, GivenUp())
    assert given_up.possible(POLICY.gather(attempt(arguments={"to": "v7"}))) == full.rules


def test_expressions_too_large_to_be_matched_together_are_asked_one_by_one(monkeypatch: Any):
    monkeypatch.setattr(screen, "MEMORY", 5_000)
    policy = build()
    call = attempt(arguments={"to": "v1"})
    assert policy.candidates("tool", call.name, call.server).screens == ()
    assert policy.decide(call).rules == POLICY.decide(call).rules
