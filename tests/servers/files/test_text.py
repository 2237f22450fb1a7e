"""Encodings, digests and line ranges."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.files.reading import slice_lines
from servers.files.text import decode, encode, same_digest
from servers.tool import RefusalError

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize("mark", ["", "utf-8-sig", "utf-16", "utf-32", "utf-16-be"])
@given(text=TEXT)
def test_text_comes_back_in_the_encoding_it_had(mark: str, text: str):
    if mark == "utf-16-be":
        data = codecs.BOM_UTF16_BE + text.encode("utf-16-be")
    else:
        data = text.encode(mark or "utf-8")
    if mark in {"", "utf-8-sig"} and ("\0" in text or text.startswith("\ufeff")):
        return
    if mark == "utf-16" and text.startswith("\0"):
        return  # its bytes are those of a UTF-32 mark
    decoded = decode(data, "auto", "f")
    assert decoded.text == text
    assert encode(decoded.text, decoded.encoding, "f", like=data) == data
    assert encode(decoded.text, "auto", "f", like=data) == data


@pytest.mark.parametrize(
    ("data", "encoding", "said"),
    [
        (b"\x00\x01", "auto", "NUL bytes"),
        (b"caf\xe9", "auto", "byte 3 does not decode"),
        (b"x", "utf-9", "Try utf-8"),
        (b"x", "base64", "no text encoding"),
        (b"x", "rot13", "no text encoding"),
    ],
)
def test_what_does_not_decode_is_explained(data: bytes, encoding: str, said: str):
    with pytest.raises(RefusalError) as caught:
        decode(data, encoding, "f")
    assert said in str(caught.value)


def test_named_encodings_are_used():
    assert decode(b"caf\xe9", "latin-1", "f").text == "café"
    assert encode("café", "cp1252", "f") == b"caf\xe9"
    with pytest.raises(RefusalError, match="cannot be written"):
        encode("→", "latin-1", "f")


def test_digests_compare_with_and_without_their_name():
    assert same_digest("SHA256:AB", "sha256:ab")
    assert same_digest("ab", "sha256:ab")
    assert not same_digest("ac", "sha256:ab")


@given(st.lists(st.text("ab\f\u2028", max_size=3), max_size=8), st.integers(1, 30))
def test_pages_of_lines_join_to_the_whole_text(lines: list[str], most: int):
    text = "".join(f"{line}\n" for line in lines)
    pages: list[str] = []
    first = 1
    while True:
        part = slice_lines(text, first, -1, max(most, 14))
        pages.append(part.text)
        if not part.cut:
            break
        first = part.last + 1
    assert "".join(pages) == text


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (1, -1, "1\n2\n3\n4\n"),
        (2, 3, "2\n3\n"),
        (-1, -1, "4\n"),
        (-2, -1, "3\n4\n"),
        (1, -2, "1\n2\n3\n"),
    ],
)
def test_ranges_count_from_both_ends(first: int, last: int, expected: str):
    assert slice_lines("1\n2\n3\n4\n", first, last, 100).text == expected


@pytest.mark.parametrize(("first", "last"), [(0, 1), (1, 0), (9, 10), (2, 1), (-1, 1), (1, -3)])
def test_ranges_outside_the_text_are_refused(first: int, last: int):
    with pytest.raises(RefusalError):
        slice_lines("1\n2\n", first, last, 100)
