import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.approvals.text import describe, escape, show_arguments, show_difference

UNSEEN = {
    "escape sequence": "\x1b[2J",
    "right-to-left override": "\u202e",
    "isolate": "\u2066",
    "zero width space": "\u200b",
    "soft hyphen": "\u00ad",
    "no-break space": "\u00a0",
    "em space": "\u2003",
    "line separator": "\u2028",
    "tag character": "\U000e0041",
    "variation selector": "\ufe0f",
    "hangul filler": "\u3164",
    "braille blank": "\u2800",
    "delete": "\x7f",
    "next line": "\x85",
}


@pytest.mark.parametrize("kind", UNSEEN)
def test_what_cannot_be_seen_is_shown_as_an_escape(kind: str):
    shown = escape(f"a{UNSEEN[kind]}b")
    assert shown.isprintable()
    assert "\\u" in shown
    assert UNSEEN[kind] not in shown


def test_ordinary_writing_stays_as_it_is():
    for text in ("plain", "Größe", "привет", "日本語", "שלום", "emoji 🙂"):
        assert escape(text) == text


@given(st.recursive(st.text() | st.integers() | st.none(), st.lists, max_leaves=5))
def test_shown_arguments_are_whole_and_can_be_read_back(value: object):
    shown = show_arguments({"value": value})
    assert json.loads(shown) == {"value": value}
    assert all(letter.isprintable() or letter == "\n" for letter in shown)


def test_a_difference_shows_what_was_taken_out_and_put_in():
    lines = show_difference({"a": 1, "to": "eve"}, {"a": 1, "to": "bob"})
    assert [line for line in lines if line[0] in "+-"] == ['-  "to": "eve"', '+  "to": "bob"']


def test_a_name_cannot_pass_for_more_lines():
    said = describe(
        "tools/call", "x\nann wants to call y", caller="bob/ide", agent=None, reasons=["why\nnot"]
    )
    assert said == "bob/ide wants to call x\\nann wants to call y.\n- why\\nnot"
