import contextlib
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from host.config.yaml import MAX_BYTES, Document, dotted, load_yaml, parse_yaml
from host.domain.errors import ConfigError

KEYS = st.text("abcdefgh_", min_size=1, max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abc :#-'\"x", max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(VALUES)
def test_what_a_yaml_writer_writes_is_read_back(value: object):
    assert parse_yaml(yaml.safe_dump(value)).value == value


@settings(deadline=None)
@given(st.dictionaries(KEYS, st.integers(), min_size=1, max_size=20), st.integers(0, 5))
def test_each_value_knows_its_line(content: dict[str, int], blank: int):
    text = "# comment\n" * blank + "".join(f"{key}: {n}\n" for key, n in content.items())
    document = parse_yaml(text)
    assert [document.line((key,)) for key in content] == [
        blank + 1 + index for index in range(len(content))
    ]


@settings(deadline=None)
@given(st.dictionaries(KEYS, st.integers(), min_size=1, max_size=9), st.data())
def test_a_repeated_key_is_refused_on_its_own_line(content: dict[str, int], data: st.DataObject):
    again = data.draw(st.sampled_from(sorted(content)))
    text = "".join(f"{key}: 1\n" for key in content) + f"{again}: 2\n"
    with pytest.raises(ConfigError, match="given twice") as caught:
        parse_yaml(text)
    assert caught.value.line == len(content) + 1


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_a_configuration_error(content: bytes):
    with contextlib.suppress(ConfigError):
        assert isinstance(parse_yaml(content), Document)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\n\tb: 2\n", 2, "tab"),
        ("a: [1, 2\nb: 3\n", 2, "not valid YAML"),
        ("a: 1\n---\nb: 2\n", 2, "second document"),
        ("a: !!python/object/apply:os.system [ls]\n", 1, "tag"),
        ("x: 1\na: !secret b\n", 2, "tag"),
        ("a: &x [*x]\n", 1, "refers to nothing"),
        ("a: *nothing\n", 1, "refers to nothing"),
        ("? [a, b]\n: 1\n", 1, "key has to be text"),
        ("a: 1\n<<: 3\n", 2, "takes a mapping"),
        (b"a: 1\nb: \xff\n", 2, "not UTF-8"),
        ("a: 1\nb: \x00\n", 2, "not allowed in YAML"),
        ("a: " + "[" * 50 + "]" * 50, 1, "deeper than"),
        ("a: " + "[" * 100_000, 1, "deeper than"),
        ("{" * 100_000, 1, "key has to be text"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(text: str | bytes, line: int, message: str):
    with pytest.raises(ConfigError, match=message) as caught:
        parse_yaml(text, file=Path("host.yaml"))
    assert caught.value.line == line
    assert str(caught.value).startswith(f"host.yaml:{line}: ")


def test_aliases_cannot_blow_up():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for n in range(1, 12):
        bomb += f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]\n"
    with pytest.raises(ConfigError, match="more than 50000 values"):
        parse_yaml(bomb)


def test_anchors_and_merge_keys_work_and_the_own_key_wins():
    document = parse_yaml("a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\nc: *a\n")
    assert document.value["b"] == {"y": 3, "x": 1}
    assert document.value["c"] == {"x": 1, "y": 2}
    assert document.line(("c", "x")) == 5


def test_yaml_one_point_two_leaves_no_on_and_times_as_text():
    document = parse_yaml("[no, on, 22:30, 2026-01-01, 0x1F, 1e3, ~, 'null', 010]")
    assert document.value == ["no", "on", "22:30", "2026-01-01", 31, 1000.0, None, "null", 10]


def test_an_empty_file_is_no_value():
    assert parse_yaml("").value is None
    assert parse_yaml("# only a comment\n").value is None


def test_json_is_read_strictly_and_with_lines(tmp_path: Path):
    file = tmp_path / "host.json"
    file.write_text('{\n\t"a": {"b": "\\ud83d\\ude00"},\n\t"c": 1}')
    assert load_yaml(file).value == {"a": {"b": "😀"}, "c": 1}
    file.write_text('{\n "a": 1,\n "c": [2]}')
    assert load_yaml(file).line(("c", 0)) == 3
    for text, message in [('{"a": 1, "a": 2}', "given twice"), ("{'a': 1}", "not valid JSON")]:
        file.write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_yaml(file)
    file.write_text("[" * 200_000)
    with pytest.raises(ConfigError, match=r"deeper|not valid"):
        load_yaml(file)


def test_a_huge_file_a_folder_and_an_absent_file_are_named(tmp_path: Path):
    big = tmp_path / "big.yaml"
    big.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than"):
        load_yaml(big)
    with pytest.raises(ConfigError, match="not a regular file"):
        load_yaml(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        load_yaml(tmp_path / "none.yaml")


def test_places_are_written_as_people_write_them():
    assert dotted(("servers", "a", "args", 1)) == "servers.a.args[1]"
