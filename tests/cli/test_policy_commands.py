import json
import os
import re
from pathlib import Path

import pytest

from host.audit.journal import Journal
from host.audit.record import Decision, Intent, Outcome, new_call_id
from host.domain.principal import Principal
from tests.fakes.command import run_host

ROOT = Path(__file__).parents[2]
ANN = Principal("ann", "cursor")


class Shell:
    """Runs the real `host` command with a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.data = folder / "data"
        self.policies = self.home / ".config" / "mcp-agent-host" / "policies"
        self.policies.mkdir(parents=True)
        self.environ = {
            "HOME": str(self.home),
            "HOST_DATA_DIR": str(self.data),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
        }

    def run(self, *words: str, expect: int = 0) -> tuple[str, str]:
        outcome = run_host("policy", *words, folder=self.home, environ=self.environ)
        assert outcome.returncode == expect, outcome.stdout + outcome.stderr
        assert "Traceback" not in outcome.stderr
        return outcome.stdout, outcome.stderr


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_check_names_what_holds_and_every_fault(shell: Shell):
    out, _ = shell.run("check")
    assert "default.yaml" in out
    assert "default ask" in out
    file = shell.policies / "mine.yaml"
    file.write_text("default: ask\nrules:\n  - name: a\n    action: dney\n  - nmae: b\n")
    out, _ = shell.run("check", expect=2)
    assert f"{file}:4: rules[0].action: This has to be 'allow', 'ask' or 'deny'" in out
    assert "Did you mean 'name'?" in out
    assert "Nothing runs" in out
    faults = json.loads(shell.run("check", "--json", expect=2)[0])["faults"]
    assert faults[0]["line"] == 4


def test_explain_says_which_rule_decides_and_why(shell: Shell):
    call = ("evil__deleteAll", '{"path": "x"}', "--annotations", "{}")
    out, err = shell.run("explain", *call, "--all")
    assert out.startswith("ASK  by default/destructive\n")
    assert "default.yaml:" in out
    assert "does not apply" in out
    assert "no configured server has this name" in err
    explained = json.loads(shell.run("explain", *call, "--json")[0])
    assert explained["decision"]["every_time"] is True
    _, err = shell.run("explain", "a__b", '{"x": 1, "x": 2}', expect=2)
    assert "a name is given twice" in err


def test_explain_knows_the_hosts_own_tools(shell: Shell):
    reading = ("orchestrator__list_agents", "{}", "--annotations", '{"readOnlyHint": true}')
    out, err = shell.run("explain", *reading)
    assert out.startswith("ALLOW  by default/reads\n")
    assert "no configured server" not in err


def test_test_runs_a_policys_cases_and_fails_where_one_does(shell: Shell):
    passed, total = re.findall(r"(\d+) of (\d+) cases as expected", shell.run("test")[0])[0]
    assert passed == total != "0"
    file = shell.policies / "mine.yaml"
    file.write_text(
        "rules: [{name: a, action: allow, match: {name: x__y}}]\n"
        "tests:\n"
        "  - {name: it runs, call: {name: x__y}, expect: allow, rule: mine/a}\n"
        "  - {name: it does not, call: {name: x__z}, expect: allow}\n"
    )
    (shell.policies / "mine.test.yaml").write_text(
        "tests: [{name: beside, call: {name: x__y}, expect: deny}]\n"
    )
    out, _ = shell.run("test", str(file), expect=1)
    assert "it does not: expected allow, but the default says deny." in out
    assert "beside: expected deny, but mine/a says allow." in out
    assert "1 of 3 cases as expected." in out


def record(journal: Journal, name: str, decision: Decision | None) -> None:
    intent = Intent(
        call_id=new_call_id(),
        principal=ANN,
        face="stdio",
        method="tools/call",
        name=name,
        upstream=name.partition("__")[0],
        original=name.partition("__")[2],
        arguments={"amount": 5},
        decision=decision,
        session="s",
    )
    journal.append(intent)
    journal.append(Outcome(call_id=intent.call_id, principal=ANN, outcome="ok"))


def test_simulate_shows_which_recorded_calls_a_policy_decides_otherwise(
    shell: Shell, store_folder: Path
):
    shell.environ["HOST_DATA_DIR"] = str(store_folder)
    with Journal(store_folder / "journal") as journal:
        record(journal, "bank__pay", "allow")
        record(journal, "bank__balance", "ask")
        record(journal, "bank__old", None)
        record(journal, "orchestrator__list_agents", "allow")
    file = shell.home / "new.yaml"
    file.write_text(
        "default: ask\nrules:\n"
        "  - name: pay\n    action: deny\n"
        "    match: {name: bank__pay, arguments: {/amount: {range: {above: 1}}}}\n"
        "  - {name: see, action: allow, match: {name: bank__balance}}\n"
        "  - {name: reads, action: allow, match: {labels: [reads]}}\n"
    )
    out, _ = shell.run("simulate", str(file), "--since", "1h", "--json")
    told = {one["name"]: one for one in json.loads(out)["differ"]}
    assert (told["bank__pay"]["before"], told["bank__pay"]["after"]) == ("allow", "deny")
    assert told["bank__pay"]["rule"] == "new/pay"
    assert (told["bank__balance"]["before"], told["bank__balance"]["after"]) == ("ask", "allow")
    assert "orchestrator__list_agents" not in told
    assert "bank__old" not in told  # the default policy asks, and so does this one
    out, _ = shell.run("simulate", str(file), "--since", "1h")
    assert "1 allow → deny, 1 ask → allow" in out
