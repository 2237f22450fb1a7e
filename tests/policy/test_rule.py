from dataclasses import replace
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest

from host.approvals.approval import may_answer, standing
from host.domain.principal import Principal
from host.policy.limit import FixedCounters, MemoryCounters
from tests.policy.conftest import Judge, attempt, policy_of


def rule(name: str, action: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "action": action, **more}


@pytest.mark.parametrize("order", list(permutations(["allow", "ask", "deny"])))
def test_deny_wins_over_ask_and_ask_over_allow_in_any_order(order: tuple[str, ...]):
    rules = [rule(action, action) for action in order]
    assert policy_of({"default": "allow", "rules": rules}).decide(attempt()).action == "deny"
    without = [one for one in rules if one["action"] != "deny"]
    assert policy_of({"default": "allow", "rules": without}).decide(attempt()).action == "ask"


def test_a_call_without_a_rule_gets_the_strictest_default_of_all_files():
    assert policy_of({"default": "allow"}, {"default": "ask"}).decide(attempt()).action == "ask"
    assert policy_of({"default": "ask"}, {"rules": []}).decide(attempt()).action == "ask"
    assert policy_of({"rules": []}).decide(attempt()).action == "deny"


def test_an_exception_takes_a_call_out_of_its_own_rule_only():
    quiet = rule("writes", "deny", match={"server": "files"}, **{"except": [{"tool": "append"}]})
    policy = policy_of({"default": "allow", "rules": [quiet]})
    assert policy.decide(attempt("files__append")).action == "allow"
    assert policy.decide(attempt("files__write")).action == "deny"
    both = policy_of({"default": "allow", "rules": [quiet, rule("all", "ask")]})
    assert both.decide(attempt("files__append")).action == "ask"


def test_a_pattern_matches_exactly_what_it_says(judge: Judge):
    match = {"name": "bash"}
    assert judge.applies("deny", match, name="bash")
    for other in ("bash_session", "Bash", " bash", "bаsh", "mybash", "ｂash"):  # noqa: RUF001
        assert not judge.applies("deny", match, name=other), other
    assert judge.applies("deny", {"name": "files__*"}, name="files__write")
    assert not judge.applies("deny", {"name": "files__*"}, name="files_write")
    assert judge.applies("deny", {"name": "*__get_?x*"}, name="a__get_axy")
    assert not judge.applies("deny", {"name": "a.c"}, name="abc")
    assert not judge.applies("deny", {"name": "[ab]"}, name="a")


def test_a_hostile_name_does_not_make_a_pattern_slow(judge: Judge):
    assert not judge.applies("deny", {"name": "*a*a*a*a*a*a*a*a*b"}, name="a" * 20_000)


@pytest.mark.parametrize(
    ("match", "fields"),
    [
        ({"method": "sampling"}, {"method": "sampling/createMessage"}),
        ({"method": ["prompt", "completion"]}, {"method": "completion/complete"}),
        ({"method": "resource"}, {"method": "resources/read"}),
        ({"method": "elicitation"}, {"method": "elicitation/create"}),
        ({"method": "roots"}, {"method": "roots/list"}),
        ({"method": "other"}, {"method": "vendor/thing"}),
        ({"server": "git*"}, {"server": "github"}),
        ({"tool": "write"}, {"tool": "write"}),
        ({"user": "ann"}, {"principal": Principal("ann", "x")}),
        ({"role": "viewer"}, {"principal": Principal("b", "x", role="viewer")}),
        ({"client": "cursor"}, {"principal": Principal("b", "cursor")}),
        ({"agent": "*"}, {"agent": "writer"}),
        ({"face": "schedule"}, {"face": "schedule"}),
        ({"attended": True}, {"principal": Principal("b", "x", attended=True)}),
        ({"trusted": True}, {"trusted": True}),
        ({"labels": {"all": ["secret", "blue"]}}, {"labels": frozenset({"secret", "blue"})}),
        ({"taint": "untrusted"}, {"taint": frozenset({"untrusted"})}),
        (
            {"annotations": {"idempotentHint": True}},
            {"trusted": True, "annotations": {"idempotentHint": True}},
        ),
    ],
)
def test_a_rule_applies_to_what_it_names_and_to_nothing_else(
    judge: Judge, match: dict[str, Any], fields: dict[str, Any]
):
    assert judge.applies("deny", match, **fields)
    plain = {
        "name": "x__y",
        "server": "x",
        "tool": "y",
        "principal": Principal("z", "z", role="user"),
    }
    assert not judge.applies("deny", match, **plain)


def test_annotations_of_a_server_that_is_not_trusted_do_not_count(judge: Judge):
    match = {"annotations": {"readOnlyHint": True}}
    assert judge.applies("allow", match, annotations={"readOnlyHint": True}, trusted=True)
    assert not judge.applies("allow", match, annotations={"readOnlyHint": True})
    assert not judge.applies("allow", match, annotations={"readOnlyHint": 1}, trusted=True)


def test_a_servers_own_label_reads_does_not_count(judge: Judge):
    match = {"labels": ["reads"]}
    assert not judge.applies("allow", match, labels=frozenset({"reads"}))
    trusted = {"trusted": True, "annotations": {"readOnlyHint": True, "openWorldHint": False}}
    assert judge.applies("allow", match, **trusted)
    assert not judge.applies("allow", match, labels=frozenset({"sends"}), **trusted)


@pytest.mark.parametrize(
    ("when", "arguments", "deny", "allow"),
    [
        ("args.amount > 100", {"amount": 101}, True, True),
        ("args.amount > 100", {"amount": 99}, False, False),
        ("args.amount > 100", {"amount": "101"}, True, False),  # a text: cannot tell
        ("args.amount > 100", {}, True, False),
        ("args.amount", {"amount": 1}, True, False),  # neither true nor false
        ("has(args.amount) && args.amount > 100", {}, False, False),
        ("1 / args.amount > 0", {"amount": 0}, True, False),
        ("args.text == 'x'", {"text": "\ud800"}, True, False),
        ("args.list.all(a, args.list.exists(b, a == b))", {"list": [0] * 2000}, True, False),
        ("'files' == server && user == 'ann' && 'sends' in labels", {}, True, True),
        ("now.getHours() == 12 && method == 'tool'", {}, True, True),
    ],
)
def test_a_condition_that_fails_counts_as_the_stricter(
    judge: Judge, when: str, arguments: Any, deny: bool, allow: bool
):
    assert judge.applies("deny", {"when": when}, arguments=arguments) is deny
    assert judge.applies("allow", {"when": when}, arguments=arguments) is allow


def test_an_exception_that_cannot_be_judged_is_none_for_a_deny_and_one_for_an_allow(judge: Judge):
    unsure = [{"when": "args.absent == 1"}]
    assert judge.decide("deny", {}, excepting=unsure).action == "deny"
    assert judge.decide("allow", {}, excepting=unsure).action == "deny"


def test_a_rule_holds_only_at_its_times(judge: Judge):
    office = {
        "times": {"days": ["mon", "wed"], "from": "08:00", "to": "18:00", "zone": "Europe/Berlin"}
    }

    def holds(*moment: int) -> bool:
        return judge.applies("deny", office, now=datetime(*moment, tzinfo=UTC))

    assert holds(2026, 3, 4, 7, 0)  # 08:00 in Berlin, a Wednesday
    assert not holds(2026, 3, 4, 6, 59)
    assert not holds(2026, 3, 4, 17, 0)
    assert not holds(2026, 3, 5, 12, 0)
    night = {"times": {"days": ["fri"], "from": "22:00", "to": "06:00", "zone": "UTC"}}
    assert judge.applies("deny", night, now=datetime(2026, 3, 7, 5, tzinfo=UTC))
    assert not judge.applies("deny", night, now=datetime(2026, 3, 6, 5, tzinfo=UTC))


def test_calls_over_a_limit_get_what_the_rule_says_for_them(judge: Judge):
    clock = [1000.0]
    counters = MemoryCounters(clock=lambda: clock[0])
    limits = [{"most": 2, "per": "minute"}]
    match = {"server": "files"}

    def call() -> str:
        made = judge.decide("allow", match, counters=counters, limits=limits, over="ask")
        if made.action == "allow":
            for key in made.counters:
                counters.add(key)
        return made.action

    assert [call(), call(), call()] == ["allow", "allow", "ask"]
    clock[0] += 59
    assert call() == "ask"
    clock[0] += 3
    assert call() == "allow"


def test_a_limit_counts_for_each_principal_session_or_everyone():
    limits = [{"most": 1, "per": "day", "for": "principal"}]
    policy = policy_of({"rules": [rule("r", "allow", limits=limits)]})
    counters = MemoryCounters()
    for key in policy.decide(attempt(), counters).counters:
        counters.add(key)
    other = attempt(principal=Principal("ann", "vscode"))
    assert policy.decide(attempt(), counters).action == "deny"
    assert policy.decide(other, counters).action == "allow"
    again = MemoryCounters()
    again.restore(counters.entries())
    assert policy.decide(attempt(), again).action == "deny"


def test_without_counters_every_limit_is_used_up(judge: Judge):
    limits = [{"most": 5, "per": "day"}]
    assert judge.decide("allow", {}, limits=limits).action == "deny"
    assert judge.decide("allow", {}, limits=limits, counters=FixedCounters()).action == "allow"


def test_a_budget_is_used_up_when_it_is_reached(judge: Judge):
    limits = [{"most": 2.5, "of": "cost", "per": "day"}]
    spent = {name: FixedCounters({"r": amount}) for name, amount in (("a", 2.4), ("b", 2.5))}
    assert judge.decide("allow", {}, limits=limits, counters=spent["a"]).action == "allow"
    assert judge.decide("allow", {}, limits=limits, counters=spent["b"]).action == "deny"


def test_who_approves_has_to_suit_every_rule_that_asks():
    rules = [
        rule("a", "ask", approvers=["role:admin", "role:approver"]),
        rule("b", "ask", approvers=["user:ann", "user:bob"], every_time=True),
    ]
    made = policy_of({"rules": rules}).decide(attempt())
    assert (made.action, made.every_time) == ("ask", True)
    people = [
        Principal("bob", "x", role="admin"),
        Principal("bob", "x", role="user"),
        Principal("eve", "x", role="admin"),
    ]
    may = [may_answer(made.approvers, standing(one)) for one in people]
    assert may == [True, False, False]


def test_arguments_that_no_rule_can_judge_are_denied():
    policy = policy_of({"default": "allow"})
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    assert policy.decide(attempt(arguments={"x": deep})).action == "deny"
    assert policy.decide(attempt(arguments={"x": [0] * 30_000})).action == "deny"
    assert policy.decide(attempt(arguments={"x": float("nan")})).action == "deny"
    assert policy.decide(attempt(arguments={"x": "y" * 1_000_000})).action == "allow"


def test_the_index_leaves_out_no_rule_that_applies():
    matches: list[dict[str, Any]] = [
        {},
        {"name": "files__write"},
        {"name": ["files__write", "other__x"]},
        {"name": "files__*"},
        {"name": ["files__w*", "files__*e", "*"]},
        {"name": "*write"},
        {"server": "files"},
        {"server": "fi*"},
        {"server": ["files", "x*"], "name": "f*"},
        {"method": ["tool", "prompt"]},
    ]
    rules = [rule(f"r{n}", "ask", match=match) for n, match in enumerate(matches)]
    made = policy_of({"rules": rules}).decide(replace(attempt("files__write")))
    assert sorted(made.rules) == sorted(f"p0/r{n}" for n in range(len(matches)))
