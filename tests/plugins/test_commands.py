"""`host plugins` as a user meets it."""

import json
import os
from pathlib import Path

import pytest

from tests.fakes.command import run_host

ROOT = Path(__file__).parents[2]


class Shell:
    """Runs the real command with a home of its own."""

    def __init__(self, folder: Path) -> None:
        self.home = folder
        self.plugins = folder / ".config" / "mcp-agent-host" / "plugins"
        self.data = folder / "data"
        self.environ = {
            "HOME": str(folder),
            "HOST_DATA_DIR": str(self.data),
            "HOST_RUNTIME_DIR": str(folder / "run"),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
        }

    def run(self, *words: str, expect: int = 0) -> str:
        return self._host("plugins", *words, expect=expect)

    def explain(self, *words: str) -> str:
        return self._host("policy", "explain", *words, expect=0)

    def _host(self, *words: str, expect: int) -> str:
        outcome = run_host(*words, folder=self.home, environ=self.environ)
        assert outcome.returncode == expect, outcome.stdout + outcome.stderr
        assert "Traceback" not in outcome.stderr
        return outcome.stdout + outcome.stderr


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_new_plugin_passes_its_own_check_and_tests_and_runs(shell: Shell):
    assert "host plugins test words" in shell.run("new", "words")
    assert "Good. It only computes." in shell.run("check", "words")
    assert "2 passed, 0 failed" in shell.run("test", "words")
    said = shell.run("run", "words", "count_words", '{"text": "b a b"}')
    assert json.loads(said) == {"words": 3, "most": {"b": 2, "a": 1}}
    assert "exists already" in shell.run("new", "words", expect=2)


def test_a_single_file_with_a_header_works_too(shell: Shell):
    shell.run("new", "words", "--single")
    assert (shell.plugins / "words.py").read_text().startswith("# /// plugin\n# name: words\n")
    assert "2 passed" in shell.run("test", "words")


def test_check_names_each_construct_with_its_line_and_what_to_write_instead(shell: Shell):
    shell.run("new", "words")
    (shell.plugins / "words" / "plugin.py").write_text("import os\n\nx = eval('1')\n")
    said = shell.run("check", "words", expect=1)
    assert "plugin.py:1:1: `import os`: Plugins import only modules" in said
    assert "plugin.py:3:5: `eval`: It would run code that was not checked. Use json.loads" in said
    found = json.loads(shell.run("check", "words", "--json", expect=1))
    assert [(one["line"], one["construct"]) for one in found["problems"]] == [
        (1, "import os"),
        (3, "eval"),
    ]


def test_check_warns_of_a_call_that_the_manifest_does_not_ask_for(shell: Shell):
    shell.run("new", "words")
    code = "@tool\ndef x(a):\n    return host.call_tool('files__delete', path=a)\n"
    (shell.plugins / "words" / "plugin.py").write_text(code)
    said = shell.run("check", "words")
    assert "plugin.py:3:12: warning: `host.call_tool('files__delete')`" in said
    assert "`x`: The parameter a has no type" in said


def test_a_failing_test_shows_the_line_of_the_right_file(shell: Shell):
    shell.run("new", "words")
    tests = "def test_it():\n    print('before')\n    assert count_words('a')['words'] == 2, 'no'\n"
    (shell.plugins / "words" / "tests.py").write_text(tests)
    said = shell.run("test", "words", expect=1)
    assert "FAILED test_it" in said
    assert "tests.py:3 in test_it" in said
    assert "AssertionError: no" in said
    assert "before" in said
    (shell.plugins / "words" / "tests.py").write_text("\nimport os\n")
    assert "tests.py:2:1: `import os`" in shell.run("test", "words", expect=1)


def test_installing_shows_what_is_asked_for_and_is_never_silent(shell: Shell):
    shell.run("new", "words")
    manifest = shell.plugins / "words" / "plugin.yaml"
    manifest.write_text(manifest.read_text().replace("tools: []  ", "tools: [files__read_text]"))
    said = shell.run("install", "words", expect=2)
    assert "  - call the tool files__read_text" in said
    assert "add --yes" in said
    assert "Installed words, digest" in shell.run("install", "words", "--yes")
    manifest.write_text(manifest.read_text().replace("state: false", "state: true"))
    said = shell.run("install", "words", "--yes")
    assert "  - keep values between calls   (new)" in said
    assert "Its files have changed since approved." in said


def test_an_installed_plugin_is_known_by_its_name_wherever_it_came_from(shell: Shell):
    place = shell.home / "work" / "here.py"
    place.parent.mkdir()
    place.write_text(
        "# /// plugin\n# name: elsewhere\n# ///\n"
        '@tool\ndef twice(n: int) -> int:\n    host.log("doubling")\n    return 2 * n\n'
    )
    shell.run("install", str(place), "--yes")
    assert "Good." in shell.run("check", "elsewhere")
    said = shell.run("run", "elsewhere", "twice", '{"n": 4}')
    assert "8" in said.splitlines()
    assert "info: doubling" in said.splitlines()


def test_plugins_are_listed_switched_off_and_taken_out(shell: Shell):
    shell.run("new", "words")
    rows = {row["name"]: row for row in json.loads(shell.run("list", "--json"))}
    assert rows["words"]["state"] == "available"
    assert rows["table"]["state"] == "available"
    shell.run("install", "words", "--yes")
    shell.run("disable", "words")
    assert "words                disabled" in shell.run("list")
    shell.run("enable", "words")
    assert "words                installed" in shell.run("list")
    assert "has written nothing yet" in shell.run("logs", "words", expect=1)
    shell.run("uninstall", "words")
    assert "Did you mean" not in shell.run("disable", "words", expect=1)


def test_an_unknown_plugin_gets_the_nearest_names(shell: Shell):
    assert "Did you mean table?" in shell.run("check", "tabel", expect=1)


def test_rules_evaluators_and_hooks_are_run_in_their_shapes(shell: Shell):
    assert shell.run("run", "money", "is_large", '{"args": {"amount": 2000}}') == "true\n"
    scored = shell.run("run", "money", "adds_up", '{"output": "1 EUR", "expected": "1"}')
    assert json.loads(scored) == {"value": 1.0, "passed": True, "reason": "they add up to 1"}
    said = shell.run("run", "money", "hide_accounts", '{"output": "DE02120300000000202051"}')
    assert json.loads(said) == {"changed": True, "value": "…2051", "stop": None}


def test_check_finds_what_no_caller_gives_and_stages_that_there_are_not(shell: Shell):
    shell.run("new", "words")
    code = "@rule\ndef a(argz): pass\n\n@hook('during')\ndef b(): pass\n"
    (shell.plugins / "words" / "plugin.py").write_text(code)
    said = shell.run("check", "words", expect=1)
    assert "The rule a asks for 'argz', which is not known; did you mean args?" in said
    assert "The hook b names the stage 'during'; there are before, after, error." in said


def test_policy_explain_asks_the_rules_of_installed_plugins(shell: Shell):
    policies = shell.home / ".config" / "mcp-agent-host" / "policies"
    policies.mkdir(parents=True)
    rule = "{name: large, action: deny, match: {name: bank__pay, plugin: money.is_large}}"
    (policies / "mine.yaml").write_text(f"default: allow\nrules: [{rule}]\n")
    call = ("bank__pay", '{"amount": 5}')
    assert "DENY  by mine/large" in shell.explain(*call)
    shell.run("install", "money", "--yes")
    assert "ALLOW  by default" in shell.explain(*call)
    said = shell.explain("bank__pay", '{"amount": 5000}')
    assert "DENY  by mine/large" in said
    assert "plugin: money.is_large → yes (it returned True)" in said
