from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from host.domain.principal import Principal
from host.policy.answer import STRICTNESS
from host.policy.limit import FixedCounters
from tests.policy.conftest import attempt, policy_of

LABELS = st.sampled_from(["reads", "sends", "changes", "untrusted", "blue"])
NAMES = st.sampled_from(["files__write", "files__*", "*", "git__push", "git__*", "*sh"])
VALUES = st.sampled_from(["a", "A", " a", "b", 1, "1", 2, None, [], ["a", "b"], {"a": 1}])
ARGUMENT = st.one_of(
    st.fixed_dictionaries({"in": st.lists(st.sampled_from(["a", 1, "b"]), min_size=1)}),
    st.just({"range": {"min": 1}}),
    st.just({"regex": "[a-z]"}),
    st.just({"present": False}),
    st.just({"present": True}),
    st.just({"url": {"host": "a.b"}}),
    st.just({"path": {"inside": "/srv"}}),
)
MATCH = st.fixed_dictionaries(
    {},
    optional={
        "name": NAMES,
        "method": st.sampled_from(["tool", "prompt", ["tool", "resource"]]),
        "labels": st.fixed_dictionaries(
            {}, optional={"any": st.lists(LABELS), "none": st.lists(LABELS)}
        ),
        "taint": st.lists(LABELS, min_size=1),
        "client": st.sampled_from(["cursor", "c*", "vscode"]),
        "attended": st.booleans(),
        "arguments": st.dictionaries(
            st.sampled_from(["/x", "/y", "/x/*", "/**"]), ARGUMENT, max_size=2
        ),
        "when": st.sampled_from(["args.x == 'a'", "'sends' in labels", "args.y > 1", "true", "1"]),
    },
)


def rules(draw: st.DrawFn) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number in range(draw(st.integers(0, 4))):
        action = draw(st.sampled_from(["allow", "ask", "deny"]))
        one: dict[str, Any] = {"name": f"r{number}", "action": action, "match": draw(MATCH)}
        one["except"] = draw(st.lists(MATCH, max_size=2))
        if action != "deny" and draw(st.booleans()):
            one["limits"] = [{"most": draw(st.integers(0, 3)), "per": "day"}]
            one["over"] = draw(st.sampled_from(["ask", "deny"]))
        if action == "ask":
            one["every_time"] = draw(st.booleans())
            one["approvers"] = draw(
                st.lists(st.sampled_from(["role:admin", "user:bob"]), max_size=2)
            )
        found.append(one)
    return found


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    content: dict[str, Any] = {"rules": rules(draw)}
    default = draw(st.sampled_from([None, "allow", "ask", "deny"]))
    return content if default is None else {**content, "default": default}


CALLS = st.builds(
    attempt,
    name=st.sampled_from(["files__write", "git__push", "bash", "x__sh"]),
    method=st.sampled_from(["tools/call", "prompts/get", "resources/read", "vendor/x"]),
    principal=st.builds(Principal, st.just("ann"), st.sampled_from(["cursor", "vscode"])),
    labels=st.frozensets(LABELS),
    taint=st.frozensets(LABELS),
    trusted=st.booleans(),
    annotations=st.sampled_from([{}, {"readOnlyHint": True}]),
    arguments=st.dictionaries(st.sampled_from(["x", "y", "X"]), VALUES),
)


@settings(max_examples=150, deadline=None)
@given(user=files(), project=files(), call=CALLS, used=st.integers(0, 4))
def test_no_project_can_loosen_anything(
    user: dict[str, Any], project: dict[str, Any], call: Any, used: int
):
    counters = FixedCounters({f"r{number}": used for number in range(4)})
    before = policy_of(user).decide(call, counters)
    after = policy_of(user, ("project", project)).decide(call, counters)
    assert STRICTNESS[after.action] >= STRICTNESS[before.action]
    if after.action == before.action == "ask":
        assert set(before.approvers) <= set(after.approvers)
        assert after.every_time or not before.every_time


@settings(max_examples=80, deadline=None)
@given(policy=files(), call=CALLS, order=st.randoms(use_true_random=False))
def test_the_order_of_rules_has_no_meaning(policy: dict[str, Any], call: Any, order: Any):
    shuffled = list(policy["rules"])
    order.shuffle(shuffled)
    one = policy_of(policy).decide(call, FixedCounters())
    other = policy_of({**policy, "rules": shuffled}).decide(call, FixedCounters())
    assert (one.action, one.rules, one.every_time) == (other.action, other.rules, other.every_time)


@settings(max_examples=80, deadline=None)
@given(policy=files(), extra=files(), call=CALLS)
def test_adding_a_rule_that_denies_or_asks_never_loosens(policy: Any, extra: Any, call: Any):
    tighter = [one for one in extra["rules"] if one["action"] != "allow"]
    one = policy_of(policy).decide(call, FixedCounters())
    other = policy_of(policy, {"rules": tighter}).decide(call, FixedCounters())
    # A rule that asks loosens a default of deny, as every rule that is about a call replaces it.
    if one.rule is not None or not any(rule["action"] == "ask" for rule in tighter):
        assert STRICTNESS[other.action] >= STRICTNESS[one.action]
