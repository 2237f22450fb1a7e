import difflib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.config.yaml import parse_yaml
from host.config.yaml_edit import remove_yaml, set_yaml
from host.domain.errors import ConfigError

ENTRY = {"command": "npx", "args": ["-y", "x"], "env": {"A_TOKEN": "${A_TOKEN}"}}
TEXT = """# my servers
servers:
  # the first
  one:
    command: a   # kept
    args:
      - |
        text

  two: {command: b}   # in one line
  # about nothing

http:   # face
  port: 8765
"""


def test_a_new_entry_goes_behind_the_last_and_every_line_stays():
    text = set_yaml(TEXT, "servers", "new", entry=ENTRY)
    assert parse_yaml(text).value["servers"]["new"] == ENTRY
    lines = text.splitlines()
    assert not [line for line in difflib.ndiff(TEXT.splitlines(), lines) if line[0] == "-"]
    assert lines[lines.index("  two: {command: b}   # in one line") + 1] == "  new:"


def test_adding_and_removing_gives_back_the_same_bytes():
    added = set_yaml(TEXT, "servers", "new", entry=ENTRY)
    assert remove_yaml(added, "servers", "new") == TEXT


def test_an_entry_is_removed_with_its_own_lines_only():
    text = remove_yaml(TEXT, "servers", "one")
    assert parse_yaml(text).value == {"servers": {"two": {"command": "b"}}, "http": {"port": 8765}}
    assert "# my servers" in text
    assert "# in one line" in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# only a comment\n",
        "servers:\n",
        "servers: {}\n",
        "servers: {}   # none yet\nhttp: {}\n",
        "http:\n  port: 1",
        "servers:\n  # nothing yet\nhttp: {}\n",
        '{"http": {}}',
    ],
)
def test_a_block_without_entries_takes_its_first(text: str):
    added = set_yaml(text, "servers", "new", entry=ENTRY)
    assert parse_yaml(added).value["servers"] == {"new": ENTRY}
    left = parse_yaml(remove_yaml(added, "servers", "new")).value
    assert left["servers"] == {}
    assert [line for line in text.splitlines() if "#" in line and line not in added] in (
        [],
        ["servers: {}   # none yet"],
    )


def test_an_entry_is_replaced():
    text = set_yaml(TEXT, "servers", "two", entry=ENTRY)
    assert parse_yaml(text).value["servers"]["two"] == ENTRY
    assert "# kept" in text


def test_a_block_in_braces_is_refused_with_advice():
    with pytest.raises(ConfigError, match="by hand"):
        set_yaml("servers: {a: {command: b}}\n", "servers", "new", entry=ENTRY)


def test_windows_line_ends_stay():
    text = set_yaml("servers:\r\n  a:\r\n    command: b\r\n", "servers", "new", entry=ENTRY)
    assert "\n" not in text.replace("\r\n", "")


@settings(deadline=None)
@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        st.fixed_dictionaries(
            {"command": st.text(min_size=1, max_size=9), "args": st.lists(st.text(max_size=5))}
        ),
        min_size=2,
        max_size=5,
    )
)
def test_whatever_the_entries_say_they_come_and_go(entries: dict[str, object]):
    text = "# top\n"
    for name, entry in entries.items():
        text = set_yaml(text, "servers", name, entry=entry)
    assert parse_yaml(text).value == {"servers": entries}
    for name in entries:
        left = {key: value for key, value in entries.items() if key != name}
        assert parse_yaml(remove_yaml(text, "servers", name)).value == {"servers": left}
