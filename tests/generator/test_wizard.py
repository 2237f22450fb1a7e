import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are of POSIX", allow_module_level=True)

from tests.generator.terminal import Terminal

ROOT = Path(__file__).parents[2]
DOWN, ENTER, BACK, CLEAR, INTERRUPT = "\x1b[B", "\r", "\x1b[Z", "\x15", "\x03"


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    made = Terminal(["new-server"], folder=tmp_path, environ=environ)
    yield made
    made.close()


def test_typos_are_named_while_typing_and_one_can_go_back(terminal: Terminal, tmp_path: Path):
    terminal.wait_for("What is the server made from?")
    terminal.wait_for("Shift-Tab")
    terminal.type(DOWN + ENTER)
    terminal.wait_for("Which openapi?")
    terminal.type("nowhere.yaml")
    terminal.wait_for("There is no file nowhere.yaml")
    terminal.type(BACK)
    terminal.wait_for("What is the server made from?")
    terminal.type("\x1b[A" + ENTER)
    terminal.wait_for("Name of the project:")
    terminal.type(CLEAR + "My Notes")
    terminal.wait_for("my-notes")
    terminal.type(CLEAR + "my-notes" + ENTER)
    terminal.wait_for("What is it for")
    terminal.type("To try it." + ENTER)
    terminal.wait_for("How do clients reach it?")
    terminal.type(BACK)
    terminal.wait_for("What is it for")
    terminal.type(ENTER)
    terminal.wait_for("How do clients reach it?")
    terminal.type(DOWN + ENTER)
    terminal.wait_for("Who may connect?")
    terminal.type(DOWN + ENTER)
    terminal.wait_for("Features")
    terminal.type("samp")
    terminal.wait_for("'samp' is none of")
    terminal.type(CLEAR + "life" + ENTER)
    terminal.wait_for("my-notes: from blank, http, auth bearer, lifespan.")
    terminal.wait_for("Make it in my-notes?")
    terminal.type(ENTER)
    terminal.wait_for("Made my-notes in my-notes: 3 tools.")
    assert terminal.end() == 0
    project = tmp_path / "my-notes"
    assert "To try it." in (project / "README.md").read_text()
    assert (project / "src/my_notes/auth.py").exists()
    assert (project / "src/my_notes/state.py").exists()


def test_interrupt_writes_nothing(terminal: Terminal, tmp_path: Path):
    terminal.wait_for("What is the server made from?")
    terminal.wait_for("Shift-Tab")
    terminal.type(ENTER)
    terminal.wait_for("Name of the project:")
    terminal.wait_for("Shift-Tab")
    terminal.type(INTERRUPT)
    terminal.wait_for("Nothing was written.")
    assert terminal.end() == 130
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []
