"""Who is asked while an agent works, and how that ends: in pseudo-terminals, with a real daemon."""

import json
import re
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes.home import Home
from tests.fakes.terminal import Terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are Unix's")

APPROVE = re.compile(r"host approvals approve (a-\w+)")


PROGRAMS = Path(__file__).parent / "programs"
SAID = "said.txt"
"""The file that agents write to; other tests have theirs."""


def writer(home: Home, name: str, text: str) -> None:
    """Make an agent that appends a text to a file, which has to be approved."""
    call = {"tool": "files__append", "arguments": {"path": SAID, "content": text}}
    turns = [{"when": {"asked": True}, "calls": [call]}, {"reply": "It said: ${result}"}]
    (home.folder / "work" / SAID).touch()
    home.agent(name, turns, tools=["files"])


@contextmanager
def stranger(home: Home) -> Generator[str]:
    """Yield the approval that a run waits for which nobody sits at."""
    writer(home, "stranger", "a stranger's words")
    child = home.start("run", "stranger", "write", "--quiet")
    found = None
    try:
        assert child.stderr is not None
        while found is None:
            line = child.stderr.readline()
            assert line, "the run ended and never said what it waits for"
            found = APPROVE.search(line)
        yield found[1]
    finally:
        home.host("approvals", "deny", found[1]) if found else child.kill()
        child.communicate(timeout=60)


@contextmanager
def terminal(home: Home, *words: str) -> Generator[Terminal]:
    found = home.terminal(*words)
    try:
        yield found
    finally:
        found.close()


def runs_of(home: Home, agent: str) -> list[dict[str, str]]:
    return json.loads(home.host("runs", "list", "--json", "--agent", agent).stdout)


def test_run_that_nobody_sits_at_says_which_approval_it_waits_for(home: Home) -> None:
    with stranger(home) as approval:
        shown = json.loads(home.host("approvals", "show", approval, "--json").stdout)
        assert (shown["state"], shown["agent"]) == ("pending", "stranger")


def test_chat_asks_about_its_own_calls_only_and_goes_on(home: Home) -> None:
    writer(home, "own", "my words")
    with stranger(home) as approval, terminal(home, "chat", "own") as chat:
        chat.wait_for("own>")
        chat.type("write\r")
        chat.wait_for("wants to call files__append")
        chat.wait_for("my words")
        chat.wait_for("Allow?")
        chat.type("n\r")
        chat.wait_for("It said")
        chat.wait_for("own>")
        chat.type("/cost\r")
        chat.wait_for("1 message")
        chat.type("/quit\r")
        assert chat.wait() == 0
        assert approval not in chat.shown
        assert "a stranger's words" not in chat.shown


def test_run_at_a_terminal_asks_about_its_own_calls_only(home: Home) -> None:
    writer(home, "once", "my own words")
    with stranger(home) as approval, terminal(home, "run", "once", "write") as run:
        run.wait_for("my own words")
        run.wait_for("Allow?")
        run.type("y\r")
        run.wait_for("It said")
        assert run.wait() == 0
        assert approval not in run.shown


def test_ctrl_c_at_an_approval_stops_the_step_and_the_chat_goes_on(home: Home) -> None:
    writer(home, "halted", "never written")
    with terminal(home, "chat", "halted") as chat:
        chat.wait_for("halted>")
        chat.type("write\r")
        chat.wait_for("Allow?")
        chat.type("\x03")
        chat.wait_for("stopped.")
        chat.wait_for("halted>")
        chat.type("/cost\r")
        chat.wait_for("1 message")
        chat.wait_for("halted>")
        chat.type("\x04")
        assert chat.wait() == 0
    assert runs_of(home, "halted")[0]["status"] == "cancelled"
    assert "never written" not in (home.folder / "work" / SAID).read_text()


def test_ctrl_c_at_an_approval_ends_a_run_with_status_130(home: Home) -> None:
    writer(home, "halted2", "never written either")
    with terminal(home, "run", "halted2", "write") as run:
        run.wait_for("Allow?")
        run.type("\x03")
        run.wait_for("the run was cancelled")
        assert run.wait() == 130
    assert runs_of(home, "halted2")[0]["status"] == "cancelled"


def test_prompt_closes_when_the_step_ends_and_the_chat_goes_on(home: Home) -> None:
    writer(home, "ended", "nobody answers this")
    with terminal(home, "chat", "ended") as chat:
        chat.wait_for("ended>")
        chat.type("write\r")
        chat.wait_for("Allow?")
        home.host("runs", "cancel", runs_of(home, "ended")[0]["id"])
        chat.wait_for("cancelled")
        chat.wait_for("ended>")
        chat.type("/model\r")
        chat.wait_for("model: scripted:ended")
        chat.wait_for("ended>")
        chat.type("/quit\r")
        assert chat.wait() == 0


def test_prompt_closes_when_the_answer_is_given_elsewhere(home: Home) -> None:
    writer(home, "beaten", "denied in another terminal")
    with terminal(home, "chat", "beaten") as chat:
        chat.wait_for("beaten>")
        chat.type("write\r")
        chat.wait_for("Allow?")
        waiting = json.loads(home.host("approvals", "list", "--json").stdout)
        mine = [one["id"] for one in waiting if one["agent"] == "beaten"]
        home.host("approvals", "deny", mine[-1])
        shown = chat.wait_for("beaten>")  # the answer may come before the question is closed
        assert "was answered elsewhere" in shown
        assert "It said" in shown
        chat.type("/quit\r")
        assert chat.wait() == 0


def test_run_whose_reader_has_left_ends(home: Home) -> None:
    words = "word " * 200
    home.agent("drip", [{"reply": words, "chunk": 5, "chunk_delay": 0.2}])
    child = home.start("run", "drip", "go", "--quiet")
    assert child.stdout is not None
    assert child.stdout.read(4) == "word"
    child.stdout.close()
    child.stdout = None
    _, said = child.communicate(timeout=60)
    assert child.returncode == 1, said
    assert "Traceback" not in said


def test_session_that_asks_after_the_daemon_ended_is_told(home: Home) -> None:
    home.agent("echo2", [{"reply": "You said: ${prompt}"}])
    with terminal(home, "chat", "echo2") as chat:
        chat.wait_for("echo2>")
        home.host("stop")
        chat.type("hello\r")
        chat.wait_for("The daemon ended")
        assert chat.wait() == 1
    assert "Exception in callback" not in home.log_tail()


def test_question_of_a_server_is_answered_in_place_and_ctrl_c_stops_the_step(home: Home) -> None:
    asker = {"command": sys.executable, "args": [str(PROGRAMS / "asker.py")]}
    turns = [{"when": {"asked": True}, "calls": [{"tool": "asker__ask"}]}, {"reply": "${result}"}]
    home.agent("curious", turns, servers={"asker": asker})
    with terminal(home, "chat", "curious") as chat:
        chat.wait_for("curious>")
        for typed, shown in (("blue\r", "accept: blue"), ("\x03", "stopped.")):
            chat.type("ask me\r")
            chat.wait_for("Allow?")
            chat.type("y\r")
            chat.wait_for("Which colour?")
            chat.wait_for("Value:")
            chat.type(typed)
            chat.wait_for(shown)
            chat.wait_for("curious>")
        chat.type("/quit\r")
        assert chat.wait() == 0
    assert runs_of(home, "curious")[0]["status"] == "cancelled"
