"""Changes survive kill -9, concurrency and other writers without a torn or lost file."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from servers.files.editing import Edit
from servers.files.text import digest_of
from servers.files.writing import append_text, copy, edit_text, move, write_text
from servers.tool import RefusalError
from tests.servers.files.opening import roots_for, settings_for

WRITER = """
import os, sys
from servers.files.editing import Edit
from servers.files.settings import Settings
from servers.files.roots import open_roots
from servers.files.writing import edit_text, write_text
settings = Settings(roots=(sys.argv[1],))
place = open_roots(settings).place("file.txt")
letters = "ab"
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        break
    print(child, flush=True)
    os.waitpid(child, 0)
else:
    sys.exit()
number = 0
while True:
    number += 1
    if sys.argv[2] == "write":
        write_text(place, letters[number % 2] * 2_000_000, settings)
    else:
        old, new = letters[(number + 1) % 2], letters[number % 2]
        edits = [Edit(old=f"{old}\\n" * 1000, new=f"{new}\\n" * 1000)]
        try:
            edit_text(place, edits, settings)
        except Exception as error:
            if "is not in the file" not in str(error):
                raise
"""


@pytest.mark.parametrize("way", ["write", "edit"])
def test_a_killed_server_leaves_the_old_content_or_the_new(tmp_path: Path, way: str):
    root = tmp_path / "root"
    root.mkdir()
    whole = {"a" * 2_000_000, "b" * 2_000_000}
    if way == "edit":
        whole = {"a\n" * 1000, "b\n" * 1000}
    file = root / "file.txt"
    file.write_text(min(whole))
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root), way],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    ) as writers:
        assert writers.stdin is not None
        assert writers.stdout is not None
        for round_number in range(8):
            first = file.stat().st_ino
            writers.stdin.write(b"next\n")
            writers.stdin.flush()
            writer = int(writers.stdout.readline())
            while file.stat().st_ino == first:  # it is at work once the file is a new one
                pass
            for _ in range(round_number * 5000):  # kill at another moment each round
                pass
            os.kill(writer, signal.SIGKILL)
            assert file.read_text() in whole
        writers.stdin.close()
    settings = settings_for(root)
    write_text(roots_for(root).place("file.txt"), "after", settings)
    assert [p.name for p in root.iterdir()] == ["file.txt"]
    assert file.read_text() == "after"


def test_concurrent_appends_lose_nothing(tmp_path: Path):
    settings, roots = settings_for(tmp_path), roots_for(tmp_path)
    place = roots.place("log.txt")

    def work(name: str) -> None:
        for number in range(25):
            append_text(place, f"{name}{number}\n", settings, if_digest=None)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"{name}{number}" for name in "abcd" for number in range(25)}
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert set(lines) == expected
    assert len(lines) == len(expected)


def test_only_one_of_two_writers_with_the_same_digest_wins(tmp_path: Path):
    (tmp_path / "file").write_text("start")
    settings, roots = settings_for(tmp_path), roots_for(tmp_path)
    digest = digest_of(b"start")
    outcomes: list[str] = []

    def work(name: str) -> None:
        try:
            write_text(roots.place("file"), name, settings, if_digest=digest)
            outcomes.append(name)
        except RefusalError as error:
            assert "has changed" in str(error)  # noqa: PT017 - in a thread
            outcomes.append("refused")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("refused") == 5
    assert (tmp_path / "file").read_text() in set(outcomes)


def test_a_stale_digest_is_refused_and_changes_nothing(tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    settings, place = settings_for(tmp_path), roots_for(tmp_path).place("file")
    stale = digest_of(b"older")
    edits = [Edit("mine", "yours")]
    for change in (
        lambda: write_text(place, "x", settings, if_digest=stale),
        lambda: append_text(place, "x", settings, if_digest=stale),
        lambda: edit_text(place, edits, settings, if_digest=stale),
        lambda: edit_text(place, edits, settings, if_digest=stale, dry_run=True),
    ):
        with pytest.raises(RefusalError, match="has changed"):
            change()
    assert (tmp_path / "file").read_text() == "mine"
    assert edit_text(place, edits, settings, if_digest=digest_of(b"mine")).diff


def test_a_dry_run_shows_the_difference_and_writes_nothing(tmp_path: Path):
    (tmp_path / "file").write_text("one\ntwo\n")
    settings, place = settings_for(tmp_path), roots_for(tmp_path).place("file")
    dry = edit_text(place, [Edit("two", "2")], settings, dry_run=True)
    assert (tmp_path / "file").read_text() == "one\ntwo\n"
    wet = edit_text(place, [Edit("two", "2")], settings)
    assert dry == wet
    assert (tmp_path / "file").read_text() == "one\n2\n"


def test_permissions_survive_and_set_id_bits_do_not(tmp_path: Path):
    file = tmp_path / "run.sh"
    file.write_text("old")
    file.chmod(0o4751)
    write_text(roots_for(tmp_path).place("run.sh"), "new", settings_for(tmp_path))
    assert file.stat().st_mode & 0o7777 == 0o751


def test_write_without_overwrite_keeps_what_is_there(tmp_path: Path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RefusalError, match="exists"):
        write_text(roots_for(tmp_path).place("file"), "x", settings_for(tmp_path), overwrite=False)
    assert (tmp_path / "file").read_text() == "mine"


def test_move_and_copy_never_replace(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    (tmp_path / "folder").mkdir()
    roots = roots_for(tmp_path)
    for change in (move, copy):
        for target in ("b", "folder"):
            with pytest.raises(RefusalError, match="exists"):
                change(roots.place("a"), roots.place(target))
        with pytest.raises(RefusalError, match="exists"):
            change(roots.place("folder"), roots.place("b"))
        with pytest.raises(RefusalError, match="inside"):
            change(roots.place("folder"), roots.place("folder/x/y"))
    assert {p.name: p.is_dir() or p.read_text() for p in tmp_path.iterdir()} == {
        "a": "a",
        "b": "b",
        "folder": True,
    }


def test_a_folder_is_copied_with_all_below_but_its_links(tmp_path: Path):
    (tmp_path / "from" / "deep").mkdir(parents=True)
    (tmp_path / "from" / "deep" / "file").write_text("x")
    (tmp_path / "from" / "link").symlink_to("deep")
    roots = roots_for(tmp_path)
    assert copy(roots.place("from"), roots.place("to/here")) == 1
    assert (tmp_path / "to" / "here" / "deep" / "file").read_text() == "x"
    assert not (tmp_path / "to" / "here" / "link").exists()


def test_only_the_case_of_a_name_may_change(tmp_path: Path):
    (tmp_path / "readme").write_text("x")
    roots = roots_for(tmp_path)
    move(roots.place("readme"), roots.place("README"))
    assert [p.name for p in tmp_path.iterdir()] == ["README"]


def test_content_beyond_the_limit_is_not_written(tmp_path: Path):
    settings = settings_for(tmp_path, max_file_bytes=10)
    with pytest.raises(RefusalError, match="files end at 10"):
        write_text(roots_for(tmp_path).place("x"), "a" * 11, settings)
    assert json.dumps([p.name for p in tmp_path.iterdir()]) == "[]"
