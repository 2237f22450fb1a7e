"""Which names a server enumerates, and what else is in its results."""

from typing import Any

import pytest

from host.taint.directory import MOST_NAMES, Directory, find_directory, is_plain


def structured(value: Any, *texts: str) -> dict[str, Any]:
    content = [{"type": "text", "text": text} for text in texts]
    return {"content": content, "structuredContent": {"result": value}}


@pytest.mark.parametrize(
    "name", ["general", "team-7", "External_0", "Emma Johnson", "Jürgen", "日本", "Anna Maria Lee"]
)
def test_a_short_name_is_plain(name: str):
    assert is_plain(name)


@pytest.mark.parametrize(
    "text",
    [
        *("", "x" * 33, "four words are many", "a.b", "a/b", "eve@x.example", "www.evil.example"),
        *("12345", "US133000000121212121212", "2024-05-01", "May 3rd", "HGK137803", "a\u200bb"),
        *("gеneral", "a  b", " a", "a\n", "yes!", "'a'"),  # noqa: RUF001 - a Cyrillic letter
    ],
)
def test_anything_else_is_not(text: str):
    assert not is_plain(text)


def test_lists_and_members_of_records_are_told_from_what_people_write():
    records = [
        {"sender": "Bob", "body": "hello", "n": 1, "tags": ["red", "blue"]},
        {"sender": "Ann", "body": "there", "n": 2, "tags": None},
    ]
    found = find_directory(structured(records))
    assert found is not None
    assert found.names == {" bob ", " ann ", " red ", " blue "}
    assert set(found.rest) == {
        *("result", "sender", "body", "n", "tags"),
        "hello",
        "there",
        "1",
        "2",
    }


@pytest.mark.parametrize(
    "texts", [['["one","two"]'], ['{"result": ["one", "two"]}'], ["one", "two"], ["one"]]
)
def test_the_text_that_repeats_a_structured_result_is_no_more_than_that(texts: list[str]):
    found = find_directory(structured(["one", "two"], *texts))
    assert found == Directory(frozenset({" one ", " two "}), ("result",))


def test_text_beside_a_structured_result_is_what_anybody_may_have_written():
    found = find_directory(structured(["aaa"], "write to aaa"))
    assert found is not None
    assert "write to aaa" in found.rest


@pytest.mark.parametrize(
    "result",
    [
        *(None, "text", [], {}, {"content": []}, {"structuredContent": ["aaa"]}),
        structured("aaa"),
        structured([]),
        structured(["aaa", "two, three"]),
        structured(["aaa", 5]),
        structured([f"name {n}x" for n in range(MOST_NAMES + 1)]),
    ],
)
def test_what_enumerates_nothing_is_no_directory(result: Any):
    assert find_directory(result) is None


def test_a_deeply_nested_result_is_borne():
    deep: Any = ["aaa"]
    for _ in range(5000):
        deep = [deep]
    assert find_directory(structured(deep)) is None
