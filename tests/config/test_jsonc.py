import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host.config.jsonc import parse_jsonc, remove_json, set_json
from host.domain.errors import ConfigError

ENTRY = {"command": "python", "args": ["-m", "host"], "env": {"T": "x, // no comment"}}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
JSONC = """// settings of the editor
{
	/* servers, all of them: { "x": 1 } */
	"servers": {
		"one": { "command": "a" }, // the first
		"two": { "command": "b" }, // with a trailing comma
	},
	"inputs": [],
}
"""


def test_comments_and_trailing_commas_are_read():
    assert parse_jsonc(JSONC) == {
        "servers": {"one": {"command": "a"}, "two": {"command": "b"}},
        "inputs": [],
    }


def test_adding_a_member_keeps_every_other_byte():
    text = set_json(JSONC, ("servers", "host"), ENTRY)
    assert parse_jsonc(text)["servers"]["host"] == ENTRY
    for line in JSONC.splitlines():
        assert line in text
    assert '\n\t\t"host": {\n\t\t\t"command"' in text


def test_removing_a_member_keeps_the_comments_of_the_others():
    text = remove_json(JSONC, ("servers", "one"))
    assert parse_jsonc(text)["servers"] == {"two": {"command": "b"}}
    assert "// the first" in text
    assert "/* servers, all of them" in text


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=4), VALUES, min_size=1), st.sampled_from([None, 2, "\t"]))
def test_adding_and_removing_gives_back_the_same_bytes(content: dict[str, object], indent: int):
    content.pop("mcpServers", None)
    content["mcpServers"] = {"other": ENTRY}
    text = json.dumps(content, indent=indent) + "\n"
    added = set_json(text, ("mcpServers", "host"), ENTRY)
    assert json.loads(added) == {**content, "mcpServers": {"other": ENTRY, "host": ENTRY}}
    assert remove_json(added, ("mcpServers", "host")) == text


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=4), VALUES), st.data())
def test_any_member_can_be_set_and_removed(content: dict[str, object], data: st.DataObject):
    text = json.dumps(content, indent=2)
    key = data.draw(st.text(max_size=4))
    assert json.loads(set_json(text, (key,), ENTRY)) == {**content, key: ENTRY}
    for name in content:
        left = {other: value for other, value in content.items() if other != name}
        assert json.loads(remove_json(text, (name,))) == left


@pytest.mark.parametrize("text", ["", "  \n", "{}", "{ }", "{\n}\n", "// only a comment\n"])
def test_an_empty_file_gets_the_objects_on_the_way(text: str):
    assert parse_jsonc(set_json(text, ("mcpServers", "host"), ENTRY)) == {
        "mcpServers": {"host": ENTRY}
    }


def test_an_existing_member_is_replaced_in_place():
    text = set_json('{"a": {"host": 1, "z": 2}}', ("a", "host"), 3)
    assert text == '{"a": {"host": 3, "z": 2}}'


def test_windows_line_ends_stay():
    text = set_json('{\r\n  "a": 1\r\n}\r\n', ("b",), {"c": 1})
    assert "\n" not in text.replace("\r\n", "")


@pytest.mark.parametrize("text", ["[]", "{", '{"a" 1}', "\x00", "[" * 100_000, '{"servers": 1}'])
def test_what_cannot_take_a_member_is_refused(text: str):
    with pytest.raises(ConfigError):
        set_json(text, ("servers", "host"), ENTRY)
