import json
import os
import pty
from pathlib import Path

import pytest

from host.taint.store import TaintStore
from tests.fakes.command import run_host

ROOT = Path(__file__).parents[2]


def taint(data: Path, *words: str, terminal: bool = True) -> tuple[int, str, str]:
    """Run the command, at a real terminal unless told otherwise."""
    master, slave = pty.openpty()
    try:
        environ = {
            "HOME": str(data / "home"),
            "HOST_DATA_DIR": str(data),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
        }
        stdin = slave if terminal else None
        done = run_host("taint", *words, folder=ROOT, environ=environ, stdin=stdin)
    finally:
        os.close(master)
        os.close(slave)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def data(tmp_path: Path) -> Path:
    store = TaintStore(tmp_path / "taint.jsonl")
    store.add("local/cursor", ["untrusted"], source="fetch__fetch")
    store.add("local/zed", ["private"], source="mail__read")
    return tmp_path


def test_it_shows_who_met_what_and_by_which_tool(data: Path):
    code, out, _ = taint(data, "show")
    assert code == 0
    assert out.splitlines()[1].split()[:2] == ["local/cursor", "untrusted"]
    assert out.splitlines()[1].endswith("fetch__fetch")
    found = json.loads(taint(data, "show", "local/zed", "--json")[1])
    assert [(met["who"], met["label"], met["source"]) for met in found] == [
        ("local/zed", "private", "mail__read")
    ]


def test_a_person_at_a_terminal_clears_one_client_or_all(data: Path):
    code, out, _ = taint(data, "clear", "local/cursor")
    assert (code, out) == (0, "local/cursor begins anew; it had met untrusted.\n")
    assert taint(data, "show", "local/cursor")[1] == "local/cursor has met nothing.\n"
    assert json.loads(taint(data, "clear", "--all", "--json")[1]) == {"local/zed": ["private"]}
    assert taint(data, "show")[1] == "Nobody has met anything.\n"


def test_a_program_that_is_no_terminal_clears_nothing(data: Path):
    code, _, err = taint(data, "clear", "local/cursor", terminal=False)
    assert code != 0
    assert "by a person only" in err
    assert TaintStore(data / "taint.jsonl").labels("local/cursor") == {"untrusted"}


def test_an_unknown_client_is_an_error_that_names_the_nearest(data: Path):
    code, _, err = taint(data, "clear", "local/curso")
    assert code != 0
    assert "local/cursor" in err
    assert taint(data, "clear")[0] == 2


def test_all_is_cleared_although_nothing_can_be_read(data: Path):
    (data / "taint.jsonl").write_bytes(b"garbage\n")
    code, _, err = taint(data, "show")
    assert code != 0
    assert "host taint clear --all" in err
    assert taint(data, "clear", "--all")[0] == 0
    assert taint(data, "show")[0] == 0
