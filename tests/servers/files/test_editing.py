"""Edits: exact, all or nothing, and the diff that shows them."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.files.editing import Edit, apply_edits, render_diff
from servers.tool import RefusalError

LINES = st.lists(st.text(st.sampled_from("ab \t"), max_size=4), max_size=12).map("\n".join)


@given(st.text(), st.text(min_size=1), st.text(), st.text())
def test_an_edit_replaces_its_text_and_nothing_else(head: str, old: str, new: str, tail: str):
    text = head + old + tail
    plain = Edit(old.replace("\r\n", "\n"), new.replace("\r\n", "\n"))
    if text.count(plain.old) != 1:
        return
    assert apply_edits(text, [plain], "\n") == text.replace(plain.old, plain.new)


@given(LINES, LINES, LINES)
def test_an_edit_that_does_not_fit_exactly_once_changes_nothing(text: str, old: str, new: str):
    if old and text.count(old) == 1:
        return
    with pytest.raises(RefusalError, match="Edit 1"):
        apply_edits(text, [Edit(old, new)], "\n")


@given(LINES, st.text("ab", min_size=1, max_size=2), st.text("ab", max_size=2))
def test_all_replaces_every_place(text: str, old: str, new: str):
    if old in text:
        assert apply_edits(text, [Edit(old, new, all=True)], "\n") == text.replace(old, new)


@given(st.lists(st.text("xyz", min_size=1, max_size=3), min_size=1, max_size=8, unique=True))
def test_windows_line_ends_are_kept(lines: list[str]):
    text = "\r\n".join(lines) + "\r\n"
    edited = apply_edits(text, [Edit("\n".join(lines), "one\ntwo")], "\r\n")
    assert edited == "one\r\ntwo\r\n"


@given(LINES, LINES)
def test_the_diff_is_one_that_patch_applies(old: str, new: str):
    diff = render_diff(old, new, "name")
    assert (diff == "") == (old == new)
    added = [x[1:] for x in diff.split("\n")[2:] if x.startswith("+")]
    removed = [x[1:] for x in diff.split("\n")[2:] if x.startswith("-")]
    assert len(added) - len(removed) == _count(new) - _count(old)


def _count(text: str) -> int:
    return text.count("\n") + (not text.endswith("\n") and text != "")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a\n" * 50 + "x\n" + "b\n" * 50, "a\n" * 50 + "y\nz\n" + "b\n" * 50),
        ("no end", "no end, still"),
        ("".join(f"{n}\n" for n in range(6000)), "".join(f"-{n}\n" for n in range(6000))),
    ],
)
def test_patch_turns_the_old_text_into_the_new(tmp_path: Path, old: str, new: str):
    file, diff = tmp_path / "file", tmp_path / "diff"
    file.write_text(old)
    diff.write_text(render_diff(old, new, "file"))
    subprocess.run(["patch", "-s", str(file), str(diff)], check=True, cwd=tmp_path)
    assert file.read_text() == new


def test_later_edits_see_what_earlier_ones_made():
    edits = [Edit("a", "b"), Edit("b", "c")]
    assert apply_edits("a", edits, "\n") == "c"


def test_indentation_is_carried_over_when_asked():
    text = "def f():\n        if x:\n            return 1\n"
    edit = Edit("if x:\n    return 1", "if x:\n    y()\n    return 2", ignore_indent=True)
    expected = "def f():\n        if x:\n            y()\n            return 2\n"
    assert apply_edits(text, [edit], "\n") == expected


@pytest.mark.parametrize(
    ("text", "old", "said"),
    [
        ("x\nx\n", "x", "2 times (lines 1, 2)"),
        ("  value = 1\n", "value  = 1\n", "not in the file"),
        ("\tvalue\n", "  value\n", "only in white space"),
        ("def function(a):\n", "def funtion(a):\n", "Line 1 is nearest: 'def function(a):'"),
        ("x", "", "`old` is empty"),
    ],
)
def test_what_does_not_fit_is_explained(text: str, old: str, said: str):
    with pytest.raises(RefusalError) as caught:
        apply_edits(text, [Edit(old, "y")], "\n")
    assert said in str(caught.value)
