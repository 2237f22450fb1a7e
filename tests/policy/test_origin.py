from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

import pytest

from host.domain.errors import PolicyError
from host.policy.decision import explain
from host.policy.policy_set import PolicySet
from host.policy.provenance import Origin
from host.policy.source import shipped_source
from tests.policy.conftest import Judge, attempt, policy_of


@dataclass(frozen=True)
class Value:
    kind: str
    text: str
    origins: frozenset[Origin]


class Memory:
    """Says of each text where it was seen, as it was told."""

    def __init__(self, **seen: Any) -> None:
        self.seen = seen

    def asks_for(self, action: str) -> bool:
        return "asked" in self.seen

    def trace(
        self,
        value: object,
        name: str = "",
        *,
        server: str | None = None,
        texts: Collection[str] = (),
    ) -> list[Value]:
        found: list[Value] = []
        members = cast("dict[str, Any]", value) if isinstance(value, dict) else {name: value}
        for member, one in members.items():
            kind, *origins = self.seen[member].split()
            found.append(Value(kind, str(one), frozenset(origins)))
        return found


def asks(judge: Judge, action: str, provenance: Any, **seen: Any) -> bool:
    matcher = {"": {"provenance": provenance}}
    call = attempt(arguments=dict.fromkeys(seen, "x"), provenance=Memory(**seen))
    return judge.decide(action, {"arguments": matcher}, call).rule is not None


def test_a_rule_asks_whether_some_value_is_from_somewhere(judge: Judge):
    some = {"some": "untrusted"}
    assert asks(judge, "ask", some, to="address untrusted", body="text user")
    assert not asks(judge, "ask", some, to="address user", body="text user")
    assert not asks(judge, "ask", some)


def test_a_rule_asks_whether_every_value_is_from_somewhere(judge: Judge):
    every = {"some": "user", "every": [{"any": ["user"]}, {"any": ["composed"], "kinds": ["text"]}]}
    assert asks(judge, "allow", every, to="address user", body="text composed")
    assert not asks(judge, "allow", every, to="address user", body="name composed")
    assert not asks(judge, "allow", every, body="text composed")
    assert not asks(judge, "allow", every)


def test_origins_can_be_demanded_and_ruled_out(judge: Judge):
    only = {"every": {"all": ["user"], "none": ["untrusted"]}}
    assert asks(judge, "allow", only, to="address user")
    assert not asks(judge, "allow", only, to="address user untrusted")


def test_one_argument_can_be_asked_about(judge: Judge):
    match = {"arguments": {"/to": {"provenance": {"every": "user"}}}}
    arguments = {"to": "a", "cc": "b"}
    memory = Memory(to="address user", cc="address untrusted")
    assert judge.applies("allow", match, arguments=arguments, provenance=memory)
    assert not judge.applies("allow", match, arguments={"to": "a"}, provenance=Memory(to="name x"))


@pytest.mark.parametrize(("action", "applies"), [("allow", False), ("ask", True), ("deny", True)])
def test_where_the_user_is_not_heard_the_stricter_counts_and_it_is_said(action: str, applies: bool):
    match = {"arguments": {"": {"provenance": {"some": "user"}}}}
    default = "deny" if action == "allow" else "allow"
    policy = policy_of(
        {"default": default, "rules": [{"name": "r", "action": action, "match": match}]}
    )
    facts = policy.gather(attempt())
    told = explain(facts, policy)
    assert (told.decision.rule is not None) is applies
    assert "does not hear what the user of this client says" in told.rules[0].why[0]


def test_an_explanation_shows_where_values_were_seen():
    match = {"arguments": {"": {"provenance": {"some": "untrusted"}}}}
    policy = policy_of(
        {"default": "allow", "rules": [{"name": "r", "action": "ask", "match": match}]}
    )
    memory = Memory(to="address untrusted private", subject="name user")
    call = attempt(arguments={"to": "bob@evil.com", "subject": "hi"}, provenance=memory)
    why = explain(policy.gather(call), policy).rules[0].why[0]
    assert "'bob@evil.com' from private and untrusted, 'hi' from user" in why


@pytest.mark.parametrize("wanted", [True, False])
def test_a_rule_asks_whether_the_user_spoke_of_what_the_tool_does(judge: Judge, wanted: bool):
    match = {"asked_for": wanted}
    assert judge.applies("allow", match, provenance=Memory(asked="x")) is wanted
    assert judge.applies("allow", match, provenance=Memory()) is not wanted
    assert not judge.applies("allow", match)  # the user is not heard, and the stricter counts
    assert judge.applies("deny", match)


def test_a_table_says_what_a_tool_does_with_few_arguments_and_which_of_them_people_read():
    entry = {
        "tools": {"add": ["sends", "changes"], "list": ["reads", "private"]},
        "alone": {"add": {"arguments": ["title", "place"], "labels": ["changes"]}},
        "texts": {"add": ["place"]},
    }
    policy = policy_of({"default": "allow", "labels": {"diary": entry}})

    def labels(tool: str, **arguments: Any) -> frozenset[str]:
        return policy.gather(attempt(f"diary__{tool}", arguments=arguments)).labels

    assert labels("add", title="x", place="y") == {"changes"}
    assert labels("add", title="x", guests=[], note=None) == {"changes"}
    assert labels("add", title="x", guests=["bob"]) == {"sends", "changes"}
    assert labels("add", title="x", Place="y") == {"sends", "changes"}
    assert labels("add", title="x", silent=False) == {"sends", "changes"}
    assert labels("list", title="x") == {"reads", "private"}
    # What is decided once for all calls of a tool is not decided by the arguments of the first.
    assert policy.settle(attempt("diary__add", arguments={"title": "x"})) is None
    assert policy.settle(attempt("diary__list")) is not None
    heard = attempt("diary__add", provenance=Memory())
    assert policy.gather(heard).texts == {"place"}
    assert policy.gather(attempt("diary__list", provenance=Memory())).texts == frozenset()


@pytest.mark.parametrize(
    "provenance", [{}, {"some": "stranger"}, {"every": []}, {"some": {"kinds": ["verb"]}}]
)
def test_a_provenance_that_means_nothing_is_refused(provenance: Any):
    rule = {"name": "r", "action": "ask", "match": {"arguments": {"": {"provenance": provenance}}}}
    with pytest.raises(PolicyError):
        policy_of({"default": "ask", "rules": [rule]})


LABELS = {
    "mail": {
        "tools": {
            "send": ["sends"],
            "note": ["changes"],
            "wipe": ["destructive"],
            "look": ["reads", "egress"],
        }
    }
}


def decided(tool: str, taint: tuple[str, ...] = (), **seen: str) -> tuple[str, str | None]:
    policy = PolicySet.load([shipped_source("default"), *policy_of({"labels": LABELS}).sources])
    call = attempt(
        f"mail__{tool}",
        arguments=dict.fromkeys(seen, "x"),
        taint=frozenset(taint),
        provenance=Memory(**seen),
    )
    decision = policy.decide(call)
    return decision.action, decision.rule


BOTH = ("untrusted", "private")


def test_by_default_what_the_user_said_is_sent_unasked():
    assert decided("send", BOTH, to="address user", body="text composed") == (
        "allow",
        "default/said-sends",
    )
    assert decided("note", BOTH, name="name user", body="text untrusted")[0] == "allow"


@pytest.mark.parametrize(
    "to", ["address untrusted", "address unknown", "address private", "name untrusted private"]
)
def test_by_default_what_others_chose_is_asked_about(to: str):
    assert decided("send", BOTH, to=to, body="text user")[0] == "ask"
    assert decided("send", (), to=to, body="text user")[0] == "ask"


def test_by_default_a_strangers_target_is_asked_about_for_changes_too():
    assert decided("note", ("untrusted",), name="name untrusted", body="text user") == (
        "ask",
        "default/changes-after-untrusted",
    )


def test_by_default_destruction_asks_although_the_user_said_it():
    assert decided("wipe", (), name="name user") == ("ask", "default/destructive")


def test_by_default_a_tool_that_nothing_is_known_of_asks_although_the_user_said_it():
    assert decided("surprise", (), name="name user")[0] == "ask"


def test_by_default_a_call_that_nothing_ties_to_the_user_asks():
    assert decided("send", (), body="text composed")[0] == "ask"
    assert decided("note")[0] == "ask"


def test_by_default_a_question_may_leave_unless_something_private_is_in_it():
    assert decided("look", BOTH, q="name user")[0] == "allow"
    assert decided("look", BOTH, q="name untrusted")[0] == "allow"
    assert decided("look", BOTH, q="address untrusted private")[0] == "allow"
    for seen in ("name private untrusted", "name private", "address unknown", "text composed"):
        assert decided("look", BOTH, q=seen) == ("ask", "default/private-after-untrusted")
