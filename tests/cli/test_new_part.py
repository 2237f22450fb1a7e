"""`host new-plugin`, `new-agent` and `new-policy` as a user meets them: what they write is good."""

import json
import os
from pathlib import Path

import pytest

from tests.fakes.command import run_host

ROOT = Path(__file__).parents[2]


class Shell:
    """Runs the real command with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.config = home / ".config" / "mcp-agent-host"
        self._environ = {
            "HOME": str(home),
            "HOST_DATA_DIR": str(home / "data"),
            "HOST_RUNTIME_DIR": str(home / "run"),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
        }

    def run(self, *words: str, status: int = 0) -> str:
        """Run a command to its end and return what it printed."""
        done = run_host(*words, folder=self.home, environ=self._environ)
        said = done.stdout + done.stderr
        assert done.returncode == status, said
        assert "Traceback" not in said
        return said


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_plugin_with_everything_passes_its_own_check_and_tests(shell: Shell):
    shell.run("new-plugin", "words", "--state", "--call", "files__read_text", "--call", "search__*")
    assert "keep values between calls" in shell.run("plugins", "check", "words")
    assert "4 passed, 0 failed" in shell.run("plugins", "test", "words")


def test_plugin_in_one_file_whose_name_means_something_in_yaml_passes_too(shell: Shell):
    shell.run("new-plugin", "on", "--single", "--state", "--description", "a: 'b' # \"c\"\nd")
    assert "Good." in shell.run("plugins", "check", "on")
    assert "3 passed, 0 failed" in shell.run("plugins", "test", "on")


def test_agent_is_one_that_the_host_reads_with_what_was_asked_for(shell: Shell):
    words = ["--tool", "files__read_*", "--tool", "memory", "--long-term", "--steps", "7"]
    said = ["--description", "null", "--instructions", 'Say "{{ agent }}": #no']
    shell.run("new-agent", "helper", *words, *said)
    assert "right" in shell.run("agents", "check", "helper")
    found = json.loads(shell.run("agents", "show", "helper", "--json"))
    assert found["tools"] == ["files__read_*", "memory"]
    assert found["memory"]["long_term"] is True
    assert found["limits"]["steps"] == 7
    assert found["description"] == "null"
    assert found["instructions"] == 'Say "{{ agent }}": #no'


@pytest.mark.parametrize("base", ["default", "strict", "readonly"])
def test_policy_decides_as_it_was_asked_to_whatever_it_builds_on(shell: Shell, base: str):
    rules = ["--allow", "notes", "--allow", "db__delete_*", "--ask", "mail__*", "--deny", "*shell*"]
    shell.run("new-policy", "mine", "--base", base, *rules)
    file = str(shell.config / "policies" / "mine.yaml")
    assert "Good:" in shell.run("policy", "check", file)
    assert "4 of 4 cases as expected." in shell.run("policy", "test", file)
    explained = shell.run("policy", "explain", "db__delete_row", "--policy", file)
    assert explained.partition("ALLOW")[1]


def test_policy_without_rules_says_the_same_as_what_it_builds_on(shell: Shell):
    shell.run("new-policy", "mine", "--folder", "here")
    assert "1 of 1 cases as expected." in shell.run("policy", "test", "here/mine.yaml")


def test_agents_check_tells_of_a_model_that_does_not_exist(shell: Shell):
    shell.run("new-agent", "new", "--model", "openai:gpt-99")  # too new for our price table
    assert "right" in shell.run("agents", "check", "new")
    file = shell.config / "agents" / "new.yaml"
    file.write_text(file.read_text().replace("openai:gpt-99", "scripted:dem"))
    said = shell.run("agents", "check", status=2)
    assert "new.yaml: There is no scripted model named 'dem'. Did you mean demo" in said


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["new-plugin", "mine"], "plugins/mine/plugin.py"),
        (["new-plugin", "mine", "--single"], "plugins/mine.py"),
        (["new-agent", "mine"], "agents/mine.yaml"),
        (["new-policy", "mine"], "policies/mine.yaml"),
    ],
)
def test_nothing_that_is_there_is_overwritten(shell: Shell, command: list[str], file: str):
    there = shell.config / file
    there.parent.mkdir(parents=True)
    there.write_text("mine\n")
    said = shell.run(*command, status=2)
    assert "exists already" in said
    assert "--update" not in said
    assert there.read_text() == "mine\n"
    assert [one for one in there.parent.iterdir() if one != there] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["new-plugin"], "It needs a name"),
        (["new-agent", "Two Words"], "try 'two-words'"),
        (["new-policy", "../x"], "try 'x'"),
        (["new-plugin", "x", "--call", "a b"], "no tool or pattern"),
        (["new-policy", "x", "--base", "lax"], "there are default, strict"),
        (["new-policy", "x", "--allow", "a__b", "--deny", "a__b"], "named twice"),
        (["new-agent", "x", "--templates", "nowhere"], "no folder of templates"),
        (["new-agent", "x", "--model", "claude-haiku"], "Did you mean anthropic:claude-haiku"),
        (["new-agent", "x", "--model", "openi:gpt-4.1"], "Did you mean openai"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(shell: Shell, words: list[str], said: str):
    assert said in shell.run(*words, status=2)
    assert list(shell.home.rglob("*.yaml")) == []


def test_templates_of_ones_own_take_the_place_of_the_shipped_ones(shell: Shell):
    mine = shell.home / "templates"
    mine.mkdir()
    (mine / "agent.j2").write_text(
        "{# file: [name].yaml #}\ndescription: {{ description|json }}\ninstructions: Be brief.\n"
    )
    shell.run("new-agent", "short", "--templates", str(mine))
    assert "right" in shell.run("agents", "check", "short")
    assert (shell.config / "agents" / "short.yaml").read_text().endswith("Be brief.\n")


def test_older_commands_write_the_same_files(shell: Shell):
    shell.run("plugins", "new", "one")
    shell.run("new-plugin", "two")
    texts = [(shell.config / "plugins" / name / "plugin.py").read_text() for name in ("one", "two")]
    assert texts[0] == texts[1]
    shell.run("agents", "new", "three")
    assert "right" in shell.run("agents", "check", "three")
