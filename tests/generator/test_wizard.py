import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are of POSIX", allow_module_level=True)

from host.policy.case import check_file
from tests.generator.terminal import Terminal

ROOT = Path(__file__).parents[2]
DOWN, ENTER, BACK, CLEAR, INTERRUPT = "\x1b[B", "\r", "\x1b[Z", "\x15", "\x03"
END = "\x04"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    environ = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    with ExitStack() as stack:

        def begin(*words: str, columns: int = 100) -> Terminal:
            made = Terminal([*words], folder=tmp_path, environ=environ, columns=columns)
            stack.callback(made.close)
            return made

        yield begin


@pytest.fixture
def terminal(start: Callable[..., Terminal]) -> Terminal:
    return start("new-server")


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
    terminal.wait_for("Made my-notes in my-notes: 4 tools.")
    assert terminal.end() == 0
    project = tmp_path / "my-notes"
    assert "To try it." in (project / "README.md").read_text()
    assert (project / "src/my_notes/auth.py").exists()
    assert (project / "src/my_notes/state.py").exists()


@pytest.mark.parametrize("key", [INTERRUPT, END])
def test_ending_the_questions_writes_nothing(terminal: Terminal, tmp_path: Path, key: str):
    terminal.wait_for("What is the server made from?")
    terminal.wait_for("Shift-Tab")
    terminal.type(ENTER)
    terminal.wait_for("Name of the project:")
    terminal.wait_for("Shift-Tab")
    terminal.type(CLEAR + key if key == END else key)
    terminal.wait_for("Nothing was written.")
    assert terminal.end() == 130
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


@pytest.mark.parametrize(
    "talk",
    [
        (2, "python", "no/such.py", "There is no file no/such.py", "statistics:mean", "1 tool."),
        (3, "cli", "gti log", "There is no command gti", "git", "2 tools."),
        (4, "database", "shop.db", "An address, such as", "sqlite:///shop.db", "1 tool."),
        (5, "curl", "wget x", "It begins with `curl`", "curl https://a.b/x?n=1", "1 tool."),
    ],
)
def test_every_source_is_asked_for_in_a_narrow_terminal_too(
    start: Callable[..., Terminal],
    tmp_path: Path,
    talk: tuple[int, str, str, str, str, str],
):
    down, kind, typo, said, where, made = talk
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("create table items(id integer primary key)")
    connection.close()
    terminal = start("new-server", columns=40)
    terminal.wait_for("What is the server made from?")
    terminal.wait_for("Shift-Tab")
    terminal.type(DOWN * down + ENTER)
    terminal.wait_for(f"Which {kind}?")
    terminal.type(typo)
    terminal.wait_for(said)
    terminal.type(CLEAR + where + ENTER)
    if kind in ("cli", "database"):
        terminal.wait_for("Only some of them")
        terminal.type(("log, status" if kind == "cli" else "") + ENTER)
    terminal.wait_for("Name of the project:")
    terminal.type(CLEAR + "zoo" + BACK)
    terminal.wait_for("Only some of them" if kind in ("cli", "database") else f"Which {kind}?")
    terminal.type(ENTER)
    terminal.wait_for("Name of the project:")
    terminal.type(CLEAR + "zoo" + ENTER)
    for question in ("What is it for", "How do clients", "Features", "Make it in zoo?"):
        terminal.wait_for(question)
        terminal.type(ENTER)
    terminal.wait_for(f"Made zoo in zoo: {made}")
    assert terminal.end() == 0
    assert (tmp_path / "zoo/pyproject.toml").exists()


def test_operations_are_chosen_by_tags_that_the_document_has(
    start: Callable[..., Terminal], tmp_path: Path
):
    document = tmp_path / "pets.yaml"
    document.write_text((ROOT / "tests/generator/documents/pets.yaml").read_text())
    (tmp_path / "pets").mkdir()
    terminal = start("new-server", "--from", "openapi")
    terminal.wait_for("Which openapi?")
    terminal.type("pets.yaml" + ENTER)
    terminal.wait_for("Operations of which tags")
    terminal.type("pest")
    terminal.wait_for("There is no tag 'pest'; there are pets")
    terminal.type(CLEAR + "pets" + ENTER)
    terminal.wait_for("Only some of them")
    terminal.type(BACK)
    terminal.wait_for("Operations of which tags")
    terminal.type(ENTER)
    terminal.wait_for("Only some of them")
    terminal.type("GET *" + ENTER)
    terminal.wait_for("Name of the project:")
    terminal.type(CLEAR + "pets")
    terminal.wait_for("A folder pets is there already")
    terminal.type(CLEAR + "zoo" + ENTER)
    for question in ("What is it for", "How do clients reach it?", "Features", "Make it in zoo?"):
        terminal.wait_for(question)
        terminal.type(ENTER)
    terminal.wait_for("Made zoo in zoo: 2 tools.")
    assert terminal.end() == 0
    assert sorted(path.stem for path in (tmp_path / "zoo/docs/tools").iterdir()) == [
        "get_pet",
        "list_pets",
    ]


def test_policy_is_asked_for_with_a_typo_and_a_way_back(
    start: Callable[..., Terminal], tmp_path: Path
):
    terminal = start("new-policy", "--folder", "policies")
    terminal.wait_for("Its name:")
    terminal.type("My rules")
    terminal.wait_for("try 'my-rules'")
    terminal.type(CLEAR + "mine" + ENTER)
    terminal.wait_for("What is it for")
    terminal.type(BACK)
    terminal.wait_for("Its name:")
    terminal.type(ENTER)
    terminal.wait_for("What is it for")
    terminal.type("Notes are harmless." + ENTER)
    terminal.wait_for("Which shipped policy")
    terminal.type(DOWN + ENTER)
    terminal.wait_for("Tools that run unasked")
    terminal.type("notes__* a(b")
    terminal.wait_for("'a(b' is no tool or pattern")
    terminal.type(BACK)
    terminal.wait_for("Which shipped policy")
    terminal.type(ENTER)
    terminal.wait_for("Tools that run unasked")
    terminal.type(CLEAR + "notes__*" + ENTER)
    terminal.wait_for("Tools that are asked about")
    terminal.type(ENTER)
    terminal.wait_for("Tools that never run")
    terminal.type("*shell*" + ENTER)
    terminal.wait_for("wrote policies/mine.yaml")
    assert terminal.end() == 0
    text = (tmp_path / "policies/mine.yaml").read_text()
    assert "Notes are harmless." in text
    assert "policy: strict" in text
    assert [result.problem for result in check_file(tmp_path / "policies/mine.yaml")] == [None] * 2


def test_parts_interrupted_in_the_middle_write_nothing(
    start: Callable[..., Terminal], tmp_path: Path
):
    terminal = start("new-agent", "--folder", "agents")
    terminal.wait_for("Its name:")
    terminal.type("helper" + ENTER)
    terminal.wait_for("What is it for")
    terminal.type(INTERRUPT)
    terminal.wait_for("Nothing was written.")
    assert terminal.end() == 130
    assert not (tmp_path / "agents").exists()
