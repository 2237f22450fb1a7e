"""Messages on their way to bytes and back: nothing is lost, and what JSON cannot say is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.domain.jsonrpc import RpcError, decode, encode

TEXTS = st.text(st.characters(exclude_categories=()))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(TEXTS, VALUES))
def test_message_survives_its_way_over_the_wire(message: dict[str, object]):
    assert decode(encode(message)) == message


@given(st.dictionaries(TEXTS, VALUES), st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-8-sig"]))
def test_every_encoding_that_json_allows_is_read(message: dict[str, object], encoding: str):
    assert decode(json.dumps(message).encode(encoding)) == message


@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda rest: b"{" + rest))
def test_bytes_are_read_as_the_standard_library_reads_them(text: bytes):
    try:
        expected = repr(json.loads(text))
    except ValueError:
        with pytest.raises(RpcError):
            decode(text)
    else:
        assert repr(decode(text)) == expected


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_number_without_a_text_is_refused(number: float):
    with pytest.raises(RpcError):
        encode({"n": [number]})
