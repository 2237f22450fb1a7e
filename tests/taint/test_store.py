import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from host.domain.errors import TaintError
from host.taint.store import LARGEST, TaintStore, start_over

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "taint.jsonl"


def test_what_was_met_is_known_to_a_store_opened_later(file: Path):
    TaintStore(file).add("ann/cursor", ["untrusted"], source="web__fetch")
    TaintStore(file).add("ann/zed", ["private"], source="mail__read")
    store = TaintStore(file)
    assert store.labels("ann/cursor") == {"untrusted"}
    assert store.labels("ann/zed") == {"private"}
    assert store.labels("bob/cursor") == frozenset()
    assert [(met.who, met.label, met.source) for met in store.listed()] == [
        ("ann/cursor", "untrusted", "web__fetch"),
        ("ann/zed", "private", "mail__read"),
    ]


def test_the_file_is_the_owners_alone(file: Path):
    TaintStore(file).add("a/b", ["x"], source="t")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_label_is_written_once(file: Path):
    store = TaintStore(file)
    store.add("a/b", ["untrusted"], source="first")
    size = file.stat().st_size
    store.add("a/b", ["untrusted"], source="second")
    assert file.stat().st_size == size
    assert store.listed()[0].source == "first"


def test_what_another_process_writes_is_seen_at_once(file: Path):
    mine, other = TaintStore(file), TaintStore(file)
    other.add("a/b", ["untrusted"], source="t")
    assert mine.labels("a/b") == {"untrusted"}
    mine.clear("a/b", by="local/terminal")
    assert other.labels("a/b") == frozenset()


def test_a_killed_process_loses_nothing_that_it_added(file: Path):
    script = (
        "import sys; from pathlib import Path; from host.taint.store import TaintStore\n"
        "TaintStore(Path(sys.argv[1])).add('a/b', ['untrusted'], source='t')\n"
        "print('added', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(file)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "added\n"
        os.kill(process.pid, signal.SIGKILL)
    assert TaintStore(file).labels("a/b") == {"untrusted"}


def test_a_line_whose_writer_died_in_it_counts_as_not_written(file: Path):
    TaintStore(file).add("a/b", ["private"], source="t")
    with file.open("ab") as content:
        content.write(b'{"at":1,"who":"a/b","met":["untr')
    store = TaintStore(file)
    assert store.labels("a/b") == {"private"}
    store.add("a/b", ["untrusted"], source="t")
    assert TaintStore(file).labels("a/b") == {"private", "untrusted"}


@pytest.mark.parametrize("line", [b"garbage", b"{}", b'{"who":"a/b","met":5}', b"[1]", b"\xff"])
def test_a_file_that_cannot_be_understood_stops_everything(file: Path, line: bytes):
    TaintStore(file).add("a/b", ["private"], source="t")
    with file.open("ab") as content:
        content.write(line + b"\n")
    with pytest.raises(TaintError, match="Nothing runs"):
        TaintStore(file)


def test_a_file_that_cannot_be_read_stops_everything(file: Path):
    file.mkdir(parents=True)
    with pytest.raises(TaintError, match="cannot be read"):
        TaintStore(file)


def test_starting_over_keeps_the_old_file_aside(file: Path):
    store = TaintStore(file)
    store.add("a/b", ["private"], source="t")
    assert start_over(file) == {"a/b": ["private"]}
    assert store.labels("a/b") == frozenset()
    assert file.with_suffix(".old").exists()
    file.write_bytes(b"garbage\n")
    assert start_over(file) == {}
    assert TaintStore(file).listed() == []
    assert start_over(file) == {}


def test_a_large_file_is_written_anew_without_what_was_cleared(file: Path):
    store = TaintStore(file, durable=False)
    store.add("a/b", ["private"], source="t" * LARGEST)
    store.clear("a/b", by="x")
    store.add("c/d", ["untrusted"], source="web__fetch")
    fresh = TaintStore(file)
    assert file.stat().st_size < 1000
    assert [(met.who, met.label) for met in fresh.listed()] == [("c/d", "untrusted")]
    assert store.labels("c/d") == {"untrusted"}
    assert store.labels("a/b") == frozenset()
